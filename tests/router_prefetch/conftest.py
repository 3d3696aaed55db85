from collections.abc import Callable
from typing import Any

import pytest
import requests

from fixtures.waiting import eventually
from tests.router.conftest import (
    MakeRouter,
    RouterProcess,
    cloud,
    make_router,
    orthanc,
    pacs,
    service,
)
from tests.router.orthanc import AUTH, Orthanc

__all__ = ["cloud", "make_router", "orthanc", "pacs", "service"]
MakePrefetcher = Callable[..., RouterProcess]


@pytest.fixture
def make_prefetcher(make_router: MakeRouter, service: str, orthanc: Orthanc) -> MakePrefetcher:
    """A router between the reference service and an Orthanc, with a table [prefetch]."""

    def make(prefetch: str = "", *, hl7: str = "", priors: str = "", **extra: Any) -> RouterProcess:
        tables: dict[str, Any] = {
            "cloud_credential": None,
            "prefetch": prefetch,
            "prefetch_hl7": f'host = "127.0.0.1"\nport = 0\n{hl7}',
            "prefetch_priors": priors,
            **extra,
        }
        places = {"cloud_url": service, "pacs_port": orthanc.port}
        places.update({key: tables.pop(key) for key in ("cloud_url", "pacs_port") if key in tables})
        router = make_router(**places, **tables)
        # The archive answers queries of systems it knows only, as the demo's does.
        known: Any = {"AET": "QIETOAZURE", "Host": "127.0.0.1", "Port": router.bridge}
        requests.put(f"{orthanc.url}/modalities/cloud", json=known, auth=AUTH, timeout=10).raise_for_status()
        return router

    return make


def trigger_port(router: RouterProcess) -> int:
    return router.ports["prefetch-trigger"]


def finished(router: RouterProcess, number: int = 1) -> dict[str, Any]:
    """The trigger once it has ended."""

    def ended() -> dict[str, Any]:
        found: dict[str, Any] = router.ask("GET", f"/prefetch/{number}").json()
        return found if found.get("state") in {"done", "failed", "stopped"} else {}

    return eventually(ended, within=20, because="the trigger to end")
