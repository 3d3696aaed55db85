"""The answer of the target on its way to the client, under the rule that acts on it."""

import asyncio
from collections.abc import AsyncIterator

from systems.link.alter import flip_bit
from systems.link.messages import Framing, Head, framed, read_body, read_head, response_framing
from systems.link.rules import Action
from systems.link.streams import Stream
from systems.link.underway import Underway, forever


class Answering:
    """Carries the answer of one exchange."""

    def __init__(self, underway: Underway) -> None:
        self._underway = underway
        self._client = underway.client
        self._head = underway.head
        self._entry = underway.entry

    async def carry(self, target: Stream, action: Action) -> bool:
        """Carry the answer under `action`; returns whether the connection can carry another exchange."""
        head = await self._answer_head(target)
        if head is None:
            self._underway.record("no answer")
            return False
        if head.status == 101:
            return await self._underway.tunnel(b"", head)
        framing = response_framing(head, self._head.method)
        if action.after:
            await self._after_answer(target, framing, action)
        match action.kind:
            case "hang_after_headers":
                self._underway.send_head(head)
                self._underway.record("hung")
                await forever()
            case "truncate_body":
                return await self._truncate(target, head, framing, action.count)
            case "replace_body":
                await self._replace(target, head, framing, action.body)
            case "flip_bit":
                self._underway.send_head(head)
                content_type = head.value(b"content-type").decode("latin-1")
                await self._send_content(flip_bit(_content(target, framing), content_type), framing)
            case _:
                self._underway.send_head(head, last=framing.empty)
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
            await self._underway.reset()

    async def _pass_body(self, target: Stream, framing: Framing) -> None:
        if framing.empty:
            return
        async for piece in read_body(target.reader, framing):
            self._entry.response_bytes += len(piece.content)
            if piece.last:
                # Recorded before it leaves: who has the answer must find it in the record.
                self._underway.record("answered")
            self._client.write(piece.wire)
            await self._client.drain()

    async def _send_content(self, contents: AsyncIterator[bytes], framing: Framing) -> None:
        async for content in contents:
            self._entry.response_bytes += len(content)
            self._client.write(framed(content, framing))
            await self._client.drain()
        self._underway.record("answered")
        if framing.chunked:
            self._client.write(b"0\r\n\r\n")

    async def _truncate(self, target: Stream, head: Head, framing: Framing, count: int) -> bool:
        self._underway.send_head(head)
        left = count
        async for content in _content(target, framing):
            part = content[:left]
            left -= len(part)
            self._entry.response_bytes += len(part)
            self._client.write(framed(part, framing))
            await self._client.drain()
            if len(part) < len(content):
                break
        self._underway.record("truncated")
        return False

    async def _replace(self, target: Stream, head: Head, framing: Framing, body: bytes) -> None:
        async for _ in read_body(target.reader, framing):
            pass
        bodiless = self._head.method == "HEAD" or head.status in {204, 304}
        if not bodiless:
            head = head.without(b"content-length", b"transfer-encoding", b"content-encoding", b"trailer")
            head = head.with_field(b"Content-Length", b"%d" % len(body))
            self._entry.response_bytes = len(body)
        self._underway.send_head(head, last=True)
        self._client.write(b"" if bodiless else body)
        await self._client.drain()


async def _content(source: Stream, framing: Framing) -> AsyncIterator[bytes]:
    async for piece in read_body(source.reader, framing):
        if piece.content:
            yield piece.content
