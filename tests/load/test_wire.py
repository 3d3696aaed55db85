import socket
import threading
from collections.abc import Iterator

import pytest

from fixtures.load.wire import Broken, Connection, Endpoint


class Scripted:
    """Answers each request of one connection with the next bytes."""

    def __init__(self, *answers: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._answers = answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._answers:
                while b"\r\n\r\n" not in connection.recv(65_536):
                    pass
                connection.sendall(answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def scripted() -> Iterator[list[Scripted]]:
    made: list[Scripted] = []
    yield made
    for one in made:
        one.close()


def _connection(scripted: list[Scripted], *answers: bytes) -> Connection:
    scripted.append(Scripted(*answers))
    return Connection(Endpoint("127.0.0.1", scripted[0].port, ""))


def test_answers_with_a_length_and_in_chunks_follow_each_other(scripted: list[Scripted]) -> None:
    connection = _connection(
        scripted,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    )

    answers = [connection.get("/", "*/*") for _ in range(3)]
    connection.close()

    assert [(one.status, one.body) for one in answers] == [(200, b"abc"), (202, b"def"), (204, b"")]


def test_an_interim_answer_is_passed_over(scripted: list[Scripted]) -> None:
    connection = _connection(
        scripted, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz"
    )

    assert connection.get("/", "*/*").body == b"z"
    connection.close()


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_what_is_no_whole_answer_is_broken(scripted: list[Scripted], answer: bytes) -> None:
    connection = _connection(scripted, answer)

    with pytest.raises(Broken):
        connection.get("/", "*/*")


def test_without_a_length_the_body_ends_with_the_connection(scripted: list[Scripted]) -> None:
    connection = _connection(scripted, b"HTTP/1.0 200 OK\r\n\r\nall of it")

    assert connection.get("/", "*/*").body == b"all of it"
