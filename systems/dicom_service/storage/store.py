"""The store as the services see it: submit changes, read the index, read blobs."""

import asyncio
import fcntl
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from systems.dicom_service.storage import partitions, schema
from systems.dicom_service.storage.blobs import BlobReader, Incoming, Location
from systems.dicom_service.storage.compaction import Compactor
from systems.dicom_service.storage.keys import has_phrase
from systems.dicom_service.storage.repair import Repaired, repair
from systems.dicom_service.storage.writer import Job, Writer
from systems.shared.serving import BAD_USAGE, StartError

T = TypeVar("T")
IN_MEMORY = ":memory:"
_INLINE_READ = 1 << 18
_LOCK_PATIENCE = 2.0


class DataFolder:
    """The folder of one service: made, locked against a second service and repaired before the workers start."""

    def __init__(self, data: str) -> None:
        self._temporary = data == IN_MEMORY
        self.path = _temporary_folder() if self._temporary else Path(data)
        self._lock = -1
        self.repaired = Repaired()

    def prepare(self) -> None:
        """Make the folder usable; raises `StartError` when it cannot be."""
        try:
            for name in ("segments", "objects"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "service.lock", os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise StartError(
                f"the data folder {self.path} cannot be written: {error.strerror}; choose another --data"
            ) from error
        self._take_lock()
        try:
            schema.create(self.path / "index.sqlite")
            self.repaired = repair(self.path)
        except (schema.IndexUnusable, OSError, sqlite3.Error) as error:
            raise StartError(f"the data folder {self.path} cannot be used: {error}") from error

    def require_one_partition(self) -> None:
        """Raise `StartError` when data would be out of reach without partitions (PART-015)."""
        connection = schema.connect(self.path / "index.sqlite")
        try:
            others = len(partitions.everything(connection)) - 1
        finally:
            connection.close()
        if others:
            raise StartError(
                f"the data folder {self.path} holds {others} partition(s) besides the default one: start with "
                "--partitions",
                BAD_USAGE,
            )

    def _take_lock(self) -> None:
        """Wait a moment for a service that is just ending; raises `StartError` when it goes on running."""
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StartError(
                        f"the data folder {self.path} is in use by another running service"
                    ) from error
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        """Release the folder; one made for this run is removed."""
        if self._lock >= 0:
            os.close(self._lock)
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)


_TEMPORARY_PREFIX = "dicom-service-"
_SURELY_LOCKED_AFTER = 60.0


def _temporary_folder() -> Path:
    memory = Path("/dev/shm")  # noqa: S108 - a name of its own is made inside
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for left in parent.glob(f"{_TEMPORARY_PREFIX}*"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=parent))


def _is_abandoned(folder: Path) -> bool:
    """Return whether the service that made a temporary folder was killed: nobody holds its lock any more."""
    try:
        lock = os.open(folder / "service.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        # A folder made this moment may not have been locked yet.
        return time.time() - os.fstat(lock).st_mtime > _SURELY_LOCKED_AFTER
    finally:
        os.close(lock)


class Store:
    """One worker's access to the data folder. Changes are awaited until they are on disk; reads see them at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self.blobs = BlobReader(folder / "segments", self.objects)
        self._writer = Writer(folder)
        self.compactor = Compactor(folder, self._writer, self.blobs)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @property
    def connection(self) -> sqlite3.Connection:
        """A connection for reading, one for each thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = schema.connect(self.folder / "index.sqlite")
            connection.execute("PRAGMA query_only = ON")
            connection.create_function("has_phrase", 2, has_phrase, deterministic=True)
            self._local.connection = connection
            self._connections.append(connection)
        return connection

    async def change(self, job: Job) -> Any:
        """Run a change; returns its result when it is on disk, raises what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_settle, future, result, error)

        self._writer.submit(job, done)
        # A client that goes away must not undo what is being written: the job ends by itself.
        return await asyncio.shield(future)

    def run(self, job: Job) -> Any:
        """Run a change from a thread that may wait; otherwise like `change`."""
        return self._writer.run(job)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query that may take long outside the event loop."""
        return await asyncio.to_thread(lambda: query(self.connection))

    async def blob(self, place: Location) -> bytes:
        """Return a whole blob."""
        if place.size <= _INLINE_READ:
            return self.blobs.read(place)
        return await asyncio.to_thread(self.blobs.read, place)

    def receive(self) -> Incoming:
        """Return a file to receive a large object into."""
        return Incoming(self.objects)

    def close(self) -> None:
        """Finish running changes and close everything."""
        self.compactor.close()
        self._writer.close()
        for connection in self._connections:
            connection.close()
        self.blobs.close()


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
