"""One request and its answer on their way through the link, under the rule that acts on them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from systems.link.answering import Answering
from systems.link.answers import own_answer
from systems.link.journal import Journal
from systems.link.messages import (
    Framing,
    Head,
    MessageError,
    Piece,
    framed,
    read_body,
    request_framing,
)
from systems.link.rules import Action, RuleBook
from systems.link.spool import Spool
from systems.link.streams import Stream
from systems.link.underway import Sides, Underway

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PASS = Action("pass")


class Exchange:
    """Carries one exchange; `run` may be called once."""

    def __init__(self, sides: Sides, head: Head, rules: RuleBook, journal: Journal) -> None:
        self._underway = Underway(sides, head, journal)
        self._sides = sides
        self._client = sides.client
        self._head = head
        self._rules = rules
        self._entry = self._underway.entry
        self._scanner = self._underway.scanner
        self._framing = Framing(length=0)

    async def run(self) -> bool:
        """Carry the exchange; returns whether the connection can carry another one.

        Raises `OSError` or `MessageError` when a side ended in the middle.
        """
        try:
            try:
                self._framing = request_framing(self._head)
            except MessageError:
                return await self._underway.tunnel(self._head.raw)
            with Spool() as spool:
                return await self._decide(spool)
        finally:
            self._underway.record("broken")

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
                await self._underway.reset()
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
        self._underway.record("answered")
        self._client.write(head.raw + body)
        await self._client.drain()
        return not self._head.closes

    async def _carry(self, action: Action, kept: Spool | None) -> bool:
        try:
            target = await self._sides.target.stream()
        except (OSError, TimeoutError) as error:
            self._underway.record("no answer")
            self._sides.reset()
            raise MessageError(f"the target cannot be reached: {error or type(error).__name__}") from error
        upload = asyncio.get_running_loop().create_task(self._upload(target, kept))
        try:
            keep = await Answering(self._underway).carry(target, action)
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
