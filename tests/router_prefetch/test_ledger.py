"""The durable work items of the prefetch."""

import asyncio
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from systems.router.prefetch import ledger, returns
from systems.router.prefetch.ledger import PrefetchFullError, StudyOutcome, TriggerLedger
from systems.router.prefetch.returns import Returns
from systems.router.prefetch.trigger import Patient, Trigger
from systems.router.side_database import SideDatabase
from tests.router.test_store import received

T = TypeVar("T")


def trigger(patient: str = "42", family: str = "Doe", **values: Any) -> Trigger:
    of = Patient(patient, names=((family, "Jane"),))
    return Trigger(
        **{"source": "hl7", "reference": "MSG", "message_type": "ORM^O01", "patient": of, **values}
    )


def with_ledger(folder: Path, work: Callable[[TriggerLedger], Awaitable[T]], **values: Any) -> T:
    async def opened() -> T:
        database = SideDatabase(folder / "prefetch.sqlite", ledger.SCHEMA + returns.SCHEMA, "ledger")
        settings: dict[str, Any] = {"window_seconds": 300.0, "max_waiting": 100, "by_order": False, **values}
        made = TriggerLedger(database, **settings)
        await made.recover()
        try:
            return await work(made)
        finally:
            database.close()

    return asyncio.run(opened())


def test_trigger_survives_and_what_was_interrupted_waits_again(tmp_path: Path) -> None:
    """ROUTER-136: what was acknowledged is there after a crash, also when it was being worked on."""

    async def before(book: TriggerLedger) -> None:
        await book.accept(trigger())
        assert await book.claim() is not None

    async def after(book: TriggerLedger) -> Trigger:
        item = await book.claim()
        assert item is not None
        assert item.attempts == 2
        return item.trigger

    with_ledger(tmp_path, before)
    assert with_ledger(tmp_path, after) == trigger()


def test_triggers_of_a_patient_within_the_window_are_merged(tmp_path: Path) -> None:
    """ROUTER-145: one run; another patient, name or a window gone by makes a run of its own."""

    async def work(book: TriggerLedger) -> None:
        first = await book.accept(trigger())
        assert not first.merged
        assert await book.accept(trigger(reference="OTHER")) == ledger.Recorded(first.number, merged=True)
        item = await book.claim()
        assert item is not None
        assert (await book.accept(trigger())).merged
        await book.finish(item, "done")
        assert (await book.accept(trigger())).merged
        assert not (await book.accept(trigger("43"))).merged
        assert not (await book.accept(trigger(family="Roe"))).merged
        report = await book.report(first.number)
        assert report is not None
        assert report["merged"] == 3

    with_ledger(tmp_path, work)

    async def later(book: TriggerLedger) -> None:
        assert not (await book.accept(trigger())).merged

    with_ledger(tmp_path, later, window_seconds=0.0)


def test_failed_and_stopped_triggers_swallow_no_new_one(tmp_path: Path) -> None:
    """ROUTER-145: only success merges what comes later."""

    async def work(book: TriggerLedger) -> None:
        for state in ("failed", "stopped"):
            recorded = await book.accept(trigger())
            assert not recorded.merged
            item = await book.claim()
            assert item is not None
            await book.finish(item, state, "why")
            assert not await book.retry(999)
        assert await book.retry(recorded.number)
        again = await book.claim()
        assert again is not None
        assert again.number == recorded.number

    with_ledger(tmp_path, work)


def test_one_patient_is_worked_on_once_at_a_time(tmp_path: Path) -> None:
    """ROUTER-143: the limit per patient holds also for triggers that are not merged."""

    async def work(book: TriggerLedger) -> None:
        await book.accept(trigger(modality="CT"))
        await book.accept(trigger(modality="MR"))
        await book.accept(trigger("43"))
        first, second = await book.claim(), await book.claim()
        assert first is not None
        assert second is not None
        assert second.trigger.patient.patient_id == "43"
        assert await book.claim() is None
        await book.finish(first, "done")
        third = await book.claim()
        assert third is not None
        assert third.trigger.modality == "MR"

    with_ledger(tmp_path, work, by_order=True)


def test_number_of_waiting_triggers_is_bounded(tmp_path: Path) -> None:
    """ROUTER-136: no acknowledgement that nothing stands behind."""

    async def work(book: TriggerLedger) -> None:
        await book.accept(trigger("1"))
        with pytest.raises(PrefetchFullError, match="max_waiting"):
            await book.accept(trigger("2"))
        assert (await book.accept(trigger("1"))).merged

    with_ledger(tmp_path, work, max_waiting=1)


def test_study_triggers_with_its_first_instance_only(tmp_path: Path) -> None:
    """ROUTER-137: also over a restart."""

    async def work(book: TriggerLedger) -> ledger.Recorded | None:
        return await book.accept_first(trigger(study_instance_uid="1.2"))

    assert with_ledger(tmp_path, work) is not None
    assert with_ledger(tmp_path, work) is None


def _naming(folder: Path, name: bytes) -> list[str]:
    return [file.name for file in folder.iterdir() if name in file.read_bytes()]


def test_done_triggers_name_nobody_any_more(tmp_path: Path) -> None:
    """ROUTER-159: patient data are kept only while they are needed, readable by the router alone."""

    async def work(book: TriggerLedger) -> None:
        await book.accept(trigger("SECRET-ID"))
        item = await book.claim()
        assert item is not None
        await book.studies(item, [StudyOutcome("1.2", "fetched", "", 3)])
        await book.studies(item, [StudyOutcome("1.2", "present", "", 0)])
        assert _naming(tmp_path, b"SECRET-ID"), "the search finds nothing even while the patient is needed"
        await book.finish(item, "done")
        assert _naming(tmp_path, b"SECRET-ID") == [], (
            "CLAIM-INTEGRITY-07: left behind in the database's files"
        )
        report = await book.report(item.number)
        assert report is not None
        assert report["studies"] == [
            {"study_instance_uid": "1.2", "outcome": "fetched", "reason": "", "instances": 3}
        ]
        totals = await book.totals()
        assert (totals["triggers"]["done"], totals["instances"]) == (1, 3)

    with_ledger(tmp_path, work)
    file = tmp_path / "prefetch.sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    async def bodies(book: TriggerLedger) -> list[dict[str, Any]]:
        return await book._database.rows("SELECT body FROM trigger")

    assert with_ledger(tmp_path, bodies) == [{"body": ""}]


def test_what_ended_long_ago_is_removed(tmp_path: Path) -> None:
    async def work(book: TriggerLedger) -> list[dict[str, Any]]:
        await book.accept(trigger())
        item = await book.claim()
        assert item is not None
        await book.finish(item, "done")
        await book.expire(1000)
        assert len(await book.list(10)) == 1
        await book.expire(-1)
        return await book.list(10)

    assert with_ledger(tmp_path, work) == []


def test_only_the_peer_that_was_sent_an_instance_can_return_it(tmp_path: Path) -> None:
    """ROUTER-144: a modality that sends the same UID is no loop."""

    async def work() -> list[bool]:
        database = SideDatabase(tmp_path / "r.sqlite", returns.SCHEMA, "returns")
        memory = Returns(database, ["ORTHANC", "WORKSTATION"])
        await memory.remember("ORTHANC", ["1.2.3"])
        seen = [
            await memory.came_back(replace(received("1.2.3"), calling_ae=ae))
            for ae in ("ORTHANC", "WORKSTATION", "GDCM")
        ]
        await memory.expire()
        seen.append(await memory.came_back(replace(received("1.2.4"), calling_ae="ORTHANC")))
        database.close()
        return seen

    assert asyncio.run(work()) == [True, False, False, False]
