import subprocess
import sys
from pathlib import Path

import pytest

from tests.load.conftest import Sink

LOCUST = [sys.executable, "-m", "locust", "--locustfile", "fixtures/load/locustfile.py"]
CHECKOUT = Path(__file__).resolve().parents[2]


def _locust(*words: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: importing Locust changes sockets and threads of the whole interpreter.
    return subprocess.run(
        [*LOCUST, *words], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=90
    )


def test_the_users_can_be_chosen_by_name() -> None:
    listed = _locust("--list").stdout.split()

    assert {"StowUser", "StoreUser", "WadoUser", "QidoUser"} <= set(listed)


@pytest.mark.timeout(120)
def test_users_store_over_both_protocols(sink: Sink) -> None:
    done = _locust(
        *("--headless", "--users", "2", "--spawn-rate", "2", "--run-time", "2s", "--only-summary"),
        *("--host", f"http://127.0.0.1:{sink.http}/v2", "--dimse", f"SINK@127.0.0.1:{sink.dimse}"),
        *("StowUser", "StoreUser"),
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert sink.received.sides["web"]
    assert sink.received.sides["dimse"]
