"""C-FIND requests to the bridge over a cloud in memory, and what came of them."""

from typing import Any

from pydicom import Dataset

from systems.router.bridge.query import QueryBridge, QuerySettings
from systems.router.bridge.search import SearchLimits
from systems.router.dimse.service import FindRequest, Peer
from systems.router.dimse.status import Status
from systems.router.dimse.uids import STUDY_ROOT_FIND
from tests.router_bridge.fake_cloud import FakeCloud, study
from tests.router_dimse.support import run

JULE = study("1.2.1", "Jule420^Schmeler639", "a", AccessionNumber="A1", StudyDate="20110602")
OTHER = study("1.2.2", "Other^Jane", "A", AccessionNumber="a1", StudyDate="20220101", Modality="MR")
MUELLER = study("1.2.3", "Müller^Jürgen", "c", StudyDescription="Chest", StudyDate="20220102")
LIMITS = SearchLimits(answer=1, attempts=3)


def request(level: str, root: str = STUDY_ROOT_FIND, *, relational: bool = False, **keys: Any) -> FindRequest:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return FindRequest(Peer(1, "ORTHANC", "QIETOAZURE", "127.0.0.1", 1), 1, root, identifier, relational)


def find(cloud: FakeCloud, asked: FindRequest, **settings: Any) -> tuple[list[Dataset], list[int], Status]:
    """The matches, their statuses and the final status."""

    async def story() -> tuple[list[Dataset], list[int], Status]:
        bridge = QueryBridge(cloud, QuerySettings("QIETOAZURE", **{"limits": LIMITS, **settings}))
        responses = [response async for response in bridge.find(asked)]
        final = responses.pop()
        assert not final.status.is_pending
        assert final.identifier is None
        return (
            [r.identifier or Dataset() for r in responses],
            [r.status.code for r in responses],
            final.status,
        )

    return run(story())


def uids(found: list[Dataset]) -> list[str]:
    return sorted(one.StudyInstanceUID for one in found)
