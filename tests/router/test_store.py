"""The durable queue by itself: what a failing disk, a newer release and a cut audit file may not do."""

import asyncio
import errno
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from systems.router import digests
from systems.router.config.limit_values import SpoolLimits
from systems.router.errors import ResourceError
from systems.router.objects import Identity, Received
from systems.router.store.audit import broken_link
from systems.router.store.model import Acceptance, Effect, Settlement
from systems.router.store.queue import SqliteQueue
from systems.router.store.schema import VERSION
from systems.router.store.spool import Spool
from tests.router.fakes import CT

LIMITS = SpoolLimits(0, 100, 100, 0, 1e9, 1 << 20)
BOTH = ["ORTHANC", "cloud"]


def received(
    uid: str,
    body: bytes = b"data set",
    file: Path | None = None,
    study: str = "1.1",
    algorithm: digests.Algorithm = "blake3",
) -> Received:
    identity = Identity(uid, CT, "1.2", study, "1.2.840.10008.1.2.1")
    digest = digests.new(algorithm)
    digest.update(body)
    made = Received(identity, digest.text(), 0, "modality-intake", "GDCM", "QIEROUTER", [body], file)
    made.size = len(made.header) + len(body)
    if file is not None:
        file.write_bytes(made.header + body)
        made.body = []
    return made


def run(folder: Path, work: Callable[[SqliteQueue], Awaitable[None]], limits: SpoolLimits = LIMITS) -> None:
    async def inside() -> None:
        queue = SqliteQueue(folder, limits)
        try:
            await work(queue)
        finally:
            await queue.close()

    asyncio.run(inside())


def packs(folder: Path) -> list[Path]:
    return list((folder / "spool" / "packs").iterdir())


def test_concurrent_arrivals_share_a_pack_and_read_back_whole(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        bodies = {f"1.{n}": bytes([n]) * 500 for n in range(1, 21)}
        await asyncio.gather(*(queue.accept(received(uid, body), BOTH) for uid, body in bodies.items()))
        assert len(packs(tmp_path)) < 20
        tasks = await queue.claim("cloud", 50, 1 << 20)
        for task in tasks:
            content = queue.spool.read(task.location, task.digest, task.identity.sop_instance_uid)
            assert content.endswith(bodies[task.identity.sop_instance_uid])
        await queue.settle([Settlement(task, Effect.DELIVERED) for task in tasks])
        assert packs(tmp_path)
        tasks = await queue.claim("ORTHANC", 50, 1 << 20)
        await queue.settle([Settlement(task, Effect.DELIVERED) for task in tasks])
        assert packs(tmp_path) == []
        assert queue.snapshot().spool_bytes == 0

    run(tmp_path, work)


def test_pack_is_appended_to_and_what_failed_to_be_written_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Spool.append

    def half(self: Spool, parts: list[bytes | memoryview]) -> bool:
        content = b"".join(parts)
        write(self, [content[: len(content) // 2]])
        raise OSError(errno.EIO, "Input/output error")

    async def work(queue: SqliteQueue) -> None:
        for n in range(1, 4):
            await queue.accept(received(f"1.{n}", bytes([n]) * 700), ["cloud"])
        (pack,) = packs(tmp_path)
        size = pack.stat().st_size
        assert queue.snapshot().spool_bytes == size
        monkeypatch.setattr(Spool, "append", half)
        with pytest.raises(OSError, match="Input"):
            await queue.accept(received("1.4", b"\4" * 700), ["cloud"])
        monkeypatch.undo()
        assert pack.stat().st_size == size
        await queue.accept(received("1.5", b"\5" * 700), ["cloud"])
        assert len(packs(tmp_path)) == 2, "a pack whose write failed is not trusted with more"
        tasks = await queue.claim("cloud", 9, 1 << 20)
        for task in tasks:
            content = queue.spool.read(task.location, task.digest, task.identity.sop_instance_uid)
            assert content[-700:] == bytes([int(task.identity.sop_instance_uid[2:])]) * 700
        await queue.settle([Settlement(task, Effect.DELIVERED) for task in tasks])
        assert len(tasks) == 4
        assert packs(tmp_path) == []
        assert queue.snapshot().spool_bytes == 0

    run(tmp_path, work)


def test_full_pack_is_followed_by_another(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in range(1, 8):
            await queue.accept(received(f"1.{n}", bytes([n]) * 1_000_000), ["cloud"])
        assert sorted(file.stat().st_size // 1_000_000 for file in packs(tmp_path)) == [2, 5]
        tasks = await queue.claim("cloud", 5, 1 << 30)
        await queue.settle([Settlement(task, Effect.DELIVERED) for task in tasks])
        assert len(packs(tmp_path)) == 1

    run(tmp_path, work)


def test_same_uid_twice_at_once_is_one_object(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        answers = await asyncio.gather(*(queue.accept(received("1.5"), BOTH) for _ in range(6)))
        assert [answer.acceptance for answer in answers].count(Acceptance.STORED) == 1
        counts = queue.snapshot().destinations["cloud"]
        assert (counts.accepted, counts.waiting, counts.duplicates) == (6, 1, 5)

    run(tmp_path, work)


def test_full_disk_refuses_cleanly_and_the_next_object_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Spool.append

    def full(self: Spool, parts: list[bytes | memoryview]) -> bool:
        write(self, [b"".join(parts)[:10]])
        raise OSError(errno.ENOSPC, "No space left on device")

    async def work(queue: SqliteQueue) -> None:
        large = tmp_path / "spool" / "incoming" / "large.dcm"
        monkeypatch.setattr(Spool, "append", full)
        with pytest.raises(OSError, match="No space"):
            await queue.accept(received("1.6"), BOTH)
        kept, lost = await asyncio.gather(
            queue.accept(received("1.8", file=large), BOTH),
            queue.accept(received("1.7"), BOTH),
            return_exceptions=True,
        )
        assert isinstance(lost, OSError)
        assert not isinstance(kept, BaseException)
        monkeypatch.undo()
        assert len(packs(tmp_path)) == 1
        assert queue.snapshot().destinations["cloud"].accepted == 1
        assert (await queue.accept(received("1.6"), BOTH)).acceptance is Acceptance.STORED

    run(tmp_path, work)
    assert broken_link(tmp_path / "audit") is None


def test_interrupted_delivery_is_uncertain_after_the_restart(tmp_path: Path) -> None:
    async def before(queue: SqliteQueue) -> None:
        await queue.accept(received("1.9"), BOTH)
        (task,) = await queue.claim("cloud", 5, 1 << 20)
        assert not task.uncertain

    async def after(queue: SqliteQueue) -> None:
        (task,) = await queue.claim("cloud", 5, 1 << 20)
        assert task.uncertain
        (other,) = await queue.claim("ORTHANC", 5, 1 << 20)
        assert not other.uncertain

    run(tmp_path, before)
    run(tmp_path, after)


def test_claims_respect_time_size_and_solo(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in range(1, 6):
            await queue.accept(received(f"1.{n}", bytes(1000)), ["cloud"])
        first, second = await queue.claim("cloud", 5, 3000)
        await queue.settle(
            [
                Settlement(first, Effect.TRANSIENT, not_before=9e12, until_recovery=True),
                Settlement(second, Effect.FAILED, solo=True),
            ]
        )
        (alone,) = await queue.claim("cloud", 5, 1 << 20)
        assert (alone.identity.sop_instance_uid, alone.failures) == ("1.2", 1)
        assert len(await queue.claim("cloud", 5, 1 << 20)) == 3
        assert await queue.claim("cloud", 5, 1 << 20) == []
        await queue.release("cloud")
        (released,) = await queue.claim("cloud", 5, 1 << 20)
        assert released.identity.sop_instance_uid == "1.1"

    run(tmp_path, work)


def test_batch_is_of_one_study_and_the_oldest_study_goes_first(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in range(1, 7):
            await queue.accept(received(f"1.{n}", study=f"2.{n % 2}"), ["cloud"])
        claimed = [await queue.claim("cloud", 2, 1 << 20) for _ in range(4)]
        uids = [[task.identity.sop_instance_uid for task in batch] for batch in claimed]
        assert uids == [["1.1", "1.3"], ["1.2", "1.4"], ["1.5"], ["1.6"]]

    run(tmp_path, work)


def test_probe_avoids_what_the_destination_may_have_stumbled_over(tmp_path: Path) -> None:
    async def probe(queue: SqliteQueue, avoid: list[int]) -> str:
        (task,) = await queue.claim_probe("cloud", avoid)
        await queue.settle([Settlement(task, Effect.OUTAGE)])
        return task.identity.sop_instance_uid

    async def work(queue: SqliteQueue) -> None:
        for n in range(1, 4):
            await queue.accept(received(f"1.{n}"), ["cloud"])
        seen = [await probe(queue, avoid) for avoid in ([], [1], [1, 2], [1, 2, 3], [1, 2, 3])]
        assert seen == ["1.1", "1.2", "1.3", "1.1", "1.2"]

    run(tmp_path, work)


def test_restart_forgets_what_only_waited_for_the_destination(tmp_path: Path) -> None:
    async def before(queue: SqliteQueue) -> None:
        for n in range(1, 3):
            await queue.accept(received(f"1.{n}"), ["cloud"])
        first, second = await queue.claim("cloud", 5, 1 << 20)
        waiting = Settlement(first, Effect.TRANSIENT, not_before=9e12, until_recovery=True)
        await queue.settle([waiting, Settlement(second, Effect.FAILED, not_before=9e12)])

    async def after(queue: SqliteQueue) -> None:
        (task,) = await queue.claim("cloud", 5, 1 << 20)
        assert task.identity.sop_instance_uid == "1.1"
        await queue.release("cloud", everything=True)
        (task,) = await queue.claim("cloud", 5, 1 << 20)
        assert task.identity.sop_instance_uid == "1.2"

    run(tmp_path, before)
    run(tmp_path, after)


def test_digest_record_outlives_the_object_for_its_time(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received("1.4"), ["cloud"])
        await queue.settle([Settlement(t, Effect.DELIVERED) for t in await queue.claim("cloud", 5, 1 << 20)])
        assert (await queue.accept(received("1.4"), ["cloud"])).acceptance is Acceptance.DUPLICATE
        assert (await queue.accept(received("1.4", b"other"), ["cloud"])).acceptance is Acceptance.DIFFERS
        await queue.expire()
        assert await queue.instance("1.4") == []
        counts = queue.snapshot().destinations["cloud"]
        assert (counts.accepted, counts.delivered, counts.duplicates) == (2, 1, 1)

    run(tmp_path, work, SpoolLimits(0, 100, 100, 0, -1, 1 << 20))


@pytest.mark.parametrize(("first", "then"), [("sha256", "blake3"), ("blake3", "sha256")])
@pytest.mark.parametrize("in_file", [False, True])
def test_objects_are_known_and_checked_after_the_kind_of_digest_was_changed(
    tmp_path: Path, first: digests.Algorithm, then: digests.Algorithm, *, in_file: bool
) -> None:
    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received("1.4", algorithm=first), ["cloud"])
        file = tmp_path / "large" if in_file else None
        again = received("1.4", file=file, algorithm=then)
        assert (await queue.accept(again, ["cloud"])).acceptance is Acceptance.DUPLICATE
        other = received("1.4", b"other", file, algorithm=then)
        assert (await queue.accept(other, ["cloud"])).acceptance is Acceptance.DIFFERS
        (task,) = await queue.claim("cloud", 5, 1 << 20)
        assert digests.algorithm_of(task.digest) == first
        assert queue.spool.read(task.location, task.digest, "1.4").endswith(b"data set")
        queue.spool.check(task.location, task.digest, "1.4")

    run(tmp_path, work)


def test_newer_index_is_refused_untouched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    before = (tmp_path / "index.sqlite").read_bytes()

    with pytest.raises(ResourceError, match="newer router"):
        run(tmp_path, lambda queue: queue.expire())
    assert (tmp_path / "index.sqlite").read_bytes() == before


def test_audit_file_cut_at_any_byte_is_completed_from_the_outbox(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in range(5):
            await queue.note("event", number=n)

    run(tmp_path, work)
    (file,) = (tmp_path / "audit").iterdir()
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    rows = [(n + 1, line.decode()) for n, line in enumerate(lines)]
    for cut in (0, 10, len(lines[0]), len(whole) - 1, len(whole)):
        file.write_bytes(whole[:cut])
        with sqlite3.connect(tmp_path / "index.sqlite") as connection:
            connection.executemany("INSERT OR REPLACE INTO audit_outbox VALUES(?, ?)", rows)
        run(tmp_path, lambda queue: queue.expire())
        assert file.read_bytes() == whole, cut
    assert broken_link(tmp_path / "audit") is None


def test_altered_audit_line_is_found(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in range(3):
            await queue.note("event", number=n)

    run(tmp_path, work)
    (file,) = (tmp_path / "audit").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"number":1', b'"number":7'))
    assert broken_link(tmp_path / "audit") == 2
