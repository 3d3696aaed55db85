"""Reads a DICOMweb service over HTTP (ROUTER-081, ROUTER-121, ROUTER-127, ROUTER-128)."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from systems.router.bridge.cloud import (
    CloudGarbled,
    CloudRefused,
    CloudUnauthorised,
    CloudUnreachable,
    JsonDataset,
)
from systems.router.cloud.errors import CloudError as TokenError
from systems.router.cloud.errors import CloudUnauthorisedError

_JSON: Final = "application/dicom+json"
# The single part first: it spares the wrapping. Every origin server has the other one (PS3.18 table 10.4.4-1).
_AS_STORED: Final = (
    "application/dicom; transfer-syntax=*",
    'multipart/related; type="application/dicom"; transfer-syntax=*',
)
_CHUNK: Final = 1 << 18
_LARGEST_PAGE: Final = 64 << 20


class Tokens(Protocol):
    """Gives bearer tokens; an empty one where the service wants none."""

    async def token(self) -> str:
        """A token believed to be good."""
        ...

    def invalidate(self, token: str) -> None:
        """Do not give `token` again: the service refused it."""
        ...


class HttpCloudReader:
    """A `CloudReader` over one connection pool. Times are seconds; no redirects are followed."""

    def __init__(
        self,
        base_url: str,
        tokens: Tokens,
        *,
        version: str = "v2",
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 60.0,
        connections: int = 32,
    ) -> None:
        self._base = base_url.rstrip("/") + (f"/{version}" if version else "")
        self._tokens = tokens
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_timeout, sock_read=read_timeout
        )
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._file_form = _AS_STORED[0]

    async def search(
        self, resource: str, params: Sequence[tuple[str, str]], *, limit: int, offset: int
    ) -> list[JsonDataset]:
        """See `CloudReader.search`; 204 is an empty page."""
        query = urlencode([*params, ("limit", str(limit)), ("offset", str(offset))])
        async with self._get(f"{resource}?{query}", _JSON) as response:
            if response.status == 204:
                return []
            body = await _page(response)
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            message = "the answer to a search is not JSON"
            raise CloudGarbled(message) from error
        if not isinstance(found, list) or not all(isinstance(match, dict) for match in found):
            message = "the answer to a search is not a list of matches"
            raise CloudGarbled(message)
        return found

    async def retrieve_instance(self, study: str, series: str, instance: str) -> AsyncIterator[bytes]:
        """See `CloudReader.retrieve_instance`; a service that wraps the file in multipart is understood too."""
        path = f"/studies/{study}/series/{series}/instances/{instance}"
        async with self._as_stored(path) as response:
            if response.content_type.startswith("multipart/"):
                part = await aiohttp.MultipartReader.from_response(response).next()
                if not isinstance(part, aiohttp.BodyPartReader):
                    message = "a multipart answer without a part"
                    raise CloudGarbled(message)
                while chunk := await part.read_chunk(_CHUNK):
                    yield bytes(chunk)
                return
            async for chunk in response.content.iter_any():
                yield chunk

    @asynccontextmanager
    async def _as_stored(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """A file in its stored encoding, in the form that the service has; what it does not have is not asked for again."""
        single, multipart = _AS_STORED
        form = self._file_form
        async with AsyncExitStack() as opened:
            try:
                response = await opened.enter_async_context(self._get(path, form))
            except CloudRefused as refused:
                # 400: not every origin server says 406 to a media type that it does not have.
                if form != single or refused.status not in (400, 406):
                    raise
                response = await opened.enter_async_context(self._get(path, multipart))
                self._file_form = multipart
            yield response

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=True)
        return self._session

    @asynccontextmanager
    async def _get(self, path: str, accept: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response, after at most one forced token renewal (ROUTER-121)."""
        try:
            token = await self._token()
            async with self._request(path, accept, token) as response:
                if response.status != 401:
                    _check(response)
                    yield response
                    return
            self._tokens.invalidate(token)
            async with self._request(path, accept, await self._token()) as response:
                _check(response)
                yield response
        except aiohttp.ClientPayloadError as error:
            message = "the cloud's answer ended before its end"
            raise CloudGarbled(message) from error
        except (aiohttp.ClientConnectionError, TimeoutError, OSError) as error:
            message = f"no answer from the cloud ({type(error).__name__})"
            raise CloudUnreachable(message) from error
        except (aiohttp.ClientError, ValueError) as error:
            message = f"an answer that is not HTTP as it should be ({type(error).__name__})"
            raise CloudGarbled(message) from error

    async def _token(self) -> str:
        try:
            return await self._tokens.token()
        except CloudUnauthorisedError as error:
            message = "the identity service refuses the router"
            raise CloudUnauthorised(message) from error
        except TokenError as error:
            message = "no token, the identity service gives no answer"
            raise CloudUnreachable(message) from error

    @asynccontextmanager
    async def _request(self, path: str, accept: str, token: str) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": accept}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # The path is sent as it is encoded here; quoting it again would change filter values.
        url = URL(self._base + path, encoded=True)
        async with self._open_session().get(url, headers=headers, allow_redirects=False) as response:
            yield response


async def _page(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_PAGE:
            message = f"a page of matches has more than {_LARGEST_PAGE} bytes"
            raise CloudGarbled(message)
    return bytes(body)


def _check(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in {401, 403}:
        message = f"the cloud answered {status}"
        raise CloudUnauthorised(message)
    if status not in {200, 204, 206}:
        raise CloudRefused(status, retry_after=_retry_after(response.headers.get("Retry-After", "")))


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header in either form (RFC 9110 section 10.2.3)."""
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
