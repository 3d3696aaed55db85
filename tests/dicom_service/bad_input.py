"""What the tests of bad input have in common."""

import time
from pathlib import Path

from tests.dicom_service.conftest import Service, dataset, part10

SECONDS = 30.0
FILE = part10(dataset())


def resident(service: Service) -> int:
    """Return the resident memory of the service in bytes."""
    for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel names no resident memory")


def no_faults(service: Service) -> None:
    assert service.process.poll() is None
    log = service.log.read_text()
    assert "failed unexpectedly" not in log, log[-2000:]
    assert "could not be" not in log, log[-2000:]
    assert service.get("/health/check").status == 200


def answered(
    service: Service, method: str, path: str, body: bytes | None, headers: dict[str, str | None]
) -> int:
    started = time.monotonic()
    answer = service.request(method, path, body, headers)
    assert time.monotonic() - started < SECONDS, f"{method} {path[:80]} took too long"
    assert answer.status < 500, f"{method} {path[:200]}: {answer.status} {answer.body[:300]!r}"
    return answer.status
