from io import BytesIO

import pytest
from pydicom import dcmread

from fixtures.evidence.fingerprint import fingerprint
from fixtures.load.corpus import MIX, pattern, patterns
from fixtures.load.naming import UID_LENGTH, Stream


def test_names_are_uids_of_one_width_and_never_the_same() -> None:
    streams = [Stream(run, number) for run in (0, 999_999_999_999) for number in (0, 1)]
    names = [stream.names(number) for stream in streams for number in (0, 1, 99, 100)]

    assert len({one.instance for one in names}) == len(names)
    assert {len(uid) for one in names for uid in (one.study, one.series, one.instance)} == {UID_LENGTH}
    assert all(int(one.instance[5:]) < 2**128 for one in names)
    assert len({one.study for one in names}) == 8


@pytest.mark.parametrize("size", ["small", "medium"])
def test_a_filled_pattern_is_that_instance_and_nothing_else_changes(size: str) -> None:
    one, names = pattern(size), Stream(7, 3).names(42)

    dataset = dcmread(BytesIO(one.part10(names)))

    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == names.instance.decode()
    assert dataset.StudyInstanceUID == names.study.decode()
    assert dataset.SeriesInstanceUID == names.series.decode()
    assert dataset.PatientID == names.patient.decode()
    assert len(dataset.PixelData) == dataset.Rows * dataset.Columns * 2


def test_a_lost_bit_is_seen() -> None:
    one, stream = pattern("small"), Stream(7, 3)
    names = stream.names(0)
    file = bytearray(one.part10(names))

    assert one.is_dataset_of(names, bytes(file))
    assert not one.is_dataset_of(stream.names(1), bytes(file))
    file[-1] ^= 1
    assert not one.is_dataset_of(names, bytes(file))


def test_two_instances_differ_in_their_fingerprints() -> None:
    one, stream = pattern("small"), Stream(7, 3)

    assert fingerprint(one.part10(stream.names(0))) != fingerprint(one.part10(stream.names(1)))


def test_the_mix_is_mostly_slices() -> None:
    assert len(MIX) == 20
    assert {name: MIX.count(name) for name in set(MIX)} == {"small": 7, "medium": 12, "large": 1}
    assert patterns("small") == (pattern("small"),)
