"""Targets behind the link whose side the tests play."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.link.wire import read_body, read_head

PATIENCE = 10.0


class TcpTarget:
    """A listening socket; the test accepts and plays the far side."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]

    def accept(self, within: float = PATIENCE) -> socket.socket:
        self._listener.settimeout(within)
        sock, _ = self._listener.accept()
        sock.settimeout(PATIENCE)
        return sock

    def close(self) -> None:
        self._listener.close()


@dataclass
class Received:
    """One request as the HTTP target got it."""

    head: bytes
    body: bytes


Answer = Callable[[Received], bytes]
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class HttpTarget:
    """An HTTP target, byte for byte: keeps what came and answers what the test says. Empty answer: closes."""

    context: ssl.SSLContext | None
    answer: Answer = lambda _: HELLO
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    at_head: bytes = b""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        self.answer, self.at_head = lambda _: HELLO, b""
        self.received.clear()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with self.context.wrap_socket(sock, server_side=True) if self.context else sock as stream:
                self._converse(stream)
        except OSError:
            return

    def _converse(self, stream: socket.socket) -> None:
        file = stream.makefile("rb")
        while head := read_head(file):
            if self.at_head:
                stream.sendall(self.at_head)
            request = Received(head, read_body(file, head))
            self.received.append(request)
            answer = self.answer(request)
            if not answer:
                return
            stream.sendall(answer)
            if b"connection: close" in answer.lower():
                return
