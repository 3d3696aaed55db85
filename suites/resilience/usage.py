"""What the router's process uses, read where it runs: no interface of its own is asked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fixtures.deployment.deployment import Deployment
from fixtures.deployment.runs import LABEL, read_record

_IN_CONTAINER = "grep VmRSS /proc/1/status; find /proc/1/fd -maxdepth 1 -type l | wc -l"


@dataclass(frozen=True)
class Usage:
    """Resident memory in bytes and open file descriptors, at one moment."""

    resident_bytes: int
    open_files: int


def router_usage(deployment: Deployment) -> Usage:
    """The usage of the router's process now.

    Raises:
        AssertionError: it does not run.

    """
    if deployment.runner == "docker":
        return _of_container(deployment.run_id)
    record = read_record(deployment.run_dir)
    processes = record.processes if record is not None else ()
    pid = next((one.pid for one in processes if one.role == "router"), None)
    assert pid is not None, "the router does not run"
    folder = Path("/proc") / str(pid)
    status = (folder / "status").read_text(encoding="ascii", errors="replace")
    return Usage(_resident(status), len(os.listdir(folder / "fd")))  # noqa: PTH208 - links that vanish meanwhile


def _of_container(run_id: str) -> Usage:
    from fixtures.deployment import engine  # noqa: PLC0415 - what the process runner need not load

    client = engine.connect()
    try:
        labels = [f"{LABEL}.run={run_id}", f"{LABEL}.role=router"]
        (container,) = client.containers.list(filters={"label": labels})
        answer = container.exec_run(["sh", "-c", _IN_CONTAINER])
    finally:
        client.close()
    memory, _, files = bytes(answer.output).decode().strip().rpartition("\n")
    return Usage(_resident(memory), int(files))


def _resident(status: str) -> int:
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def growth(values: Sequence[int]) -> int:
    """By how much the median of the last third of a row exceeds that of the first third.

    Raises:
        ValueError: fewer than six values say nothing.

    """
    if len(values) < 6:
        message = f"{len(values)} values: take at least six"
        raise ValueError(message)
    third = len(values) // 3
    return round(median(values[-third:]) - median(values[:third]))
