"""The HTTP side: what is sent, one renewal after 401, and every way of failing under its own name."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from systems.router.bridge.cloud import (
    CloudError,
    CloudGarbled,
    CloudRefused,
    CloudUnauthorised,
    CloudUnreachable,
)
from systems.router.bridge.cloud_reader import HttpCloudReader
from systems.router.cloud.errors import CloudUnauthorisedError, CloudUnreachableError
from tests.router_dimse.support import run

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Tokens:
    """A first token and, once that is refused, a second."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.error: Exception | None = None

    async def token(self) -> str:
        if self.error is not None:
            raise self.error
        return f"token{len(self.refused)}"

    def invalidate(self, token: str) -> None:
        self.refused.append(token)


@asynccontextmanager
async def reading(answer: Answer, tokens: Tokens | None = None) -> AsyncIterator[HttpCloudReader]:
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    reader = HttpCloudReader(f"http://127.0.0.1:{port}/", tokens or Tokens(), read_timeout=0.5)
    try:
        yield reader
    finally:
        await reader.close()
        await runner.cleanup()


def search(answer: Answer, tokens: Tokens | None = None) -> list[dict[str, object]]:
    async def story() -> list[dict[str, object]]:
        async with reading(answer, tokens) as reader:
            params = [("PatientName", "Mü&=?%+"), ("includefield", "00100010"), ("includefield", "00100020")]
            return await reader.search("/studies", params, limit=200, offset=400)

    return run(story())


def retrieve(answer: Answer) -> bytes:
    async def story() -> bytes:
        async with reading(answer) as reader:
            return b"".join([chunk async for chunk in reader.retrieve_instance("1.2", "1.3", "1.4")])

    return run(story())


def test_a_search_is_sent_as_written() -> None:
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response([{"00100010": {"vr": "PN"}}], content_type="application/dicom+json")

    assert search(answer) == [{"00100010": {"vr": "PN"}}]
    (request,) = seen
    assert request.path == "/v2/studies"
    assert request.query_string == (
        "PatientName=Mü&=?%+&includefield=00100010&includefield=00100020&limit=200&offset=400"
    ) or list(request.query.items()) == [
        ("PatientName", "Mü&=?%+"),
        ("includefield", "00100010"),
        ("includefield", "00100020"),
        ("limit", "200"),
        ("offset", "400"),
    ]
    assert (request.headers["Accept"], request.headers["Authorization"]) == (
        "application/dicom+json",
        "Bearer token0",
    )


def test_no_content_is_an_empty_page() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=204)

    assert search(answer) == []


def test_a_refused_token_is_renewed_once() -> None:
    tokens, seen = Tokens(), []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response(status=401) if len(seen) == 1 else web.json_response([])

    assert search(answer, tokens) == []
    assert (tokens.refused, seen) == (["token0"], ["Bearer token0", "Bearer token1"])


@pytest.mark.parametrize("status", [401, 403])
def test_lasting_refusals_of_the_token_are_unauthorised(status: int) -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=status)

    with pytest.raises(CloudUnauthorised, match=str(status)):
        search(answer)
    assert len(seen) == (2 if status == 401 else 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CloudUnauthorisedError("secret refused", 400), CloudUnauthorised),
        (CloudUnreachableError("down", sent=False), CloudUnreachable),
    ],
)
def test_failures_of_the_token_service_keep_their_kind(error: Exception, expected: type[CloudError]) -> None:
    tokens = Tokens()
    tokens.error = error

    async def answer(_: web.Request) -> web.Response:
        return web.json_response([])

    with pytest.raises(expected):
        search(answer, tokens)


def test_statuses_are_told_with_retry_after() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "7"})

    with pytest.raises(CloudRefused) as refused:
        search(answer)
    assert (refused.value.status, refused.value.retry_after, refused.value.is_transient) == (503, 7.0, True)


def test_redirects_are_not_followed() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})

    with pytest.raises(CloudRefused, match="302"):
        search(answer)


@pytest.mark.parametrize("body", [b"<html>", b"", b"{}", b"[1]", b'[{"a"'])
def test_unreadable_pages_are_garbled(body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    with pytest.raises(CloudGarbled):
        search(answer)


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"[" + b" " * 400)
    if request.transport is not None:
        request.transport.close()
    return response


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


def test_cut_bodies_are_garbled_and_silence_is_unreachable() -> None:
    with pytest.raises(CloudGarbled):
        search(cut)
    with pytest.raises(CloudGarbled):
        retrieve(cut)
    with pytest.raises(CloudUnreachable):
        search(silent)


def test_a_closed_port_is_unreachable() -> None:
    async def story() -> None:
        reader = HttpCloudReader("http://127.0.0.1:1", Tokens())
        try:
            await reader.search("/studies", [], limit=1, offset=0)
        finally:
            await reader.close()

    with pytest.raises(CloudUnreachable):
        run(story())


def test_an_instance_is_asked_for_as_it_is_stored() -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Accept"]))
        return web.Response(body=b"x" * 500_000, content_type="application/dicom")

    assert retrieve(answer) == b"x" * 500_000
    assert seen == [("/v2/studies/1.2/series/1.3/instances/1.4", "application/dicom; transfer-syntax=*")]


def test_a_multipart_answer_is_unwrapped() -> None:
    async def answer(_: web.Request) -> web.Response:
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n\0bytes\r\n--b--\r\n"
        return web.Response(
            body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        )

    assert retrieve(answer) == b"DICM\r\n\0bytes"


def test_a_service_without_the_single_part_form_is_asked_for_multipart_from_then_on() -> None:
    accepts: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        accepts.append(request.headers["Accept"])
        if not accepts[-1].startswith("multipart/related"):
            return web.Response(status=400)
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--\r\n"
        return web.Response(
            body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        )

    async def story() -> list[bytes]:
        async with reading(answer) as reader:
            return [
                b"".join([chunk async for chunk in reader.retrieve_instance("1.2", "1.3", "1.4")])
                for _ in "ab"
            ]

    assert run(story()) == [b"DICM", b"DICM"]
    assert [accept.partition(";")[0] for accept in accepts] == [
        "application/dicom",
        "multipart/related",
        "multipart/related",
    ]


def test_a_bad_request_for_either_form_is_told() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=400)

    with pytest.raises(CloudRefused, match="400"):
        retrieve(answer)
