"""What has left the spool is not in its files either, also where a pack is shared with what waits (CLAIM-INTEGRITY-12)."""

from pathlib import Path

from systems.router.store.model import Effect, Settlement
from systems.router.store.queue import SqliteQueue
from tests.router.test_store import packs, received, run


def _holding(folder: Path, body: bytes) -> bool:
    return any(body in pack.read_bytes() for pack in packs(folder))


def test_delivered_object_is_blanked_in_a_pack_that_others_wait_in(tmp_path: Path) -> None:
    bodies = {f"1.{n}": bytes([64 + n]) * 500 for n in range(1, 6)}

    async def work(queue: SqliteQueue) -> None:
        for uid, body in bodies.items():
            await queue.accept(received(uid, body), ["cloud"])
        assert len(packs(tmp_path)) == 1
        tasks = {task.identity.sop_instance_uid: task for task in await queue.claim("cloud", 50, 1 << 20)}
        gone = ("1.1", "1.3", "1.4")
        await queue.settle([Settlement(tasks[uid], Effect.DELIVERED) for uid in gone])
        assert _holding(tmp_path, bodies["1.1"]), "the search finds nothing even before the cleaning"
        await queue.expire()
        assert [uid for uid in gone if _holding(tmp_path, bodies[uid])] == []
        await queue.accept(received("1.9", b"later" * 100), ["cloud"])
        (later,) = await queue.claim("cloud", 50, 1 << 20)
        for task in (tasks["1.2"], tasks["1.5"], later):
            queue.spool.read(task.location, task.digest, task.identity.sop_instance_uid)

    run(tmp_path, work)


def test_what_a_stop_left_in_a_shared_pack_is_blanked_after_the_start(tmp_path: Path) -> None:
    async def deliver(queue: SqliteQueue) -> None:
        for uid, body in (("1.1", b"G" * 500), ("1.2", b"H" * 500)):
            await queue.accept(received(uid, body), ["cloud"])
        first, _ = await queue.claim("cloud", 50, 1 << 20)
        await queue.settle([Settlement(first, Effect.DELIVERED)])

    async def clean(queue: SqliteQueue) -> None:
        await queue.expire()
        assert not _holding(tmp_path, b"G" * 500)
        (waiting,) = await queue.claim("cloud", 50, 1 << 20)
        queue.spool.read(waiting.location, waiting.digest, waiting.identity.sop_instance_uid)

    run(tmp_path, deliver)
    run(tmp_path, clean)
