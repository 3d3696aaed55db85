"""Disks that are full or damaged, databases that are locked, clocks that are set: nothing acknowledged is lost."""

import asyncio
import errno
import io
import sqlite3
import time
from pathlib import Path

import orjson
import pytest

from fixtures.waiting import eventually
from systems.router.errors import ResourceError
from systems.router.store import audit as audit_module
from systems.router.store.audit import broken_link, read_since
from systems.router.store.model import Acceptance, Effect, Settlement
from systems.router.store.queue import SqliteQueue
from systems.router.store.spool import Spool
from tests.router.conftest import RouterProcess
from tests.router.fakes import FakeCloud, make_dataset, send
from tests.router.test_store import BOTH, received, run
from tests.router_ops.sides import command


class FullDisk(io.FileIO):
    """A file on a disk that takes only so many bytes more."""

    left = 1 << 40

    def write(self, content: object) -> int:
        view = memoryview(content).cast("B")  # type: ignore[arg-type]
        if view and not FullDisk.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(view[: FullDisk.left])
        FullDisk.left -= written
        return written


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> type[FullDisk]:
    FullDisk.left = 1 << 40
    monkeypatch.setattr(audit_module, "_open", lambda path: FullDisk(path, "ab"))
    return FullDisk


def test_audit_file_on_a_full_disk_fails_no_store_and_loses_no_line(
    tmp_path: Path, full_disk: type[FullDisk]
) -> None:
    async def work(queue: SqliteQueue) -> None:
        await queue.note("before")
        full_disk.left = 7
        stored = await asyncio.gather(*(queue.accept(received(f"1.{n}"), BOTH) for n in range(3)))
        assert {each.acceptance for each in stored} == {Acceptance.STORED}
        assert queue.snapshot().destinations["cloud"].accepted == 3
        full_disk.left = 1 << 40
        await queue.note("after")

    run(tmp_path, work)
    assert broken_link(tmp_path / "audit") is None
    events = [orjson.loads(line)["event"] for line in read_since(tmp_path / "audit", 0)]
    assert events == ["before", "received", "received", "received", "after"]


def test_disk_that_stays_full_leaves_the_lines_to_the_next_start(
    tmp_path: Path, full_disk: type[FullDisk]
) -> None:
    async def work(queue: SqliteQueue) -> None:
        full_disk.left = 11
        await queue.accept(received("1.1"), BOTH)

    run(tmp_path, work)
    full_disk.left = 1 << 40
    run(tmp_path, lambda queue: queue.expire())
    assert broken_link(tmp_path / "audit") is None
    assert [orjson.loads(line)["event"] for line in read_since(tmp_path / "audit", 0)] == ["received"]


def test_audit_file_is_followed_by_another_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "_ROTATE_BYTES", 400)

    async def work(queue: SqliteQueue) -> None:
        for number in range(12):
            await queue.note("event", number=number)

    run(tmp_path, work)
    assert len(list((tmp_path / "audit").iterdir())) > 2
    assert broken_link(tmp_path / "audit") is None
    assert len(list(read_since(tmp_path / "audit", 0))) == 12


def test_pack_that_cannot_be_removed_fails_no_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Spool, pack: str) -> None:
        raise OSError(errno.EIO, f"{self} keeps {pack}")

    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received("1.1"), ["cloud"])
        tasks = await queue.claim("cloud", 1, 1 << 20)
        monkeypatch.setattr(Spool, "remove", refuse)
        await queue.settle([Settlement(tasks[0], Effect.DELIVERED)])
        monkeypatch.undo()
        assert queue.snapshot().destinations["cloud"].delivered == 1

    run(tmp_path, work)
    run(tmp_path, lambda queue: queue.expire())
    assert not list((tmp_path / "spool" / "packs").iterdir())


def test_locked_index_refuses_for_a_while_and_nothing_remains(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    with sqlite3.connect(router.data / "index.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert send(router.intake, [make_dataset()]) == [0xA700]
        other.execute("ROLLBACK")
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: list(cloud.stored) == [ds.SOPInstanceUID], within=10, because="the second object only")
    # Refusals are counted in the index as well, which could not be written then.
    assert router.path("modality-intake")["received"] == 1


@pytest.mark.parametrize("damage", [b"this is no database, it is far too friendly for one", b""])
def test_damaged_index_ends_the_start_with_one_line_and_is_not_touched(
    router: RouterProcess, cloud: FakeCloud, damage: bytes
) -> None:
    cloud.stop()
    assert send(router.intake, [make_dataset()]) == [0]
    assert router.stop() == 0
    index = router.data / "index.sqlite"
    for extra in ("index.sqlite-wal", "index.sqlite-shm"):
        (router.data / extra).unlink(missing_ok=True)
    whole = index.read_bytes()
    broken = damage or whole[:4096] + bytes(len(whole) - 4096)
    index.write_bytes(broken)
    done = command(router, "serve")
    assert done.returncode == 3, done.stderr
    assert "index.sqlite" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert index.read_bytes()[:4096] == broken[:4096]
    cloud.start()


def test_damaged_audit_line_ends_the_start_with_one_line(tmp_path: Path) -> None:
    run(tmp_path, lambda queue: queue.note("event"))
    (file,) = (tmp_path / "audit").iterdir()
    file.write_bytes(b"\0" * 100 + b"\n")
    with pytest.raises(ResourceError, match="is no audit line"):
        run(tmp_path, lambda queue: queue.note("event"))


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_clock_that_is_set_does_not_change_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received("1.1"), ["cloud"])
        (task,) = await queue.claim("cloud", 1, 1 << 20)
        due = time.time() + 30
        await queue.settle([Settlement(task, Effect.TRANSIENT, not_before=due)])
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        await queue.note("event")
        moved = await queue.next_due("cloud")
        assert moved is not None
        assert abs(moved - (due + jump)) < 1
        assert await queue.claim("cloud", 1, 1 << 20) == []
        monkeypatch.undo()
        await queue.note("event")
        assert abs((await queue.next_due("cloud") or 0) - due) < 1

    run(tmp_path, work)
    events = [orjson.loads(line)["event"] for line in read_since(tmp_path / "audit", 0)]
    assert events.count("clock set") == 2


def test_spool_that_went_away_is_not_ready_and_refuses(router: RouterProcess) -> None:
    """ROUTER-156."""
    packs = router.data / "spool" / "packs"
    packs.rename(packs.with_name("elsewhere"))
    answer = router.ask("GET", "/health/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["the spool cannot be written"])
    assert send(router.intake, [make_dataset()]) == [0xA700]
    packs.with_name("elsewhere").rename(packs)
    assert router.ask("GET", "/health/ready").status_code == 200
    assert send(router.intake, [make_dataset()]) == [0]
