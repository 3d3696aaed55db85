"""One request and its answer on their way through the link, under the rule that acts on them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from systems.link.alter import flip_bit
from systems.link.answers import own_answer
from systems.link.journal import Journal, new_entry
from systems.link.messages import (
    Framing,
    Head,
    MessageError,
    Piece,
    framed,
    read_body,
    read_head,
    request_framing,
    response_framing,
)
from systems.link.rules import Action, RuleBook
from systems.link.spool import Spool
from systems.link.stored import scanner_for
from systems.link.streams import Stream, Target

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PASS = Action("pass")


@dataclass(frozen=True, slots=True)
class Sides:
    """What an exchange stands between; `reset` resets the client's TCP connection."""

    client: Stream
    target: Target
    reset: Callable[[], object]
    scheme: str


class Exchange:
    """Carries one exchange; `run` may be called once."""

    def __init__(self, sides: Sides, head: Head, rules: RuleBook, journal: Journal) -> None:
        self._sides = sides
        self._client = sides.client
        self._head = head
        self._rules = rules
        self._journal = journal
        self._entry = new_entry(head)
        self._scanner = scanner_for(head)
        self._began = time.monotonic()
        self._framing = Framing(length=0)

    async def run(self) -> bool:
        """Carry the exchange; returns whether the connection can carry another one.

        Raises `OSError` or `MessageError` when a side ended in the middle.
        """
        try:
            try:
                self._framing = request_framing(self._head)
            except MessageError:
                return await self._tunnel(self._head.raw)
            with Spool() as spool:
                return await self._decide(spool)
        finally:
            self._record("broken")

    async def _decide(self, spool: Spool) -> bool:
        method, path = self._head.method, self._head.target
        kept: Spool | None = None
        if self._rules.needs_body(method, path):
            async for piece in self._request_body():
                spool.add(piece.content)
            kept = spool
        rule = self._rules.choose(method, path, lambda needle: kept is not None and kept.contains(needle))
        self._entry.rule = rule.name if rule else None
        action = rule.action if rule else _PASS
        if action.kind in {"respond", "pretend_stored"}:
            if kept is None:
                async for _ in self._request_body():
                    pass
            return await self._respond(action)
        if not action.after:
            if action.kind == "reset":
                await self._reset()
            if action.kind == "delay":
                await asyncio.sleep(action.seconds)
        return await self._carry(action, kept)

    async def _request_body(self) -> AsyncIterator[Piece]:
        """Yield the request's body when it is not passed on as it comes: then the link says "continue"."""
        if self._framing.empty:
            return
        if b"100-continue" in self._head.tokens(b"expect"):
            self._client.write(_CONTINUE)
        async for piece in read_body(self._client.reader, self._framing):
            self._note(piece)
            yield piece

    def _note(self, piece: Piece) -> None:
        self._entry.request_bytes += len(piece.content)
        if self._scanner is not None:
            self._scanner.feed(piece.content)
            if piece.last:
                self._scanner.finish()

    async def _respond(self, action: Action) -> bool:
        instances = self._scanner.instances if self._scanner else []
        head, body = own_answer(self._head, action, instances, self._sides.scheme)
        self._entry.status, self._entry.response_bytes = head.status, len(body)
        self._record("answered")
        self._client.write(head.raw + body)
        await self._client.drain()
        return not self._head.closes

    async def _carry(self, action: Action, kept: Spool | None) -> bool:
        try:
            target = await self._sides.target.stream()
        except (OSError, TimeoutError) as error:
            self._record("no answer")
            self._sides.reset()
            raise MessageError(f"the target cannot be reached: {error or type(error).__name__}") from error
        upload = asyncio.get_running_loop().create_task(self._upload(target, kept))
        try:
            keep = await self._answer(target, action)
            if keep:
                await upload
            return keep
        finally:
            upload.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, MessageError):
                await upload

    async def _upload(self, target: Stream, kept: Spool | None) -> None:
        """Pass the request on. A client that leaves in the middle takes the target's connection with it."""
        try:
            if kept is not None and not self._framing.empty:
                await self._send_kept(target, kept)
                return
            target.write(self._head.raw)
            if self._framing.empty:
                return
            async for piece in read_body(self._client.reader, self._framing):
                self._note(piece)
                target.write(piece.wire)
                await target.drain()
        except MessageError:
            target.abort()
            raise

    async def _send_kept(self, target: Stream, kept: Spool) -> None:
        # The link has already said "continue" in the target's place.
        target.write(self._head.without(b"expect").raw if self._head.values(b"expect") else self._head.raw)
        for content in kept.pieces():
            target.write(framed(content, self._framing))
            await target.drain()
        if self._framing.chunked:
            target.write(b"0\r\n\r\n")

    async def _answer(self, target: Stream, action: Action) -> bool:
        head = await self._answer_head(target)
        if head is None:
            self._record("no answer")
            return False
        if head.status == 101:
            return await self._tunnel(b"", head)
        framing = response_framing(head, self._head.method)
        if action.after:
            await self._after_answer(target, framing, action)
        match action.kind:
            case "hang_after_headers":
                self._send_head(head)
                self._record("hung")
                await _forever()
            case "truncate_body":
                return await self._truncate(target, head, framing, action.count)
            case "replace_body":
                await self._replace(target, head, framing, action.body)
            case "flip_bit":
                self._send_head(head)
                content_type = head.value(b"content-type").decode("latin-1")
                await self._send_content(flip_bit(_content(target, framing), content_type), framing)
            case _:
                self._send_head(head, last=framing.empty)
                await self._pass_body(target, framing)
        until_close = framing.length is None and not framing.chunked
        return not (until_close or head.closes or self._head.closes)

    async def _answer_head(self, target: Stream) -> Head | None:
        """Return the final answer's head, having passed interim ones (1xx) on."""
        while (head := await read_head(target.reader)) is not None:
            self._entry.target_status = head.status
            if head.status >= 200 or head.status == 101:
                return head
            self._client.write(head.raw)
        return None

    async def _after_answer(self, target: Stream, framing: Framing, action: Action) -> None:
        if action.kind == "delay":
            await asyncio.sleep(action.seconds)
        elif action.kind == "reset":
            async for _ in read_body(target.reader, framing):
                pass
            await self._reset()

    async def _pass_body(self, target: Stream, framing: Framing) -> None:
        if framing.empty:
            return
        async for piece in read_body(target.reader, framing):
            self._entry.response_bytes += len(piece.content)
            if piece.last:
                # Recorded before it leaves: who has the answer must find it in the record.
                self._record("answered")
            self._client.write(piece.wire)
            await self._client.drain()

    async def _send_content(self, contents: AsyncIterator[bytes], framing: Framing) -> None:
        async for content in contents:
            self._entry.response_bytes += len(content)
            self._client.write(framed(content, framing))
            await self._client.drain()
        self._record("answered")
        if framing.chunked:
            self._client.write(b"0\r\n\r\n")

    async def _truncate(self, target: Stream, head: Head, framing: Framing, count: int) -> bool:
        self._send_head(head)
        left = count
        async for content in _content(target, framing):
            part = content[:left]
            left -= len(part)
            self._entry.response_bytes += len(part)
            self._client.write(framed(part, framing))
            await self._client.drain()
            if len(part) < len(content):
                break
        self._record("truncated")
        return False

    async def _replace(self, target: Stream, head: Head, framing: Framing, body: bytes) -> None:
        async for _ in read_body(target.reader, framing):
            pass
        bodiless = self._head.method == "HEAD" or head.status in {204, 304}
        if not bodiless:
            head = head.without(b"content-length", b"transfer-encoding", b"content-encoding", b"trailer")
            head = head.with_field(b"Content-Length", b"%d" % len(body))
            self._entry.response_bytes = len(body)
        self._send_head(head, last=True)
        self._client.write(b"" if bodiless else body)
        await self._client.drain()

    def _send_head(self, head: Head, *, last: bool = False) -> None:
        self._entry.status = head.status
        if last:
            self._record("answered")
        self._client.write(head.raw)

    async def _reset(self) -> None:
        self._record("reset")
        self._sides.reset()
        await _forever()

    async def _tunnel(self, request: bytes, answer: Head | None = None) -> bool:
        """Carry bytes both ways to their end: for what cannot be followed as HTTP, and for switched protocols."""
        target = await self._sides.target.stream()
        if answer is not None:
            self._send_head(answer)
        target.write(request)
        copies = [
            asyncio.create_task(_copy(self._client, target)),
            asyncio.create_task(_copy(target, self._client)),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
        self._record("answered" if answer else "not followed")
        return False

    def _record(self, outcome: str) -> None:
        if self._entry.outcome != "open":
            return
        self._entry.outcome = outcome
        self._entry.seconds = round(time.monotonic() - self._began, 6)
        if self._scanner is not None:
            self._entry.sop_instance_uids = [
                instance.sop_instance_uid for instance in self._scanner.instances
            ]
        self._journal.add(self._entry)


async def _content(source: Stream, framing: Framing) -> AsyncIterator[bytes]:
    async for piece in read_body(source.reader, framing):
        if piece.content:
            yield piece.content


async def _copy(source: Stream, sink: Stream) -> None:
    with contextlib.suppress(OSError):
        while data := await source.reader.read(65_536):
            sink.write(data)
            await sink.drain()


async def _forever() -> None:
    """Wait for the end of the connection, which cancels the exchange."""
    await asyncio.get_running_loop().create_future()
