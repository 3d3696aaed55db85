"""The delivered past must not slow down the present: no question about open tasks reads delivered ones (ROUTER-187)."""

import sqlite3
from pathlib import Path

import pytest

from systems.router.store.model import Effect, Settlement
from systems.router.store.queue import SqliteQueue
from tests.router.test_store import BOTH, received, run


class Watched(sqlite3.Connection):
    """Keeps the plan of every statement about tasks."""

    plans: tuple[list[tuple[str, str]], ...] = ([],)

    def execute(self, sql: str, values: object = (), /) -> sqlite3.Cursor:
        if "task" in sql and not sql.lstrip().upper().startswith(("CREATE", "EXPLAIN")):
            for row in super().execute(f"EXPLAIN QUERY PLAN {sql}", values):  # type: ignore[arg-type]
                self.plans[0].append((sql, str(row[3])))
        return super().execute(sql, values)  # type: ignore[arg-type]


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    connect = sqlite3.connect

    def watched(path: Path, **options: object) -> sqlite3.Connection:
        return connect(path, factory=Watched, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", watched)
    Watched.plans[0].clear()
    return Watched.plans[0]


def test_no_question_about_open_tasks_reads_all_tasks(tmp_path: Path, plans: list[tuple[str, str]]) -> None:
    async def work(queue: SqliteQueue) -> None:
        for number in range(3):
            await queue.accept(received(f"1.{number}"), BOTH)
        tasks = await queue.claim("cloud", 1, 1 << 20)
        await queue.settle([Settlement(tasks[0], Effect.DELIVERED)])
        await queue.settle([Settlement(each, Effect.DEAD) for each in await queue.claim_probe("cloud", [])])
        await queue.next_due("cloud")
        await queue.oldest("cloud")
        await queue.waiting("cloud", 10)
        letters = await queue.dead_letters(10)
        await queue.dead_letter(int(letters[0]["id"]))
        await queue.retry(int(letters[0]["id"]))
        await queue.release("cloud", everything=True)
        await queue.instance("1.1")
        await queue.expire()

    run(tmp_path, work)
    run(tmp_path, lambda queue: queue.expire())
    assert len(plans) > 20
    scans = [
        (sql, plan)
        for sql, plan in plans
        if plan.startswith("SCAN task") and "USING" not in plan.partition("task_object")[0]
    ]
    assert scans == []
    claims = [plan for sql, plan in plans if "ORDER BY task.id LIMIT" in sql and "state = 0" in sql]
    assert any("USING INDEX task_waiting (destination=?)" in plan for plan in claims)
    assert not any("TEMP B-TREE" in plan for plan in claims)
