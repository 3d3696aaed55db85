from itertools import chain

import pytest
from pydicom.uid import UID

from fixtures.data import KINDS, Cast, Run, make_cast
from fixtures.data.encode import TRANSFER_SYNTAXES
from fixtures.evidence.encoding import parse

DATES = {
    "recent": [
        "20110602",
        "20121030",
        "19760721",
        "20120411",
        "20110927",
        "19821029",
        "19770205",
        "19891215",
    ],
    "new": ["20221122"] * 8,
    "prior": ["19940223", "20040831", "19691116", "20120202", "19900304", "19760525", "19700306", "19831220"],
}


def test_eight_patients_have_three_studies_with_the_dates_of_the_demo(cast: Cast) -> None:
    assert [p.number for p in cast.patients] == list(range(1, 9))
    assert len(cast.all_studies) == 24
    for kind in KINDS:
        studies = cast.studies(kind, range(1, 9))
        assert [s.study_date for s in studies] == DATES[kind]
        assert {str(i.dataset().StudyDate) for i in studies[0].instances} == {DATES[kind][0]}


def test_patient_one_is_jule(cast: Cast) -> None:
    jule = cast.patient(1)
    assert (jule.name, jule.sex, jule.birth_date) == ("Schmeler639^Jule420", "F", "19850828")


def test_without_patients_the_first_three_are_meant(cast: Cast) -> None:
    assert [s.patient.number for s in cast.studies("new")] == [1, 2, 3]


def test_unknown_patient_is_a_key_error(cast: Cast) -> None:
    with pytest.raises(KeyError, match="no patient 9"):
        cast.patient(9)
    with pytest.raises(KeyError, match="patient 9"):
        cast.studies("new", (9,))


def test_files_say_what_the_cast_says(cast: Cast) -> None:
    for study in cast.all_studies:
        for instance in study.instances:
            dataset, found = instance.dataset(), instance.fingerprint
            assert found.study_instance_uid == study.study_instance_uid
            assert found.patient_id == study.patient.patient_id
            assert str(dataset.PatientName) == study.patient.name
            assert dataset.AccessionNumber == study.accession_number
            assert dataset.file_meta.MediaStorageSOPInstanceUID == found.sop_instance_uid
            assert dataset.file_meta.MediaStorageSOPClassUID == found.sop_class_uid
            assert instance.part10[:132] == b"\0" * 128 + b"DICM"


def test_names_are_unique_and_fit(cast: Cast) -> None:
    fingerprints = [i.fingerprint for i in cast.instances()]
    uids = [f.sop_instance_uid for f in fingerprints]
    assert len(set(uids)) == len(uids) > 100
    assert all(UID(uid).is_valid for f in fingerprints for uid in (f.sop_instance_uid, f.series_instance_uid))
    assert len({s.study_instance_uid for s in cast.all_studies}) == 24
    assert len({s.accession_number for s in cast.all_studies}) == 24
    assert len({p.patient_id for p in cast.patients}) == 8


def test_cast_is_deterministic_and_scenes_share_nothing(run: Run, cast: Cast) -> None:
    again, other = make_cast(run, 1), make_cast(run, 2)
    assert [i.part10 for i in again.study(2, "prior").instances] == [
        i.part10 for i in cast.study(2, "prior").instances
    ]
    assert not {p.patient_id for p in cast.patients} & {p.patient_id for p in other.patients}
    assert not cast.study(1, "new").sop_instance_uids & other.study(1, "new").sop_instance_uids


def test_codec_families_modalities_and_oddities_are_there(cast: Cast) -> None:
    fingerprints = [i.fingerprint for i in cast.instances()]
    assert len({f.transfer_syntax_uid for f in fingerprints}) >= 7
    assert len({f.sop_class_uid for f in fingerprints}) == 6
    assert any(f.frames > 1 for f in fingerprints)
    assert any(f.pixel_digest is None for f in fingerprints)
    assert {len(s.series_instance_uids) for s in cast.all_studies} == {1, 2}
    first = parse(cast.study(1, "new").instances[0].part10)
    nested = [e for e in first.elements if e.items and any(x.items for item in e.items for x in item)]
    assert nested
    assert any(e.tag >> 16 == 0x0029 for e in first.elements)


def test_three_component_groups_survive_their_character_set(cast: Cast) -> None:
    dataset = cast.study(4, "new").instances[0].dataset()
    assert dataset.PatientName.ideographic == "山田^太郎"
    assert dataset.PatientName.phonetic == "やまだ^たろう"


def test_name_and_birth_date_stay_out_of_reprs(cast: Cast) -> None:
    assert "Schmeler" not in repr(cast.study(1, "new"))
    assert "1985" not in repr(cast.patient(1))


def test_encoded_dataset_is_the_file_without_its_meta(cast: Cast) -> None:
    instance = cast.study(1, "recent").instances[0]
    assert instance.part10.endswith(bytes(instance.encoded_dataset))
    assert bytes(instance.encoded_dataset[:2]) == b"\x08\x00"


def test_every_image_decodes(cast: Cast) -> None:
    for instance in cast.instances():
        if instance.fingerprint.pixel_digest is not None:
            assert instance.dataset().pixel_array.std() > 0


def test_every_transfer_syntax_of_the_cast_can_be_written(cast: Cast) -> None:
    used = set(
        chain.from_iterable(
            (i.fingerprint.transfer_syntax_uid for i in s.instances) for s in cast.all_studies
        )
    )
    assert used <= set(TRANSFER_SYNTAXES)
