"""dcmtk's programs against the listener and the client (TCP_NODELAY on both sides)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from fixtures.actors.dcmtk import has_dcmtk
from systems.router.dimse.client import Association
from systems.router.dimse.errors import AssociationRefused, ContextNotAccepted
from systems.router.dimse.planning import plan_contexts
from systems.router.dimse.service import GetRequest, RetrieveResponse, SubOperations
from systems.router.dimse.settings import ProposedContext
from systems.router.dimse.status import OK, PENDING, Status
from systems.router.dimse.uids import EXPLICIT_VR_LE, IMPLICIT_VR_LE, VERIFICATION
from tests.router_dimse.support import CT, MR, QUICK, Recorder, ct_image, data_set, part10, run, serving, tool

pytestmark = pytest.mark.skipif(not has_dcmtk(), reason="dcmtk is not installed")


def test_echoscu_and_findscu_are_answered() -> None:
    async def story() -> None:
        recorder = Recorder()
        async with serving(recorder) as server:
            assert (await tool("echoscu", "-aec", "ROUTER", "127.0.0.1", str(server.port)))[0] == 0
            query = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=A*", "-aec", "ROUTER")
            code, output = await tool("findscu", *query, "127.0.0.1", str(server.port))
        assert code == 0
        assert output.count("Name^") == 3
        assert str(recorder.queries[0].identifier.PatientName) == "A*"

    run(story())


@pytest.mark.parametrize("option", ["-xe", "-xi", "-xb"])
def test_storescu_delivers_every_byte(tmp_path: Path, option: str) -> None:
    images = [ct_image(generate_uid()) for _ in range(20)]
    for number, image in enumerate(images):
        (tmp_path / f"{number}.dcm").write_bytes(part10(image))

    async def story() -> Recorder:
        recorder = Recorder()
        async with serving(recorder) as server:
            code, output = await tool(
                "storescu", option, "-aec", "ROUTER", "+sd", "127.0.0.1", str(server.port), tmp_path
            )
            assert code == 0, output
        return recorder

    recorder = run(story())
    assert recorder.stored.keys() == {image.SOPInstanceUID for image in images}
    if option == "-xe":
        assert all(recorder.stored[image.SOPInstanceUID] == data_set(image) for image in images)


def test_storescu_reports_a_refusal(tmp_path: Path) -> None:
    file = tmp_path / "one.dcm"
    file.write_bytes(part10(ct_image()))

    async def story() -> str:
        async with serving(Recorder(Status(0xA700, "spool full"))) as server:
            address = "127.0.0.1", str(server.port)
            _, output = await tool("storescu", "-v", "-xe", "-aec", "ROUTER", *address, file)
        return output

    assert "OutOfResources" in run(story())


class Giving(Recorder):
    """Answers C-GET with two objects and one that the requester did not ask for a context for."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[str] = []

    async def get(self, request: GetRequest) -> AsyncIterator[RetrieveResponse]:
        yield RetrieveResponse(Status(PENDING), SubOperations(3, 0, 0, 0))
        for uid in ("1.2.1", "1.2.2"):
            status = await request.send(CT, uid, EXPLICIT_VR_LE, data_set(ct_image(uid)))
            self.outcomes.append(str(status))
        try:
            await request.send("1.2.3.4.5", "1.2.3", EXPLICIT_VR_LE, b"")
        except ContextNotAccepted:
            self.outcomes.append("no context")
        yield RetrieveResponse(Status(0xB000), SubOperations(0, 2, 1, 0), ("1.2.3",))


def test_getscu_receives_on_its_own_association(tmp_path: Path) -> None:
    async def story() -> Giving:
        giving = Giving()
        async with serving(giving) as server:
            options = (
                "-v",
                "-S",
                "-k",
                "QueryRetrieveLevel=STUDY",
                "-k",
                "StudyInstanceUID=1.2.3",
                "-od",
                tmp_path,
            )
            await tool("getscu", *options, "+B", "-aec", "ROUTER", "127.0.0.1", str(server.port))
        return giving

    assert run(story()).outcomes == ["0000", "0000", "no context"]
    assert sorted(dcmread(file).SOPInstanceUID for file in tmp_path.iterdir()) == ["1.2.1", "1.2.2"]


@asynccontextmanager
async def storescp(folder: Path, *options: str) -> AsyncIterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "storescp", "-od", str(folder), *options, str(port), env={"PATH": "/usr/bin:/bin", "TCP_NODELAY": "1"}
    )
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()


async def associated(port: int, *contexts: ProposedContext) -> Association:
    for _ in range(200):
        try:
            return await Association.connect(
                "127.0.0.1", port, calling_ae="A", called_ae="ANY", contexts=contexts, timeouts=QUICK
            )
        except AssociationRefused:
            await asyncio.sleep(0.02)
    pytest.fail("storescp did not start within 4 s")


def test_client_stores_to_storescp_only_on_the_context_of_the_encoding(tmp_path: Path) -> None:
    uids = [generate_uid() for _ in range(10)]

    async def story() -> None:
        async with storescp(tmp_path, "+xe") as port:
            contexts = plan_contexts([(CT, EXPLICIT_VR_LE), (CT, "1.2.840.10008.1.2.4.90")])[0]
            association = await associated(port, ProposedContext(VERIFICATION), *contexts)
            assert (await association.c_echo()).is_success
            for uid in uids:
                status = await association.c_store(
                    CT, uid, EXPLICIT_VR_LE, data_set(ct_image(uid, pixels=50_000 * 2))
                )
                assert status == OK
            with pytest.raises(ContextNotAccepted, match=r"1\.2\.840\.10008\.1\.2\.4\.90"):
                await association.c_store(CT, uids[0], "1.2.840.10008.1.2.4.90", b"")
            with pytest.raises(ContextNotAccepted):
                await association.c_store(MR, uids[0], IMPLICIT_VR_LE, b"")
            assert (await association.c_echo()).is_success
            await association.release()

    run(story())
    assert sorted(dcmread(file).SOPInstanceUID for file in tmp_path.iterdir()) == sorted(uids)
