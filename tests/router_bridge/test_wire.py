"""The bridge as a listener has it, with dcmtk and with characters beyond ASCII."""

import asyncio
import socket
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from fixtures.actors.dcmtk import find_dcmtk, has_dcmtk
from systems.router.bridge.query import QueryBridge, QuerySettings
from systems.router.bridge.retrieve import RetrieveBridge
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.dimse.service import (
    BaseHandler,
)
from systems.router.dimse.settings import ProposedContext
from tests.router_bridge.fake_cloud import FakeCloud
from tests.router_bridge.moving import cloud_of
from tests.router_dimse.support import (
    CT,
    QUICK,
    connect,
    ct_image,
    run,
    serving,
    tool,
)


class Bridge(BaseHandler):
    """The bridge as a listener has it."""

    def __init__(self, cloud: FakeCloud, destination: Destination | None = None) -> None:
        bridge = RetrieveBridge(
            cloud, AssociationPool(), lambda ae: destination if ae == "STORESCP" else None
        )
        self.find = QueryBridge(cloud, QuerySettings("ROUTER")).find  # type: ignore[method-assign]
        self.move = bridge.move  # type: ignore[method-assign]
        self.get = bridge.get  # type: ignore[method-assign]


needs_dcmtk = pytest.mark.skipif(not has_dcmtk(), reason="dcmtk is not installed")


@needs_dcmtk
def test_movescu_moves_a_study_to_storescp(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            find_dcmtk("storescp"), "-od", str(tmp_path), str(port)
        )
        try:
            handler = Bridge(cloud_of(30), Destination("STORESCP", "127.0.0.1", port, "ROUTER", QUICK))
            async with serving(handler) as server:
                options = ("-v", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
                address = ("-aec", "ROUTER", "-aem", "STORESCP", "127.0.0.1", str(server.port))
                code, output = await tool("movescu", *options, *address)
                assert code == 0, output
        finally:
            process.terminate()
            await process.wait()

    run(story())
    assert len({dcmread(file).SOPInstanceUID for file in tmp_path.iterdir()}) == 30


@needs_dcmtk
def test_getscu_and_findscu_see_the_cloud(tmp_path: Path) -> None:
    async def story() -> str:
        async with serving(Bridge(cloud_of(30))) as server:
            address = ("-aec", "ROUTER", "127.0.0.1", str(server.port))
            level = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
            code, output = await tool("getscu", *level, "-od", tmp_path, *address)
            assert code == 0, output
            return (await tool("findscu", *level, "-k", "PatientName=MADE", *address))[1]

    assert "Made^Up" in run(story())
    assert len(list(tmp_path.iterdir())) == 30


def test_find_over_the_wire_keeps_umlauts() -> None:
    image = ct_image(generate_uid())
    image.SpecificCharacterSet, image.PatientName = "ISO_IR 192", "Müller^Jürgen"

    async def story() -> list[str]:
        async with serving(Bridge(FakeCloud(image))) as server:
            root = "1.2.840.10008.5.1.4.1.2.2.1"
            association = await connect(server, ProposedContext(root), ProposedContext(CT))
            keys = Dataset()
            keys.SpecificCharacterSet, keys.QueryRetrieveLevel, keys.PatientName = (
                "ISO_IR 100",
                "STUDY",
                "MÜL*",
            )
            return [
                str(match.PatientName)
                async for _, match in association.c_find(root, keys)
                if match is not None
            ]

    assert run(story()) == ["Müller^Jürgen"]
