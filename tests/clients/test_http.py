import hashlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme

from fixtures.clients.http import HttpClient, NoAnswer
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import HttpExchange, Recorder
from tests.clients.scripted_server import answer, scripted


def always(connection: socket.socket, _number: int) -> bool:
    connection.sendall(answer())
    return True


def only_exchange(recorder: Recorder) -> HttpExchange:
    (exchange,) = recorder.exchanges
    assert isinstance(exchange, HttpExchange)
    return exchange


def test_request_goes_out_byte_for_byte(recorder: Recorder) -> None:
    with scripted(always) as server:
        client = HttpClient(server.url + "/base", recorder=recorder)
        client.request(
            "GET",
            "/a b\\c%zz\u00e9",
            query=[("PatientName", "A^B*"), ("x", "1,2")],
            headers=[("Accept", "a"), ("Accept", "b"), ("User-Agent", "x")],
        )

    lines = server.heads[0].split(b"\r\n")
    assert lines[0] == b"GET /base/a b\\c%zz\xc3\xa9?PatientName=A%5EB%2A&x=1%2C2 HTTP/1.1"
    assert lines[1:] == [
        b"Host: " + server.url.removeprefix("http://").encode(),
        b"Accept: a",
        b"Accept: b",
        b"User-Agent: x",
    ]


def test_query_text_goes_out_as_it_is(recorder: Recorder) -> None:
    with scripted(always) as server:
        HttpClient(server.url, recorder=recorder).request("GET", "/", query="a=%5c&b=\\")

    assert server.heads[0].startswith(b"GET /?a=%5c&b=\\ HTTP/1.1")


def test_redirect_is_an_answer_like_any_other(recorder: Recorder) -> None:
    def redirect(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer(b"", "302 Found", "Location: /elsewhere"))
        return True

    with scripted(redirect) as server:
        response = HttpClient(server.url, recorder=recorder).request("GET", "/")

    assert (response.status, response.header("location")) == (302, "/elsewhere")
    assert len(server.heads) == 1


def test_connection_is_kept_within_a_thread_and_not_shared_between_threads(recorder: Recorder) -> None:
    with scripted(always) as server:
        client = HttpClient(server.url, recorder=recorder)
        for _ in range(3):
            client.request("GET", "/")
        assert server.connections == 1
        other = threading.Thread(target=client.request, args=("GET", "/"))
        other.start()
        other.join()

    assert server.connections == 2


def test_connection_closed_while_idle_is_replaced(recorder: Recorder) -> None:
    def once(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer())
        return False

    with scripted(once) as server:
        client = HttpClient(server.url, recorder=recorder)
        statuses = []
        for _ in range(3):
            statuses.append(client.request("GET", "/").status)
            time.sleep(0.05)  # lets the server's FIN arrive, which is the subject of this test

    assert statuses == [200, 200, 200]
    assert server.connections == 3


@pytest.mark.parametrize(("stated", "connections"), [("timeout=1", 2), ("timeout=60", 1), ("", 1)])
def test_connection_is_not_used_near_the_end_that_the_server_has_stated(
    recorder: Recorder, stated: str, connections: int
) -> None:
    """Orthanc closes after an idle second; a close that is still on its way cannot be seen."""
    header = f"Keep-Alive: {stated}\r\n" if stated else ""
    said = f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{header}\r\n".encode()

    def play(connection: socket.socket, _number: int) -> bool:
        connection.sendall(said)
        return True

    with scripted(play) as server:
        client = HttpClient(server.url, recorder=recorder)
        client.request("GET", "/")
        time.sleep(0.6)  # the idle time is the subject of this test
        client.request("GET", "/")

    assert server.connections == connections


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_request_that_may_have_been_received_is_never_sent_again(recorder: Recorder, method: str) -> None:
    def close_second(connection: socket.socket, number: int) -> bool:
        if number == 1:
            connection.sendall(answer())
        return number == 1

    with scripted(close_second) as server:
        client = HttpClient(server.url, recorder=recorder)
        client.request("GET", "/")
        with pytest.raises(NoAnswer) as caught:
            client.request(method, "/", body=b"x" if method == "POST" else b"")

    assert caught.value.phase == "waiting"
    assert len(server.heads) == 2


def test_nobody_listening_is_known_to_have_sent_nothing(recorder: Recorder) -> None:
    client = HttpClient(f"http://127.0.0.1:{free_ports(1)[0]}", recorder=recorder)
    with pytest.raises(NoAnswer) as caught:
        client.request("POST", "/v2/studies", body=b"x")

    assert caught.value.phase == "connecting"
    assert "POST http://127.0.0.1" in str(caught.value)
    assert only_exchange(recorder).status is None


def test_silence_ends_at_the_time_out(recorder: Recorder) -> None:
    release = threading.Event()

    def silent(_connection: socket.socket, _number: int) -> bool:
        release.wait(5)
        return False

    with scripted(silent) as server:
        began = time.monotonic()
        with pytest.raises(NoAnswer) as caught:
            HttpClient(server.url, recorder=recorder, timeout=0.3).request("GET", "/")
        release.set()

    assert caught.value.phase == "waiting"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_body_cut_short_is_no_answer(recorder: Recorder, framing: str) -> None:
    def cut(connection: socket.socket, _number: int) -> bool:
        body = b"64\r\nshort" if "chunked" in framing else b"short"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + body)
        return False

    with scripted(cut) as server, pytest.raises(NoAnswer) as caught:
        HttpClient(server.url, recorder=recorder).request("GET", "/")

    assert caught.value.phase == "receiving"
    exchange = only_exchange(recorder)
    assert exchange.status == 200
    assert exchange.error is not None


def test_answer_before_the_whole_body_was_read_counts(recorder: Recorder) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(answer(b"{}", "413 Payload Too Large", "Connection: close"))
        connection.shutdown(socket.SHUT_WR)
        # Reads on without limit, as a server does that lingers: closing at once would destroy its own answer.
        while connection.recv(1 << 20):
            pass
        connection.close()

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", recorder=recorder)
    response = client.request("POST", "/", body=bytes(20_000_000))
    client.close()
    thread.join(5)
    listener.close()

    assert response.status == 413


def test_pieces_are_sent_chunked_and_accounted_for(recorder: Recorder) -> None:
    with scripted(always) as server:
        HttpClient(server.url, recorder=recorder).request("POST", "/", body=iter([b"abc", b"", b"defg"]))

    assert server.bodies[0] == b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    body = only_exchange(recorder).request_body
    assert (body.content, body.size) == (b"abcdefg", 7)
    assert body.sha256 == hashlib.sha256(b"abcdefg").hexdigest()


def test_large_bodies_are_recorded_by_beginning_size_and_digest(recorder: Recorder) -> None:
    sent = bytes(range(256)) * 2000
    with scripted(always) as server:
        HttpClient(server.url, recorder=recorder).request("POST", "/", body=sent)

    body = only_exchange(recorder).request_body
    assert (len(body.content), body.size, body.truncated) == (65536, 512000, True)
    assert body.sha256 == hashlib.sha256(sent).hexdigest()


def test_secrets_are_gone_before_anything_is_kept(recorder: Recorder) -> None:
    def token(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer(b'{"access_token": "tok-answer", "error": {"code": "x"}}'))
        return True

    with scripted(token) as server:
        client = HttpClient(
            server.url, recorder=recorder, headers=[("X-Admin-Key", "key-admin")], token=lambda: "tok-header"
        )
        client.request(
            "POST",
            "/t",
            query=[("token", "tok-query")],
            headers=[("Content-Type", "application/x-www-form-urlencoded")],
            body=b"client_id=app&client_secret=sec-form&scope=s",
        )

    exchange = only_exchange(recorder)
    shown = repr(exchange)
    assert not [secret for secret in ("tok-", "sec-form", "key-admin") if secret in shown]
    assert b"client_id=app&client_secret=[redacted]&scope=s" in exchange.request_body.content
    assert b'"code": "x"' in exchange.response_body.content
    assert ("Authorization", "Bearer [redacted]") in exchange.request_headers
    assert b"tok-header" in server.heads[0]


def test_tls_trusts_the_given_ca_and_no_other(recorder: Recorder, tmp_path: Path) -> None:
    ca, stranger = trustme.CA(), trustme.CA()
    good, bad = tmp_path / "ca.pem", tmp_path / "other.pem"
    ca.cert_pem.write_to_path(good)
    stranger.cert_pem.write_to_path(bad)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(answer())
            except ssl.SSLError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    assert HttpClient(url, recorder=recorder, ca_file=good).request("GET", "/").status == 200
    with pytest.raises(NoAnswer, match="CERTIFICATE_VERIFY_FAILED") as caught:
        HttpClient(url, recorder=recorder, ca_file=bad).request("GET", "/")
    thread.join(5)
    listener.close()

    assert caught.value.phase == "connecting"


def test_base_url_without_scheme_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="scheme, host and port"):
        HttpClient("127.0.0.1:8443", recorder=Recorder())
