"""Deleted small files give their space back while the service runs, and no crash or reader notices."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from systems.dicom_service.dicom.intake import examine
from systems.dicom_service.storage import catalog, schema
from systems.dicom_service.storage.blobs import BlobReader, Location, is_sealed
from systems.dicom_service.storage.compaction import Compactor, Relocate, Usage, usage, worth_emptying
from systems.dicom_service.storage.jobs import KeepInstances, NewInstance, Remove
from systems.dicom_service.storage.repair import repair
from systems.dicom_service.storage.writer import Writer
from tests.dicom_service.conftest import Starter, dataset, part10, path_of

ORIGINAL = "application/dicom; transfer-syntax=*"
_GRACE = 300.0


@dataclass
class _Folder:
    """A store without its web server; every `open` writer appends to a segment of its own."""

    path: Path
    clock: float = 0.0
    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("segments", "objects"):
            (self.path / name).mkdir(parents=True)
        schema.create(self.path / "index.sqlite")
        self.connection = schema.connect(self.path / "index.sqlite")
        self.open()

    def open(self) -> None:
        self.writer = Writer(self.path)
        self.reader = BlobReader(self.path / "segments", self.path / "objects")
        self.compactor = Compactor(self.path, self.writer, self.reader, grace=_GRACE, now=lambda: self.clock)

    def close(self) -> None:
        self.compactor.close()
        self.writer.close()
        self.reader.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def store(self, number: int) -> list[tuple[str, str, str]]:
        made = [dataset() for _ in range(number)]
        files = [part10(one) for one in made]
        news = [NewInstance(examine(file, version=2, study=None), file) for file in files]
        self.writer.run(KeepInstances(news))
        self.files |= {new.uids: file for new, file in zip(news, files, strict=True)}
        return [new.uids for new in news]

    def delete(self, uids: tuple[str, str, str]) -> None:
        assert self.writer.run(Remove(self.path / "objects", *uids)) == 1
        del self.files[uids]

    def place(self, uids: tuple[str, str, str]) -> Location:
        (found,) = catalog.instances(self.connection, *uids)
        return found.place

    def assert_whole(self) -> None:
        for uids, file in self.files.items():
            assert self.reader.read(self.place(uids)) == file
        count = self.connection.execute("SELECT COUNT(*) FROM instance").fetchone()[0]
        assert count == len(self.files)

    def segments(self) -> set[int]:
        return {int(path.stem) for path in (self.path / "segments").iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[_Folder]:
    made = _Folder(tmp_path / "data")
    yield made
    made.close()
    made.connection.close()


def test_half_dead_segment_is_emptied_and_removed(folder: _Folder) -> None:
    uids = folder.store(10)
    folder.reopen()
    for one in uids[:6]:
        folder.delete(one)

    assert folder.compactor.look() == 0, "its file stays for readers that know its places"
    folder.assert_whole()
    assert {folder.place(one).segment for one in uids[6:]} == {2}
    folder.clock += _GRACE
    freed = folder.compactor.look()

    assert freed > 6 * 500
    assert folder.segments() == {2}
    folder.assert_whole()


def test_mostly_living_segment_stays(folder: _Folder) -> None:
    uids = folder.store(10)
    folder.reopen()
    for one in uids[:4]:
        folder.delete(one)
    folder.compactor.look()
    assert {folder.place(one).segment for one in uids[4:]} == {1}


def test_segment_in_use_is_left_alone(folder: _Folder) -> None:
    uids = folder.store(4)
    for one in uids:
        folder.delete(one)
    assert not is_sealed(folder.path / "segments" / "00000001.segment")
    folder.compactor.look()
    folder.clock += _GRACE
    assert folder.compactor.look() == 0
    assert folder.segments() == {1}
    folder.store(1)
    folder.assert_whole()


def test_wholly_dead_segment_is_removed(folder: _Folder) -> None:
    for one in folder.store(3):
        folder.delete(one)
    folder.reopen()
    folder.compactor.look()
    folder.clock += _GRACE - 1
    folder.compactor.look()
    assert folder.segments() == {1}
    folder.clock += 1
    assert folder.compactor.look() > 0
    assert folder.segments() == set()


def test_many_small_segments_become_one(folder: _Folder) -> None:
    for _ in range(9):
        folder.store(2)
        folder.reopen()
    folder.compactor.look()
    folder.clock += _GRACE
    folder.compactor.look()
    assert folder.segments() == {10}
    folder.assert_whole()
    folder.reopen()
    folder.compactor.look()
    assert folder.segments() == {10}, "what was moved once stays"


def test_current_segment_is_sealed_when_mostly_dead() -> None:
    living = Usage(1, 200 << 20, 150 << 20, sealed=False)
    assert worth_emptying([living, Usage(2, 200 << 20, 10 << 20, sealed=False)]) == []
    assert worth_emptying([Usage(3, 200 << 20, 100 << 20, sealed=True)]) == [3]
    assert worth_emptying([Usage(4, 200 << 20, 0, sealed=True)]) == [], "nothing to copy"


def test_answer_that_has_begun_is_read_to_its_end(folder: _Folder) -> None:
    (kept, gone) = folder.store(2)
    places = [folder.place(kept), folder.place(gone)]
    sent = [folder.files[kept], folder.files[gone]]
    folder.reopen()
    with folder.reader.holding(places):
        folder.delete(gone)
        folder.compactor.look()
        folder.clock += _GRACE
        folder.compactor.look()
        folder.reader.let_go_of_removed()
        assert folder.segments() == {2}
        assert [folder.reader.read(place) for place in places] == sent
        folder.reader.let_go_of_removed()
    with pytest.raises(FileNotFoundError):
        folder.reader.read(places[0])
    folder.assert_whole()


def test_instance_deleted_while_it_is_moved_stays_deleted(folder: _Folder) -> None:
    first, second = folder.store(2)
    places = [folder.place(first), folder.place(second)]
    contents = [folder.files[first], folder.files[second]]
    folder.reopen()
    folder.delete(first)
    folder.writer.run(Relocate(places, contents))
    assert catalog.instances(folder.connection, *first) == []
    assert folder.place(second).segment == 2
    folder.assert_whole()


def test_segment_that_cannot_be_read_is_left_for_repair(
    folder: _Folder, caplog: pytest.LogCaptureFixture
) -> None:
    uids = folder.store(4)
    folder.reopen()
    for one in uids[:3]:
        folder.delete(one)
    path = folder.path / "segments" / "00000001.segment"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    # Fewer bytes than the living entry needs: neither moved nor removed, and said once.
    folder.compactor.look()
    folder.clock += _GRACE
    folder.compactor.look()
    assert folder.segments() >= {1}
    assert folder.place(uids[3]).segment == 1
    assert sum("cannot be read" in record.message for record in caplog.records) == 1
    path.write_bytes(whole)
    folder.assert_whole()


def test_any_history_keeps_every_living_byte(folder: _Folder) -> None:
    """Stores, deletions, restarts, repairs and looks in any order; a reader sees all that is stored after each."""
    chance = random.Random(20)  # noqa: S311 - the same history every time
    for _ in range(60):
        step = chance.choice(["store", "store", "delete", "delete", "look", "look", "reopen", "repair"])
        if step == "store":
            folder.store(chance.randint(1, 4))
        elif step == "delete" and folder.files:
            folder.delete(chance.choice(sorted(folder.files)))
        elif step == "look":
            folder.compactor.look()
            folder.clock += chance.choice([0, _GRACE])
        elif step == "reopen":
            folder.reopen()
        elif step == "repair":
            folder.close()
            repaired = repair(folder.path)
            assert repaired.missing_blobs == 0
            folder.open()
        folder.assert_whole()
    folder.reopen()
    folder.compactor.look()
    folder.clock += _GRACE
    folder.compactor.look()
    living = sum(map(len, folder.files.values()))
    assert sum(one.size for one in usage(folder.connection, folder.path / "segments")) <= 2 * living
    folder.assert_whole()


def test_originals_move_as_well(folder: _Folder) -> None:
    """The versions first stored, which bulk updates keep, lie in segments too."""
    latest, first, *others = folder.store(6)
    sent = folder.files[first]
    folder.connection.execute(
        """INSERT INTO original SELECT (SELECT watermark FROM instance WHERE sop_uid = ?), watermark, transfer_syntax,
        segment, object, offset, size, head_stop, tail_start, dropped FROM instance WHERE sop_uid = ?""",
        (latest[2], first[2]),
    )
    folder.reopen()
    for one in (first, *others):
        folder.delete(one)
    folder.compactor.look()
    segment, offset, size = folder.connection.execute("SELECT segment, offset, size FROM original").fetchone()
    assert segment == 2
    assert folder.reader.read(Location(segment, None, offset, size)) == sent
    folder.assert_whole()


def test_service_after_compaction_answers_as_before(starter: Starter, tmp_path: Path) -> None:
    """An index made before this version is taken over, and a service on a compacted folder serves it."""
    service = starter(tmp_path / "data")
    kept, gone = dataset(), [dataset() for _ in range(3)]
    sent = part10(kept)
    assert service.store(sent, *map(part10, gone)).status == 200
    for one in gone:
        assert service.request("DELETE", path_of(one)).status == 204
    assert service.stop() == 0
    connection = schema.connect(tmp_path / "data" / "index.sqlite")
    connection.execute("DROP INDEX instance_place")
    connection.execute(
        "CREATE INDEX instance_segment ON instance (segment, offset) WHERE segment IS NOT NULL"
    )
    schema.create(tmp_path / "data" / "index.sqlite")
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert "instance_place" in names
    assert "instance_segment" not in names
    connection.close()

    writer = Writer(tmp_path / "data")
    reader = BlobReader(tmp_path / "data" / "segments", tmp_path / "data" / "objects")
    compactor = Compactor(tmp_path / "data", writer, reader, grace=0)
    assert compactor.look() > 0
    for part in (compactor, writer, reader):
        part.close()

    again = starter(tmp_path / "data")
    assert again.get(path_of(kept), ORIGINAL).body == sent
    assert [path.name for path in (tmp_path / "data" / "segments").iterdir()] == ["00000002.segment"]
