"""When data sets with other bytes say the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from systems.router.sameness import same_content
from tests.router.fakes import make_dataset, part10


def with_item(*, undefined: bool) -> Dataset:
    ds = make_dataset("1.2.3", "1.2")
    item = Dataset()
    item.CodeValue = "A"
    item.is_undefined_length_sequence_item = undefined
    ds.ProcedureCodeSequence = Sequence([item])
    ds["ProcedureCodeSequence"].is_undefined_length = undefined
    return ds


def group_length(ds: Dataset) -> None:
    ds.add_new(0x00080000, "UL", 100)


def implicit(ds: Dataset) -> None:
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def trailing_padding(ds: Dataset) -> None:
    ds.add_new(0xFFFCFFFC, "OB", bytes(10))


def other_name(ds: Dataset) -> None:
    ds.PatientName = "Other"


def other_code(ds: Dataset) -> None:
    ds.ProcedureCodeSequence[0].CodeValue = "B"


def flipped_pixel(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:-1] + b"\xff"


def extra_private(ds: Dataset) -> None:
    ds.add_new(0x00091010, "LO", "x")


def compare(tmp_path: Path, first: Dataset, second: Dataset) -> bool:
    paths = tmp_path / "a.dcm", tmp_path / "b.dcm"
    for path, ds in zip(paths, (first, second), strict=True):
        path.write_bytes(part10(ds))
    return same_content(*paths)


@pytest.mark.parametrize("change", [group_length, implicit, trailing_padding])
def test_what_a_transfer_may_change_is_the_same(tmp_path: Path, change: Callable[[Dataset], None]) -> None:
    changed = with_item(undefined=True)
    change(changed)
    assert compare(tmp_path, with_item(undefined=False), changed)


@pytest.mark.parametrize("change", [other_name, other_code, flipped_pixel, extra_private])
def test_what_a_transfer_may_not_change_is_different(
    tmp_path: Path, change: Callable[[Dataset], None]
) -> None:
    changed = with_item(undefined=False)
    change(changed)
    assert not compare(tmp_path, with_item(undefined=False), changed)


def test_unreadable_file_is_the_same_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"junk")
    assert not same_content(tmp_path / "a", tmp_path / "a")
