"""Requests and answers byte for byte, and what sockets bring."""

import socket
import ssl
from typing import Any

import pytest

from fixtures.waiting import eventually


def read_head(file: Any) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            return b""
        head += line
    return head


def read_body(file: Any, head: bytes) -> bytes:
    """Return the body as on the wire, by Content-Length or last chunk."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            body: bytes = file.read(int(line.split(b":")[1]))
            return body
        if line.startswith(b"transfer-encoding:"):
            wire = b""
            while not wire.endswith(b"0\r\n\r\n"):
                wire += file.readline()
            return wire
    return b""


def assert_reset(sock: socket.socket) -> None:
    """The peer has reset the connection. TLS libraries report this as an end of file, so the kernel is asked."""
    closed = bytes([7])
    eventually(
        lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == closed,
        within=5,
        because="a reset",
        every=0.01,
    )
    with pytest.raises((ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)):
        sock.recv(1)


def receive_all(sock: socket.socket) -> bytes:
    pieces = []
    while piece := sock.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, f"the stream ended after {len(data)} of {count} bytes"
        data += piece
    return data


def get(path: str, *fields: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: service.test", "Connection: close", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *fields: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: service.test",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
