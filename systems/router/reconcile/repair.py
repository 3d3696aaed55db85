"""Puts what is missing back into its queue, which then delivers it with all its guarantees."""

import asyncio
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from systems.router.objects import Received
from systems.router.reconcile.index import put_back
from systems.router.reconcile.model import Expected
from systems.router.reconcile.sides import Side, SideError, digest_of
from systems.router.store.queue import SqliteQueue
from systems.router.store.spool import private
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import read_file_meta

_HEAD = 1 << 16
_CHUNK = 1 << 20


class Repair:
    """Takes a copy from the spool, else from another destination; only one that is byte for byte what was received."""

    def __init__(self, queue: SqliteQueue, sides: Mapping[str, Side], memory_bytes: int) -> None:
        self._queue = queue
        self._sides = sides
        self._memory_bytes = memory_bytes

    async def put_back(self, expected: Expected, destination: str) -> str:
        """What was done, or why nothing could be."""
        uid = expected.identity.sop_instance_uid
        if expected.location is not None and await asyncio.to_thread(
            self._queue.spool.looks_whole, expected.location, expected.digest, uid
        ):
            return await self._queue_again(expected, destination, None, "the spool")
        reasons: list[str] = []
        for name, side in self._sides.items():
            if name == destination or name not in expected.states:
                continue
            with tempfile.TemporaryDirectory(prefix="router-repair-") as folder:
                copy = Path(folder) / "copy.dcm"
                try:
                    found = await side.fetch(expected.identity, copy)
                    same = (
                        found and await asyncio.to_thread(digest_of, copy, expected.digest) == expected.digest
                    )
                except SideError as error:
                    reasons.append(f"{name}: {error}")
                    continue
                if same:
                    received = await asyncio.to_thread(self._received, expected, copy)
                    return await self._queue_again(expected, destination, received, name)
                reasons.append(
                    f"{name}: {'its copy is not what was received' if found else 'it gives no copy'}"
                )
        return f"not repaired: {'; '.join(reasons) or 'there is no other copy'}"

    async def _queue_again(
        self, expected: Expected, destination: str, copy: Received | None, source: str
    ) -> str:
        try:
            done = await self._queue.perform(
                partial(put_back, expected=expected, destination=destination, copy=copy)
            )
        finally:
            if copy is not None and copy.file is not None:
                copy.file.unlink(missing_ok=True)
        return f"put back from {source}" if done else "not repaired: it is on its way already"

    def _received(self, expected: Expected, copy: Path) -> Received:
        """The copy under the router's own group 0002, in the spool's incoming folder where it is large."""
        received = Received(expected.identity, expected.digest, 0, "", "", "")
        with copy.open("rb") as file:
            try:
                offset = read_file_meta(file.read(_HEAD)).data_set_offset
            except HeaderError as error:  # it was read once already to take its digest
                raise SideError("the copy is no DICOM file") from error
            file.seek(offset)
            if copy.stat().st_size - offset + len(received.header) <= self._memory_bytes:
                received.body = [file.read()]
                received.size = len(received.header) + len(received.body[0])
                return received
            self._keep(received, file)
        return received

    def _keep(self, received: Received, rest: BinaryIO) -> None:
        """Write the header and what is left of a copy as a large object that arrived would be."""
        spool = self._queue.spool
        received.file, received.key = spool.new_incoming(), spool.keys.fresh()
        transform = received.key.from_start() if received.key else bytes
        with open(received.file, "xb", opener=private) as target:
            target.write(transform(received.header))
            while chunk := rest.read(_CHUNK):
                target.write(transform(chunk))
            received.size = target.tell()
            target.flush()
            os.fdatasync(target.fileno())
