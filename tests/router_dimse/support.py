"""A recording handler, a server for the length of a test, and synthetic objects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, generate_uid

from systems.router.dimse import associate, pdu
from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.client import Association
from systems.router.dimse.errors import AssociationAborted
from systems.router.dimse.identifier import encode
from systems.router.dimse.server import DimseServer
from systems.router.dimse.service import (
    BaseHandler,
    FindRequest,
    FindResponse,
    GetRequest,
    MoveRequest,
    RetrieveResponse,
    StoreRequest,
    SubOperations,
)
from systems.router.dimse.settings import ClientTimeouts, DimseSettings, ProposedContext
from systems.router.dimse.status import OK, PENDING, Status
from systems.router.dimse.uids import EXPLICIT_VR_LE, VERIFICATION

T = TypeVar("T")
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
QUICK = ClientTimeouts(connect=5, association=5, dimse=5)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on the loop the router uses, with a bound."""

    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await work

    return uvloop.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop go on until the condition holds; `run` bounds it."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0.001)


def ct_image(
    uid: str | None = None, *, pixels: int = 8192, study: str = "1.2.3", series: str = "1.2.3.4"
) -> Dataset:
    image = Dataset()
    image.SOPClassUID = CT
    image.SOPInstanceUID = uid or generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = study, series
    image.PatientID, image.PatientName, image.Modality = "P1", "Made^Up", "CT"
    image.Rows, image.Columns, image.BitsAllocated = min(pixels // 256, 65535), 128, 16
    image.add_new(0x7FE00010, "OW", bytes(range(256)) * (pixels // 256))
    return image


def part10(image: Dataset, transfer_syntax: str = EXPLICIT_VR_LE) -> bytes:
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


def data_set(image: Dataset) -> bytes:
    return encode(image, EXPLICIT_VR_LE)


class Recorder(BaseHandler):
    """Keeps what it is sent; answers as told."""

    def __init__(self, status: Status = OK, matches: int = 3) -> None:
        self.status = status
        self.matches = matches
        self.stored: dict[str, bytes] = {}
        self.requests: list[StoreRequest] = []
        self.aborted: list[str] = []
        self.queries: list[FindRequest | MoveRequest | GetRequest] = []
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def store(self, request: StoreRequest) -> Status:
        self.requests.append(request)
        self.entered.set()
        try:
            received = b"".join([bytes(fragment) async for fragment in request.data])
        except AssociationAborted:
            self.aborted.append(request.sop_instance_uid)
            raise
        if self.gate is not None:
            await self.gate.wait()
        self.stored[request.sop_instance_uid] = received
        return self.status

    async def find(self, request: FindRequest) -> AsyncIterator[FindResponse]:
        self.queries.append(request)
        self.entered.set()
        for number in range(self.matches):
            if request.cancelled.is_set():
                yield FindResponse(Status(0xFE00))
                return
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.StudyInstanceUID = f"1.2.{number}"
            match.PatientName = f"Name^{number}"
            yield FindResponse(Status(PENDING), match)
        yield FindResponse(self.status)

    async def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResponse]:
        self.queries.append(request)
        yield RetrieveResponse(Status(PENDING), SubOperations(2, 1, 0, 0))
        yield RetrieveResponse(Status(0xB000, "one failed"), SubOperations(0, 2, 1, 0), ("1.2.9",))


@asynccontextmanager
async def serving(handler: BaseHandler, **settings: Any) -> AsyncIterator[DimseServer]:
    server = DimseServer(DimseSettings(**{"ae_title": "ROUTER", **settings}), handler)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop(0)


async def connect(server: DimseServer, *contexts: ProposedContext, **more: Any) -> Association:
    return await Association.connect(
        "127.0.0.1",
        server.port,
        **{
            "calling_ae": "TESTER",
            "called_ae": "ROUTER",
            "timeouts": QUICK,
            "contexts": contexts or (ProposedContext(VERIFICATION), ProposedContext(CT)),
            **more,
        },
    )


async def tool(*command: str | Path) -> tuple[int, str]:
    """Run a dcmtk program; its exit code and everything it said."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "TCP_NODELAY": "1"},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


async def read_pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = await reader.readexactly(6)
    return header[0], await reader.readexactly(int.from_bytes(header[2:], "big"))


def raw_request(contexts: tuple[ProposedContext, ...]) -> bytes:
    """An A-ASSOCIATE-RQ for a test that writes its own PDUs."""
    items = [ContextItem(2 * n + 1, c.abstract_syntax, c.transfer_syntaxes) for n, c in enumerate(contexts)]
    return pdu.framed(1, associate.encode(AssociateItems("ROUTER", "RAW", items), accept=False))
