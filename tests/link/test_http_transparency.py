"""Without a rule the HTTP route changes nothing, and records what it carried."""

import pytest

from fixtures.waiting import eventually
from tests.link.conftest import Running
from tests.link.dicom import MULTIPART, multipart, part10
from tests.link.targets import HELLO, Received
from tests.link.wire import (
    assert_reset,
    body_of,
    get,
    post,
    read_body,
    read_head,
    receive_all,
    receive_exactly,
    status_of,
)

ODD_REQUEST = (
    b"GET /v2/studies?PatientName=M\xc3\xbcller,\\%5c&x=%7E HTTP/1.1\r\nhost:service.test\r\nX-ODD:  two  spaces \r\n"
    b"x-odd: again\r\nAccept: a;q=0.5, b\r\nConnection: close\r\n\r\n"
)
ODD_ANSWER = b'HTTP/1.1 299 Odd Reason\r\nX-a: 1\r\nx-A:2\r\nWarning: 299 x "y"\r\nContent-length: 3\r\nConnection: close\r\n\r\nabc'


def test_heads_and_bodies_pass_byte_for_byte(link: Running) -> None:
    link.http.answer = lambda _: ODD_ANSWER
    assert link.exchange(ODD_REQUEST) == ODD_ANSWER
    assert link.http.received[0].head == ODD_REQUEST


def test_chunked_bodies_keep_their_chunks(link: Running) -> None:
    chunks = b"4;ext=1\r\nabcd\r\nA\r\n0123456789\r\n0\r\n\r\n"
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n"
    link.http.answer = lambda _: answer
    assert link.exchange(request + chunks) == answer
    assert link.http.received[0] == Received(request, chunks)
    entry = link.exchanges()[0]
    assert (entry["request_bytes"], entry["response_bytes"]) == (14, 3)


@pytest.mark.parametrize(
    ("request_line", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        ("GET", HELLO),
    ],
)
def test_connection_stays_open_between_exchanges(link: Running, request_line: str, answer: bytes) -> None:
    link.http.answer = lambda _: answer
    before = link.http.connections
    request = f"{request_line} /x HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with link.tls() as sock:
        for _ in range(3):
            sock.sendall(request)
            assert receive_exactly(sock, len(answer)) == answer
    assert link.http.connections == before + 1
    assert len(link.http.received) == 3


def test_answer_until_close(link: Running) -> None:
    link.http.answer = lambda _: b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"z" * 100_000
    assert len(body_of(link.exchange(get("/x")))) == 100_000


def test_large_bodies_pass_both_ways(link: Running) -> None:
    body = bytes(range(256)) * 40_000
    link.http.answer = lambda seen: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(seen.body), seen.body)
    )
    with link.tls() as sock:
        sock.sendall(post("/x", body))
        assert body_of(receive_all(sock)) == body


def test_continue_comes_from_the_target(link: Running) -> None:
    link.http.at_head = b"HTTP/1.1 100 Continue\r\n\r\n"
    with link.tls() as sock:
        head, _, body = post("/x", b"12345", "Expect: 100-continue").partition(b"\r\n\r\n")
        sock.sendall(head + b"\r\n\r\n")
        file = sock.makefile("rb")
        assert read_head(file) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_body(file, read_head(file)) == b"hello"


def test_what_is_no_followable_http_passes_too(link: Running) -> None:
    request = b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    link.http.answer = lambda _: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with link.tls() as sock:
        sock.sendall(request + b"x")
        assert status_of(receive_all(sock)) == 400
    assert link.exchanges()[0]["outcome"] == "not followed"


def test_target_that_closes_an_idle_connection_closes_the_client_s(link: Running) -> None:
    link.http.answer = lambda _: HELLO.replace(b"\r\n\r\n", b"\r\nX-Note: connection: close\r\n\r\n")
    with link.tls() as sock:
        sock.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert receive_all(sock).endswith(b"hello")


def test_target_without_an_answer_gives_none(link: Running) -> None:
    link.http.answer = lambda _: b""
    assert link.exchange(get("/x")) == b""
    assert link.exchanges()[0]["outcome"] == "no answer"


def test_target_with_a_certificate_of_another_ca_is_not_spoken_to(link: Running) -> None:
    before = len(link.http.received)
    with link.tls("stranger") as sock:
        sock.sendall(get("/x", "Authorization: Bearer a.b.c"))
        assert_reset(sock)
    assert len(link.http.received) == before
    assert link.exchanges("stranger")[-1]["outcome"] == "no answer"


def test_plain_http_on_both_sides(link: Running) -> None:
    assert link.exchange(get("/x"), "plain").endswith(b"hello")


def test_client_that_leaves_in_the_middle_ends_the_upload(link: Running) -> None:
    with link.tls() as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this")
    rows = eventually(link.exchanges, within=5, because="the exchange to be recorded")
    assert rows[0]["outcome"] == "broken"
    assert all(len(received.body) < 100 for received in link.http.received)


def test_tcp_faults_work_on_http_routes(link: Running) -> None:
    link.fault("web", "cut-after", bytes=20_000, direction="up")
    with link.tls() as sock:
        sock.sendall(post("/v2/studies", b"x" * 50_000))
        assert_reset(sock)
    link.heal("web")
    link.fault("web", "blackhole")
    with link.connect("web", within=0.3) as silent:
        silent.sendall(b"anything")
        with pytest.raises(TimeoutError):
            silent.recv(1)
    link.heal("web")
    assert link.exchange(get("/x")).endswith(b"hello")


def test_exchanges_tell_what_was_carried_and_no_token(link: Running) -> None:
    # {"azp": "router-client"} as a token's payload
    bearer = "eyJhbGciOiJSUzI1NiJ9.eyJhenAiOiAicm91dGVyLWNsaWVudCJ9.c2lnbmF0dXJl"
    body = multipart(part10("2.25.1"), part10("2.25.2"))
    link.exchange(
        post("/v2/studies?x=1&access_token=hush", body, MULTIPART, f"Authorization: Bearer {bearer}")
    )
    rows = link.exchanges()

    assert len(rows) == 1
    row = rows[0]
    assert (row["method"], row["path"], row["status"]) == ("POST", "/v2/studies?x=1&access_token=...", 200)
    assert (row["request_bytes"], row["response_bytes"]) == (len(body), 5)
    assert row["sop_instance_uids"] == ["2.25.1", "2.25.2"]
    assert (row["client_id"], row["rule"], row["outcome"]) == ("router-client", None, "answered")
    assert link.exchanges(since=row["sequence"]) == []
    text = str(rows) + link.log.read_text()
    assert "hush" not in text
    assert bearer not in text
    assert link.request("DELETE", "/routes/web/exchanges")[0] == 204
    assert link.exchanges() == []


def test_early_refusal_reaches_a_client_that_still_uploads(link: Running) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"
    link.http.at_head = refusal
    with link.tls() as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000)
        assert receive_exactly(sock, len(refusal)) == refusal


def test_client_that_leaves_while_its_request_is_delayed_never_reaches_the_target(link: Running) -> None:
    link.rules({"name": "slow", "action": {"delay": 3600}})
    before = link.route("web")["open"]
    with link.tls() as sock:
        sock.sendall(get("/x"))
        eventually(lambda: link.route("web")["open"] == before + 1, within=5, because="the connection")
    eventually(lambda: link.route("web")["open"] == before, within=5, because="the connection to end")
    assert link.http.received == []
    assert link.exchanges()[0]["outcome"] == "broken"
