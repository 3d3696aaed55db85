"""What a store says when its own disk lets it down (STOW-064)."""

from pathlib import Path

from tests.dicom_service.conftest import Service, Starter, dataset, failures, part10, path_of

ORIGINAL = "application/dicom; transfer-syntax=*"


def _check(service: Service, folder: Path) -> None:
    small, large = dataset(), dataset(Rows=1024, Columns=1024, PixelData=bytes(2 << 20))
    objects, aside = folder / "objects", folder / "aside"
    objects.rename(aside)

    answer = service.store(part10(small), part10(large))

    aside.rename(objects)
    assert (answer.status, failures(answer)) == (202, [272])
    failed = answer.json()["00081198"]["Value"][0]
    assert failed["00081155"]["Value"] == [large.SOPInstanceUID]
    assert "00741048" not in failed
    assert service.get(path_of(small), ORIGINAL).body == part10(small)
    assert service.get(path_of(large), ORIGINAL).status == 404
    assert service.store(part10(large)).status == 200


def test_file_that_cannot_be_received_fails_alone(starter: Starter, tmp_path: Path) -> None:
    """The part on the broken disk fails with 272, the other one of the request is stored (STOW-064)."""
    _check(starter(tmp_path / "data"), tmp_path / "data")


def test_nothing_kept_is_a_conflict(starter: Starter, tmp_path: Path) -> None:
    """Alone in its request it is 409 with 272, and the log names no UID (STOW-064)."""
    service = starter(tmp_path / "data")
    large = dataset(Rows=1024, Columns=1024, PixelData=bytes(2 << 20))
    (tmp_path / "data" / "objects").rename(tmp_path / "aside")

    answer = service.store(part10(large))

    (tmp_path / "aside").rename(tmp_path / "data" / "objects")
    assert (answer.status, failures(answer)) == (409, [272])
    assert "a file could not be received" in service.log.read_text()
    assert str(large.SOPInstanceUID) not in service.log.read_text()
