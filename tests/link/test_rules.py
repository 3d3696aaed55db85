"""Each rule acts on the requests it names, as often as it says, and on no others."""

import json
import time
from typing import Any

import pytest

from tests.link.conftest import Running
from tests.link.dicom import MULTIPART, SECONDARY_CAPTURE, SERIES, STUDY, multipart, part10
from tests.link.targets import HELLO, Received
from tests.link.wire import assert_reset, body_of, get, post, read_body, read_head, receive_all, status_of

UNAVAILABLE = {"respond": {"status": 503, "headers": {"Retry-After": "7"}, "body": "later"}}


def rule(action: dict[str, Any], **match: Any) -> dict[str, Any]:
    return {"name": "r", "match": match, "action": action}


def statuses(link: Running, count: int, request: bytes) -> list[int]:
    return [status_of(link.exchange(request)) for _ in range(count)]


def test_respond_answers_in_the_target_s_place(link: Running) -> None:
    link.rules(rule(UNAVAILABLE))
    answer = link.exchange(post("/v2/studies", b"x" * 200_000))

    assert status_of(answer) == 503
    assert b"Retry-After: 7\r\n" in answer
    assert body_of(answer) == b"later"
    assert link.http.received == []
    row = link.exchanges()[0]
    assert (row["rule"], row["status"], row["request_bytes"], row["target_status"]) == (
        "r",
        503,
        200_000,
        None,
    )
    link.rules()
    assert statuses(link, 1, get("/x")) == [200]


def test_respond_keeps_the_connection(link: Running) -> None:
    link.rules(rule(UNAVAILABLE, times=1))
    with link.tls() as sock:
        file = sock.makefile("rb")
        for expected in (b"later", b"hello"):
            sock.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_body(file, read_head(file).replace(b"Content-Length", b"content-length")) == expected


@pytest.mark.parametrize(
    ("match", "request_bytes", "hit"),
    [
        ({"method": "POST"}, post("/x", b"1"), True),
        ({"method": "POST"}, get("/x"), False),
        ({"path_regex": r"^/v2/studies\?.*limit="}, get("/v2/studies?offset=0&limit=5"), True),
        ({"path_regex": r"^/v2/studies\?.*limit="}, get("/v2/studies"), False),
        ({"body_contains": "2.25.7"}, post("/x", b"a 2.25.7 b"), True),
        ({"body_contains": "2.25.7"}, post("/x", b"a 2.25.8 b"), False),
        ({"body_contains": "2.25.7"}, get("/x"), False),
    ],
)
def test_match(link: Running, match: dict[str, Any], request_bytes: bytes, hit: bool) -> None:
    link.rules(rule(UNAVAILABLE, **match))
    assert statuses(link, 1, request_bytes) == [503 if hit else 200]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"every": 3}, [200, 200, 503, 200, 200, 503]),
        ({"skip": 2}, [200, 200, 503, 503, 503, 503]),
        ({"times": 2}, [503, 503, 200, 200, 200, 200]),
        ({"skip": 1, "every": 2, "times": 2}, [200, 200, 503, 200, 503, 200]),
    ],
)
def test_counting(link: Running, match: dict[str, Any], expected: list[int]) -> None:
    link.rules(rule(UNAVAILABLE, path_regex="^/v2", **match))
    link.exchange(get("/other"))
    assert statuses(link, 6, get("/v2/x")) == expected
    seen = link.request("GET", "/routes/web/rules")[1][0]
    assert (seen["matched"], seen["hits"]) == (6, expected.count(503))


def test_first_rule_that_acts_is_the_one(link: Running) -> None:
    teapot = {"name": "second", "action": {"respond": {"status": 418}}}
    link.rules(rule(UNAVAILABLE, times=1), teapot)
    assert statuses(link, 2, get("/x")) == [503, 418]


def test_passed_requests_with_a_kept_body_arrive_unchanged(link: Running) -> None:
    link.rules(rule(UNAVAILABLE, body_contains="not in there"))
    body = bytes(range(256)) * 50_000
    request = post("/v2/studies", body)
    assert status_of(link.exchange(request)) == 200
    assert link.http.received[0].head + link.http.received[0].body == request


def test_passed_requests_with_a_kept_chunked_body_keep_their_content(link: Running) -> None:
    link.rules(rule(UNAVAILABLE, body_contains="not in there"))
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    link.exchange(head + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    assert link.http.received[0] == Received(head, b"7\r\nabcdefg\r\n0\r\n\r\n")


def test_kept_body_is_asked_for(link: Running) -> None:
    link.rules(rule(UNAVAILABLE, body_contains="x"))
    with link.tls() as sock:
        head, _, body = post("/x", b"12345", "Expect: 100-continue").partition(b"\r\n\r\n")
        sock.sendall(head + b"\r\n\r\n")
        file = sock.makefile("rb")
        assert read_head(file) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_body(file, read_head(file)) == b"hello"
    assert b"expect" not in link.http.received[0].head.lower()


@pytest.mark.parametrize("when", ["before", "after"])
def test_delay(link: Running, when: str) -> None:
    link.rules(rule({"delay": 0.3, "when": when}))
    began = time.monotonic()
    assert statuses(link, 1, get("/x")) == [200]
    assert time.monotonic() - began >= 0.29


def test_reset_before_keeps_the_request_from_the_target(link: Running) -> None:
    link.rules(rule({"reset": "before"}))
    with link.tls() as sock:
        sock.sendall(get("/x"))
        assert_reset(sock)
    assert link.http.received == []
    assert link.exchanges()[0]["outcome"] == "reset"


def test_reset_after_lets_the_target_answer(link: Running) -> None:
    link.rules(rule({"reset": "after"}))
    with link.tls() as sock:
        sock.sendall(post("/x", b"stored"))
        assert_reset(sock)
    assert [received.body for received in link.http.received] == [b"stored"]
    row = link.exchanges()[0]
    assert (row["outcome"], row["status"], row["target_status"]) == ("reset", None, 200)


def test_pretend_stored_answers_success_and_stores_nothing(link: Running) -> None:
    link.rules(rule({"pretend_stored": True}, method="POST"))
    answer = link.exchange(post("/v2/studies", multipart(part10("2.25.1"), part10("2.25.2")), MULTIPART))
    document = json.loads(body_of(answer))

    assert status_of(answer) == 200
    assert b"Content-Type: application/dicom+json" in answer
    items = document["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in items] == [["2.25.1"], ["2.25.2"]]
    assert items[0]["00081150"] == {"vr": "UI", "Value": [SECONDARY_CAPTURE]}
    study = f"https://service.test/v2/studies/{STUDY}"
    assert items[0]["00081190"]["Value"] == [f"{study}/series/{SERIES}/instances/2.25.1"]
    assert document["00081190"]["Value"] == [study]
    assert "00081198" not in document
    assert link.http.received == []
    assert link.exchanges()[0]["sop_instance_uids"] == ["2.25.1", "2.25.2"]


def test_hang_after_headers(link: Running) -> None:
    link.rules(rule({"hang_after_headers": True}, times=1))
    with link.tls() as sock:
        sock.sendall(get("/x"))
        assert read_head(sock.makefile("rb")).startswith(b"HTTP/1.1 200 OK\r\n")
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert link.exchange(get("/x")).endswith(b"hello")


@pytest.mark.parametrize("chunked", [False, True])
def test_truncate_body(link: Running, chunked: bool) -> None:
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    link.http.answer = lambda _: chunk if chunked else HELLO
    link.rules(rule({"truncate_body": 3}))
    assert body_of(link.exchange(get("/x"))) == (b"3\r\nhel\r\n" if chunked else b"hel")
    assert link.exchanges()[0]["outcome"] == "truncated"


def test_flip_bit_alters_one_bit_of_the_pixels(link: Running) -> None:
    file = part10("2.25.1")
    body = multipart(file, part10("2.25.2"))
    head = f"HTTP/1.1 200 OK\r\n{MULTIPART}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    link.http.answer = lambda _: head + body
    link.rules(rule({"flip_bit": True}))
    seen = body_of(link.exchange(get("/x")))

    changed = [index for index in range(len(body)) if seen[index] != body[index]]
    assert len(seen) == len(body)
    assert len(changed) == 1
    assert (seen[changed[0]] ^ body[changed[0]]).bit_count() == 1
    start = body.index(file)
    assert start + file.index(b"\x10\x20" * 8) <= changed[0] < start + len(file)


def test_flip_bit_in_a_chunked_body(link: Running) -> None:
    link.http.answer = lambda _: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\0\0\0\0\r\n0\r\n\r\n"
    )
    link.rules(rule({"flip_bit": True}))
    assert body_of(link.exchange(get("/x"))) == b"4\r\n\0\0\0\1\r\n0\r\n\r\n"


def test_replace_body_keeps_status_and_other_fields(link: Running) -> None:
    link.http.answer = lambda _: HELLO.replace(b"Content-Length", b"X-Kept: yes\r\nContent-Length")
    link.rules(rule({"replace_body": "<html>no DICOM</html>"}))
    answer = link.exchange(get("/x"))
    assert status_of(answer) == 200
    assert b"X-Kept: yes" in answer
    assert b"Content-Length: 21" in answer
    assert body_of(answer) == b"<html>no DICOM</html>"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "list"),
        ([{"action": {}}], "exactly one"),
        ([{"action": {"respond": {"status": 99}}}], "status"),
        ([{"action": {"respond": {"status": 200, "headers": {"a": "b\r\nc: d"}}}}], "line ends"),
        ([{"action": {"delay": -1}}], "seconds"),
        ([{"action": {"reset": "now"}}], "before"),
        ([{"action": {"flip_bit": False}}], "true"),
        ([{"action": {"flip_bit": True}, "match": {"path_regex": "("}}], "path_regex"),
        ([{"action": {"flip_bit": True}, "match": {"every": 0}}], "every"),
        ([{"action": {"flip_bit": True}, "match": {"path": "/"}}], "path"),
    ],
)
def test_wrong_rules_are_refused_and_change_nothing(link: Running, document: object, named: str) -> None:
    link.rules(rule(UNAVAILABLE))
    status, answer = link.request("PUT", "/routes/web/rules", document)
    assert status == 400
    assert named in answer["error"]
    assert statuses(link, 1, get("/x")) == [503]


def test_kept_body_larger_than_memory_is_searched_to_its_end(link: Running) -> None:
    link.rules(rule(UNAVAILABLE, body_contains="the needle"))
    with link.tls() as sock:
        sock.sendall(post("/x", b"." * 9_000_000 + b"the needle"))
        assert status_of(receive_all(sock)) == 503
