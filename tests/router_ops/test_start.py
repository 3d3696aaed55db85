"""What a start may not need: it is repeated for every recovery, and each heavy library costs it a fifth of a second."""

import subprocess
import sys

import pytest

from tests.router.conftest import REPOSITORY, RouterProcess
from tests.router.fakes import FakeCloud, make_dataset, send

_HEAVY = (
    "aiohttp",
    "cryptography",
    "httpx",
    "numpy",
    "pydantic",
    "pydicom",
    "requests",
    "starlette",
    "uvicorn",
)


def test_command_loads_no_heavy_library() -> None:
    code = "import sys, systems.router.cli; print(*(name for name in sys.argv[1:] if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code, *_HEAVY], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def _mapped(router: RouterProcess) -> str:
    """The libraries with compiled parts that the process has loaded."""
    assert router.process is not None
    with open(f"/proc/{router.process.pid}/maps") as maps:  # noqa: PTH123 - of the kernel
        return maps.read()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_running_router_loads_the_http_client_with_the_first_delivery(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    assert router.ask("GET", "/health/ready").status_code == 200
    assert "aiohttp" not in _mapped(router)
    assert "numpy" not in _mapped(router)

    assert send(router.intake, [make_dataset()]) == [0]

    from fixtures.waiting import eventually

    eventually(lambda: len(cloud.stored) == 1, within=10, because="the first delivery")
    assert "aiohttp" in _mapped(router)
