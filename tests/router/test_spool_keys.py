"""The keys of the spool: which are needed, and that none is used for two objects in the same way."""

import asyncio
import errno
import hashlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from systems.router.config.limit_values import SpoolLimits
from systems.router.dimse.service import Peer, StoreRequest
from systems.router.errors import ConfigError, DamagedError
from systems.router.objects import Received
from systems.router.reception import receive
from systems.router.reconcile.index import instances_of, put_back
from systems.router.reconcile.repair import Repair
from systems.router.sealing import NO_KEYS, Keyring, SpoolKey
from systems.router.store.model import Acceptance, Effect, Settlement, Task
from systems.router.store.queue import SqliteQueue
from systems.router.store.spool import Spool
from tests.router.fakes import CT
from tests.router.test_encryption import KEY, OLD_KEY, holding
from tests.router.test_reception import EXPLICIT, UID, data_set
from tests.router.test_store import LIMITS, packs, received

FIRST, SECOND = SpoolKey(OLD_KEY), SpoolKey(KEY)
BODY = b"data set of a patient " * 40


def run(
    folder: Path,
    work: Callable[[SqliteQueue], Awaitable[None]],
    keys: Keyring,
    limits: SpoolLimits = LIMITS,
) -> None:
    async def inside() -> None:
        queue = SqliteQueue(folder, limits, keys)
        try:
            await work(queue)
        finally:
            await queue.close()

    asyncio.run(inside())


def keep(uid: str) -> Callable[[SqliteQueue], Awaitable[None]]:
    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received(uid, BODY), ["cloud"])

    return work


async def claimed(queue: SqliteQueue) -> dict[str, Task]:
    return {task.identity.sop_instance_uid: task for task in await queue.claim("cloud", 50, 1 << 30)}


def test_equal_objects_of_a_pack_look_nothing_alike(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in range(1, 6):
            await queue.accept(received(f"1.{n}", BODY), ["cloud"])
        (pack,) = packs(tmp_path)
        content = pack.read_bytes()
        tasks = await claimed(queue)
        blocks = [content[at : at + 16] for at in range(0, len(content), 16)]
        assert len(set(blocks)) == len(blocks)
        places = [task.location for task in tasks.values()]
        assert len({content[place.offset :][: place.length] for place in places}) == 5
        assert sum(task.location.length for task in tasks.values()) == len(content)
        for uid, task in tasks.items():
            assert queue.spool.read(task.location, task.digest, uid).endswith(BODY)
            with queue.spool.opened(task.location, uid) as file:
                assert file.read().endswith(BODY)

    run(tmp_path, work, Keyring(SECOND))


def test_object_whose_write_failed_is_encrypted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Spool.append
    attempts: list[bytes] = []

    def half(self: Spool, parts: list[bytes | memoryview]) -> bool:
        content = b"".join(parts)
        attempts.append(content)
        if len(attempts) < 3:
            write(self, [content[: len(content) // 2]])
            raise OSError(errno.EIO, "Input/output error")
        return write(self, parts)

    async def work(queue: SqliteQueue) -> None:
        monkeypatch.setattr(Spool, "append", half)
        # Two at once: the commit that fails is repeated for each of them alone.
        results = await asyncio.gather(
            *(queue.accept(received(f"1.{n}", BODY), ["cloud"]) for n in (1, 2)), return_exceptions=True
        )
        assert any(isinstance(result, OSError) for result in results)
        for n in (1, 2):
            await queue.accept(received(f"1.{n}", BODY), ["cloud"])
        monkeypatch.undo()
        tasks = await claimed(queue)
        assert len(tasks) == 2
        for uid, task in tasks.items():
            assert queue.spool.read(task.location, task.digest, uid).endswith(BODY)

    run(tmp_path, work, Keyring(SECOND))
    size = len(received("1.1", BODY).header) + len(BODY)
    # The plain text always begins with the same 128 zeros, so this shows the beginning of the key stream.
    streams = [attempt[at : at + 64] for attempt in attempts for at in range(0, len(attempt), size)]
    assert len(streams) > 3
    assert len(set(streams)) == len(streams)
    assert bytes(64) not in streams


def test_large_object_is_never_in_plain_text_not_even_while_it_arrives(tmp_path: Path) -> None:
    content = data_set(400_000)
    inside = content[200_000:200_064]
    seen: list[list[str]] = []

    class Wire:
        async def __aiter__(self) -> AsyncIterator[memoryview]:
            for start in range(0, len(content), 5000):
                yield memoryview(content[start : start + 5000])
                if start == 350_000:
                    seen.append(holding(tmp_path, inside))
                    assert sum(file.stat().st_size for file in (tmp_path / "incoming").iterdir()) > 250_000

    def take(keys: Keyring) -> Received:
        request = StoreRequest(Peer(1, "GDCM", "QIEROUTER", "127.0.0.1", 1), 1, CT, UID, EXPLICIT, Wire())
        limits = replace(LIMITS, memory_object_bytes=50_000)
        return asyncio.run(receive(request, "modality-intake", Spool(tmp_path, LIMITS, keys), limits))

    encrypted = take(Keyring(SECOND))
    assert seen == [[]]
    assert holding(tmp_path, inside) == []
    assert b"".join(encrypted.chunks()) == encrypted.header + content
    plain = take(NO_KEYS)
    assert len(holding(tmp_path, inside)) == 1, "the search finds what is there"
    assert plain.digest == encrypted.digest
    assert encrypted.matches(hashlib.sha256(content).hexdigest())
    assert not encrypted.matches(hashlib.sha256(content + b"x").hexdigest())
    assert encrypted.file is not None
    assert encrypted.file.stat().st_mode & 0o077 == 0


def test_start_is_refused_without_a_key_that_waiting_objects_need(tmp_path: Path) -> None:
    run(tmp_path, keep("1.1"), NO_KEYS)
    run(tmp_path, keep("1.2"), Keyring(FIRST))
    run(tmp_path, keep("1.3"), Keyring(SECOND, [FIRST]))
    before = {file: file.read_bytes() for file in packs(tmp_path)}
    for keys in (NO_KEYS, Keyring(SECOND), Keyring(SpoolKey(bytes(32)), [SECOND])):
        with pytest.raises(
            ConfigError, match=rf"spool.old_key_files.*{FIRST.identifier} \(1 objects\)"
        ) as refused:
            run(tmp_path, keep("1.4"), keys)
        assert KEY.hex() not in str(refused.value)
        assert OLD_KEY.hex() not in str(refused.value)
    assert {file: file.read_bytes() for file in packs(tmp_path)} == before

    async def deliver(queue: SqliteQueue) -> None:
        tasks = await claimed(queue)
        assert sorted(tasks) == ["1.1", "1.2", "1.3"]
        for uid, task in tasks.items():
            assert queue.spool.read(task.location, task.digest, uid).endswith(BODY)
        done = [Settlement(task, Effect.DELIVERED) for uid, task in tasks.items() if uid != "1.3"]
        await queue.settle(done)

    run(tmp_path, deliver, Keyring(SECOND, [FIRST]))
    run(tmp_path, keep("1.4"), Keyring(SECOND))


@pytest.mark.parametrize("kind", ["dead", "held"])
def test_dead_letters_and_held_objects_need_their_key_too(tmp_path: Path, kind: str) -> None:
    async def work(queue: SqliteQueue) -> None:
        if kind == "held":
            await queue.keep_apart(received("1.1", BODY), "held")
            return
        await queue.accept(received("1.1", BODY), ["cloud"])
        (task,) = (await claimed(queue)).values()
        await queue.settle([Settlement(task, Effect.DEAD)])

    run(tmp_path, work, Keyring(FIRST))
    with pytest.raises(ConfigError, match=FIRST.identifier):
        run(tmp_path, keep("1.2"), Keyring(SECOND))


def test_copies_that_nobody_waits_for_do_not_keep_the_router_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def before(queue: SqliteQueue) -> None:
        await queue.accept(received("1.1", BODY), ["cloud"])
        await queue.keep_apart(received("1.1", b"other"), "conflict")
        tasks = await claimed(queue)
        await queue.settle([Settlement(task, Effect.DELIVERED) for task in tasks.values()])

    async def after(queue: SqliteQueue) -> None:
        known = await queue.perform(lambda tx: instances_of(tx, "1.1"))
        location = known["1.1"].location
        assert location is not None
        with pytest.raises(DamagedError, match=FIRST.identifier):
            queue.spool.read(location, known["1.1"].digest, "1.1")
        with pytest.raises(DamagedError, match=FIRST.identifier):
            queue.spool.opened(location, "1.1")
        assert not queue.spool.looks_whole(location, known["1.1"].digest, "1.1")

    kept = replace(LIMITS, keep_delivered_seconds=1e6)
    run(tmp_path, before, Keyring(FIRST), kept)
    with caplog.at_level(logging.WARNING):
        run(tmp_path, after, Keyring(SECOND), kept)
    assert any(f"key {FIRST.identifier}" in record.getMessage() for record in caplog.records)


def test_damaged_copy_is_replaced_under_the_key_of_the_day(tmp_path: Path) -> None:
    run(tmp_path, keep("1.1"), Keyring(FIRST))

    async def work(queue: SqliteQueue) -> None:
        (pack,) = packs(tmp_path)
        pack.write_bytes(bytes(pack.stat().st_size))
        again = await queue.accept(received("1.1", BODY), ["cloud"])
        assert again.acceptance is Acceptance.DUPLICATE
        (task,) = (await claimed(queue)).values()
        assert task.location.seal is not None
        assert task.location.seal.key_id == SECOND.identifier
        assert queue.spool.read(task.location, task.digest, "1.1").endswith(BODY)

    run(tmp_path, work, Keyring(SECOND, [FIRST]))


def test_copy_that_is_put_back_is_encrypted(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received("1.1", BODY), ["cloud"])
        (task,) = (await claimed(queue)).values()
        await queue.settle([Settlement(task, Effect.DELIVERED)])
        assert packs(tmp_path) == []
        expected = (await queue.perform(lambda tx: instances_of(tx, "1.1")))["1.1"]
        assert expected.location is None
        copy = received("1.1", BODY)
        assert await queue.perform(lambda tx: put_back(tx, expected, "cloud", copy))
        (again,) = (await claimed(queue)).values()
        assert holding(tmp_path, BODY[:22]) == []
        assert queue.spool.read(again.location, again.digest, "1.1").endswith(BODY)

    run(tmp_path, work, Keyring(SECOND))


def test_large_copy_of_a_repair_is_encrypted(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        await queue.accept(received("1.1", BODY), ["cloud"])
        (task,) = (await claimed(queue)).values()
        await queue.settle([Settlement(task, Effect.DELIVERED)])
        expected = (await queue.perform(lambda tx: instances_of(tx, "1.1")))["1.1"]
        original = received("1.1", BODY)
        copy = tmp_path.with_suffix(".copy")
        copy.write_bytes(original.header + BODY)
        made = Repair(queue, {}, 100)._received(expected, copy)
        assert (made.size, made.file is not None) == (original.size, True)
        assert holding(tmp_path, BODY[:22]) == []
        assert await queue.perform(lambda tx: put_back(tx, expected, "cloud", made))
        (again,) = (await claimed(queue)).values()
        assert again.location.seal is not None
        assert queue.spool.read(again.location, again.digest, "1.1") == original.header + BODY

    run(tmp_path, work, Keyring(SECOND))


def test_delivered_object_is_blanked_beside_one_that_waits(tmp_path: Path) -> None:
    async def work(queue: SqliteQueue) -> None:
        for n in (1, 2):
            await queue.accept(received(f"1.{n}", BODY), ["cloud"])
        (pack,) = packs(tmp_path)
        tasks = await claimed(queue)
        first, second = tasks["1.1"].location, tasks["1.2"]
        was = pack.read_bytes()[: first.length]
        await queue.settle([Settlement(tasks["1.1"], Effect.DELIVERED)])
        await queue.expire()
        assert pack.read_bytes()[: first.length] == bytes(first.length) != was
        assert queue.spool.read(second.location, second.digest, "1.2").endswith(BODY)

    run(tmp_path, work, Keyring(SECOND))


def test_index_has_no_key_column_values_without_encryption(tmp_path: Path) -> None:
    run(tmp_path, keep("1.1"), NO_KEYS)
    connection = sqlite3.connect(tmp_path / "index.sqlite")
    assert connection.execute("SELECT key_id, salt FROM object").fetchall() == [("", None)]
    connection.close()
