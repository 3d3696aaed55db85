"""Request bodies of a store: one file, or multipart/related parts, received piece by piece (PS3.18 section 8.6)."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from systems.dicom_service.storage.blobs import Incoming
from systems.dicom_service.web.accept import split_outside_quotes
from systems.dicom_service.web.problems import BadRequest, TooLarge, UnsupportedMediaType
from systems.dicom_service.web.request import Request
from systems.shared import logs

_log = logging.getLogger(__name__)
_LARGEST_IN_MEMORY = 1 << 20
_REQUEST_IN_MEMORY = 16 << 20
_MOST_HEADERS = 16
_LARGEST_HEADERS = 16 << 10
_WORTH_PASSING_ON = 4096


@dataclass(frozen=True, slots=True)
class Lost:
    """A file that could not be kept while it arrived, and how it began."""

    beginning: bytes


Content = bytes | Incoming | Lost


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type header: the media type in lower case and its parameters."""

    media_type: str
    parameters: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> "ContentType":
        """Return the parsed header value; parameters keep their case, names do not."""
        media_type, *rest = split_outside_quotes(text, ";")
        parameters = {}
        for part in rest:
            name, _, value = part.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        return cls(media_type.strip().lower(), parameters)


class Receiver:
    """Receives the contents of one request: small ones in memory, large ones or many into files of their own."""

    def __init__(self, open_file: Callable[[], Incoming], largest: int) -> None:
        self._open_file = open_file
        self._largest = largest
        self._in_memory = 0
        self._pieces: list[bytes | memoryview] = []
        self._size = 0
        self._file: Incoming | None = None
        self._lost: Lost | None = None
        self.contents: list[Content] = []

    def write(self, data: bytes | memoryview) -> None:
        """Add to the current content; `data` must not change any more. Raises `TooLarge`.

        When the disk does not take it, that content is lost and the others go on (STOW-064).
        """
        self._size += len(data)
        if self._size > self._largest:
            raise TooLarge(f"The DICOM file exceeds the limit of {self._largest} bytes.")
        if self._lost is not None:
            return
        if self._file is None:
            self._in_memory += len(data)
            self._pieces.append(data)
            if self._size <= _LARGEST_IN_MEMORY and self._in_memory <= _REQUEST_IN_MEMORY:
                return
            self._in_memory -= self._size
        try:
            self._spill(data)
        except OSError as error:
            _log.error("a file could not be received: %s", logs.origin(error))
            self._lose()

    def _spill(self, data: bytes | memoryview) -> None:
        if self._file is not None:
            self._file.write(data)
            return
        self._file = self._open_file()
        for piece in self._pieces:
            self._file.write(piece)
        self._pieces.clear()

    def _lose(self) -> None:
        beginning = b"".join(self._pieces)
        if self._file is not None:
            with suppress(OSError):
                beginning = beginning or bytes(self._file.view()[:_LARGEST_IN_MEMORY])
            with suppress(OSError):
                self._file.discard()
        self._lost, self._file = Lost(beginning), None
        self._pieces.clear()

    def finish(self) -> None:
        """End the current content."""
        self.contents.append(self._lost or self._file or b"".join(self._pieces))
        self._start()

    def drop(self) -> None:
        """Forget the current content."""
        if self._file is not None:
            self._file.discard()
        self._start()

    def discard(self) -> None:
        """Forget everything received."""
        self.drop()
        for content in self.contents:
            if isinstance(content, Incoming):
                content.discard()
        self.contents.clear()

    def _start(self) -> None:
        self._pieces, self._size, self._file, self._lost = [], 0, None, None


async def body_pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body of a request as it arrives."""
    more = True
    while more:
        piece, more = await request.body_part()
        if piece:
            yield piece


async def receive_single(request: Request, receiver: Receiver) -> None:
    """Receive a body that is one file."""
    async for piece in body_pieces(request):
        receiver.write(piece)
    receiver.finish()


async def receive_parts(request: Request, content_type: ContentType, receiver: Receiver) -> None:
    """Receive the parts of a multipart/related body.

    Raises `UnsupportedMediaType` for a part of another type (STOW-018, STOW-020), `BadRequest` for a body that breaks
    outside a part (STOW-027). A part that the end of the body cuts is dropped (STOW-028).
    """
    reader = PartReader(content_type, receiver)
    async for piece in body_pieces(request):
        reader.feed(piece)
    reader.end()


class PartReader:
    """A push parser: preamble, then headers and content of each part, then an epilogue nobody reads."""

    def __init__(self, content_type: ContentType, receiver: Receiver) -> None:
        self._boundary = b"--" + content_type.parameters["boundary"].encode("latin-1")
        self._delimiter = b"\r\n" + self._boundary
        self._root_type = content_type.parameters.get("type")
        self._receiver = receiver
        # Pretending a line break before the body lets the first delimiter look like all others.
        self._buffer = bytearray(b"\r\n")
        self._step: Callable[[], bool] = self._in_preamble
        self._parts = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        if self._step == self._in_content and self._pass_on(piece):
            return
        self._buffer += piece
        while self._step():
            pass

    def end(self) -> None:
        """Take the end of the body."""
        if self._step in (self._in_first_content, self._in_content):
            self._receiver.drop()
        elif self._step != self._in_epilogue:
            raise BadRequest("The multipart request body is malformed: it ends before its closing boundary.")

    def _in_preamble(self) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(self._delimiter))]
            return False
        del self._buffer[: at + len(self._delimiter)]
        self._step = self._after_delimiter
        return True

    def _after_delimiter(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            self._step = self._in_epilogue
            return True
        line_end = self._buffer.find(b"\r\n")
        if line_end < 0:
            if len(self._buffer) > _LARGEST_HEADERS:
                raise BadRequest("The multipart request body is malformed: a boundary line does not end.")
            return False
        if bytes(self._buffer[:line_end]).strip(b" \t"):
            raise BadRequest("The multipart request body is malformed: text after a boundary.")
        # The line break stays: a part without headers starts with a second one.
        del self._buffer[:line_end]
        self._step = self._in_headers
        return True

    def _in_headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > _LARGEST_HEADERS or (end < 0 and len(self._buffer) > _LARGEST_HEADERS + 4):
            raise BadRequest("The multipart request body is malformed: the headers of a part are too long.")
        if end < 0:
            return False
        lines = [line for line in bytes(self._buffer[:end]).split(b"\r\n") if line]
        if len(lines) > _MOST_HEADERS:
            raise BadRequest(
                f"The multipart request body is malformed: a part has more than {_MOST_HEADERS} headers."
            )
        if not lines:
            following = bytes(self._buffer[end + 4 : end + 4 + len(self._boundary)])
            if following == self._boundary:
                # Neither headers nor content before the next delimiter: not a part at all (STOW-022).
                del self._buffer[: end + 2]
                self._step = self._in_preamble
                return True
            if self._boundary.startswith(following):
                return False
        self._check_type(lines)
        # The line break before the content stays, so that the delimiter of an empty part is found.
        del self._buffer[: end + 2]
        self._step = self._in_first_content
        return True

    def _in_first_content(self) -> bool:
        if len(self._buffer) < len(self._delimiter) and self._delimiter.startswith(bytes(self._buffer)):
            return False
        if not self._buffer.startswith(self._delimiter):
            del self._buffer[:2]
        self._step = self._in_content
        return True

    def _in_content(self) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            ready = len(self._buffer) - len(self._delimiter) + 1
            if ready > 0:
                self._receiver.write(bytes(memoryview(self._buffer)[:ready]))
                del self._buffer[:ready]
            return False
        if at:
            self._receiver.write(bytes(memoryview(self._buffer)[:at]))
        self._receiver.finish()
        self._parts += 1
        del self._buffer[: at + len(self._delimiter)]
        self._step = self._after_delimiter
        return True

    def _pass_on(self, piece: bytes) -> bool:
        """Hand on a piece from the middle of a large content without copying it; False when a delimiter may be in it."""
        reach = len(self._delimiter) - 1
        # A piece shorter than the reach could lie in the middle of one delimiter.
        if len(piece) < max(_WORTH_PASSING_ON, reach) or self._delimiter in piece:
            return False
        if self._delimiter in bytes(self._buffer) + piece[:reach]:
            return False
        if self._buffer:
            self._receiver.write(bytes(self._buffer))
        self._receiver.write(memoryview(piece)[:-reach])
        self._buffer[:] = piece[-reach:]
        return True

    def _in_epilogue(self) -> bool:
        self._buffer.clear()
        return False

    def _check_type(self, lines: list[bytes]) -> None:
        content_type = next(
            (
                line.partition(b":")[2]
                for line in lines
                if line.partition(b":")[0].strip().lower() == b"content-type"
            ),
            None,
        )
        seen = content_type.decode("latin-1").strip() if content_type is not None else None
        if seen is None and self._parts == 0:
            seen = self._root_type
        if seen is None or seen.lower() != "application/dicom":
            shown = seen or "none"
            raise UnsupportedMediaType(
                f"The content type '{shown}' of a part is not supported; every part must be application/dicom."
            )
