"""Retrievals against a cloud in memory and a storage SCP, as the tests of C-MOVE and C-GET ask for them."""

from collections.abc import Callable
from typing import Any

from pydicom import Dataset

from systems.router.bridge.retrieve import RetrieveBridge, RetrieveSettings
from systems.router.bridge.search import SearchLimits
from systems.router.bridge.transfer import TransferLimits
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.service import (
    MoveRequest,
    Peer,
    RetrieveResponse,
    SubOperations,
)
from systems.router.dimse.uids import STUDY_ROOT_MOVE
from tests.router_bridge.fake_cloud import FakeCloud
from tests.router_dimse.support import (
    QUICK,
    Recorder,
    ct_image,
    part10,
    run,
    serving,
)

QUICKLY = TransferLimits(first_delay=0.01)

SETTINGS = RetrieveSettings(search=SearchLimits(answer=1, attempts=2), transfer=QUICKLY)


def cloud_of(count: int, *, study: str = "1.2.3", **more: Any) -> FakeCloud:
    images = [ct_image(f"1.2.3.{n}", study=study, **more) for n in range(1, count + 1)]
    for number, image in enumerate(images, 1):
        image.InstanceNumber = number
    return FakeCloud(*images, files={image.SOPInstanceUID: part10(image) for image in images})


def move_request(level: str = "STUDY", root: str = STUDY_ROOT_MOVE, **keys: Any) -> MoveRequest:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in (keys or {"StudyInstanceUID": "1.2.3"}).items():
        setattr(identifier, keyword, value)
    peer = Peer(1, "ORTHANC", "QIETOAZURE", "127.0.0.1", 1)
    return MoveRequest(peer, 77, root, identifier, destination="ROUTER")


async def moved(
    cloud: FakeCloud,
    port: int,
    asked: MoveRequest | None = None,
    *,
    settings: RetrieveSettings = SETTINGS,
    during: Callable[[MoveRequest, RetrieveResponse], None] | None = None,
) -> list[RetrieveResponse]:
    destination = Destination("ROUTER", "127.0.0.1", port, "QIETOAZURE", QUICK)
    pool = AssociationPool()
    bridge = RetrieveBridge(cloud, pool, {"ROUTER": destination}.get, settings)
    asked = asked or move_request()
    responses = []
    async for response in bridge.move(asked):
        responses.append(response)
        if during is not None:
            during(asked, response)
    await pool.close()
    assert all(r.status.is_pending for r in responses[:-1])
    assert not responses[-1].status.is_pending
    return responses


def outcome(responses: list[RetrieveResponse]) -> tuple[int, SubOperations | None]:
    return responses[-1].status.code, responses[-1].counters


def move(
    cloud: FakeCloud, recorder: Recorder, asked: MoveRequest | None = None, **more: Any
) -> list[RetrieveResponse]:
    async def story() -> list[RetrieveResponse]:
        async with serving(recorder) as server:
            return await moved(cloud, server.port, asked, **more)

    return run(story())
