import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from fixtures.data import Run, make_series
from fixtures.data.encode import TRANSFER_SYNTAXES


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_series_of_any_syntax_has_right_files(run: Run, syntax: str) -> None:
    modality = "US" if syntax == JPEGBaseline8Bit else "CT"
    study = make_series(run, 1, 103, modality=modality, transfer_syntax=syntax)
    assert len(study.instances) == len(study.sop_instance_uids) == 103
    for number in (1, 9, 10, 17, 99, 100, 103):
        instance = study.instances[number - 1]
        dataset = instance.dataset()
        assert dataset.file_meta.TransferSyntaxUID == syntax
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert int(dataset.InstanceNumber) == number
        assert instance.fingerprint.study_instance_uid == study.study_instance_uid
        assert instance.fingerprint.patient_id == study.patient.patient_id
        if modality == "CT":
            assert dataset.ImagePositionPatient[2] == dataset.SliceLocation == number
        assert dataset.pixel_array.size == (64 * 64 if modality == "CT" else 64 * 64 * 3)


def test_neighbours_have_other_pixels(run: Run) -> None:
    pixels = [i.fingerprint.pixel_digest for i in make_series(run, 1, 16).instances]
    assert len(set(pixels)) == 16


def test_numbers_tell_studies_apart(run: Run) -> None:
    one, other = (make_series(run, 1, 2, number=number) for number in (1, 2))
    assert one.patient == other.patient
    assert one.study_instance_uid != other.study_instance_uid
    assert not one.sop_instance_uids & other.sop_instance_uids


def test_stream_makes_the_same_and_keeps_nothing(run: Run) -> None:
    study = make_series(run, 1, 5)
    assert [i.part10 for i in study.stream()] == [i.part10 for i in study.instances]
    assert next(study.stream()) is not next(study.stream())


def test_patient_date_matrix_and_frames_are_those_asked_for(run: Run) -> None:
    study = make_series(run, 1, 2, modality="US", rows=40, columns=50, frames=3, study_date="20010203")
    dataset = study.instances[1].dataset()
    assert (dataset.Rows, dataset.Columns, int(dataset.NumberOfFrames)) == (40, 50, 3)
    assert dataset.StudyDate == study.study_date == "20010203"


def test_mr_is_stacked_along_its_own_axis(run: Run) -> None:
    dataset = make_series(run, 1, 3, modality="MR").instances[2].dataset()
    assert list(dataset.ImagePositionPatient) == [3, -150, -150]


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
@pytest.mark.parametrize("date", ["", "2022-13-45", "notadate"])
def test_odd_study_date_is_written_as_it_is(run: Run, date: str) -> None:
    assert make_series(run, 1, 1, study_date=date).instances[0].dataset().get_item("StudyDate").value in (
        date.encode() + b" " * (len(date) % 2),
        date,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"modality": "XX"},
        {"count": 0},
        {"frames": 2},
        {"transfer_syntax": "1.2.840.10008.1.2.4.100"},
    ],
)
def test_what_cannot_be_made_is_refused_at_once(run: Run, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="use one of"):
        make_series(run, 1, **({"count": 1} | wrong))  # type: ignore[arg-type]


def test_matrix_too_small_for_a_codec_is_refused_with_the_reason(run: Run) -> None:
    study = make_series(run, 1, 1, rows=16, columns=16, transfer_syntax=JPEG2000Lossless)
    with pytest.raises(ValueError, match="at least 32"):
        _ = study.instances


def test_eight_bit_codec_refuses_other_modalities(run: Run) -> None:
    with pytest.raises(ValueError, match="8-bit"):
        _ = make_series(run, 1, 1, transfer_syntax=JPEGBaseline8Bit).instances
    assert make_series(run, 1, 1, transfer_syntax=ExplicitVRLittleEndian).instances
