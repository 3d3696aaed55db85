"""The HTTP client towards the cloud: limits, token, one repeat after 401 (ROUTER-125, 127)."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from systems.router.cloud.client import load, trust
from systems.router.cloud.errors import CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.tokens import TokenSource
from systems.router.config.model import Cloud
from systems.router.dimse.measures import Histogram

if TYPE_CHECKING:
    import aiohttp

Body = Callable[[], bytes | AsyncIterator[bytes]]
_LARGEST_ANSWER: Final = 64 << 20
_BASE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, if it does."""
        return retry_after(self.headers.get("retry-after"))


class CloudHttp:
    """One connection pool for all workers. Redirects are never followed."""

    def __init__(self, cloud: Cloud, tokens: TokenSource) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None
        self.statuses: dict[int, int] = {}
        self.seconds = Histogram()

    def reconfigure(self, cloud: Cloud) -> None:
        """Keep these limits from the next request on; address and trust store stay with the session."""
        self._cloud = cloud

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        body: Body | None = None,
        size: int = 0,
    ) -> Answer:
        """Ask and read the answer; `path` is below the versioned service URL, `body` can be made anew.

        Raises:
            CloudUnreachableError: no answer.
            CloudUnauthorisedError: there is no token to be had.

        """
        async with self.stream(method, path, headers=headers, body=body, size=size) as response:
            content = await self._read(response)
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        body: Body | None = None,
        size: int = 0,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `request`, with the answer still to be read. A 401 leads to one new token and one repeat (ROUTER-121)."""
        token = await self._tokens.token()
        response = await self._once(method, path, headers, token, body, size)
        if response.status == 401 and token:
            response.release()
            self._tokens.invalidate(token)
            token = await self._tokens.token()
            response = await self._once(method, path, headers, token, body, size)
        try:
            self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
            yield response
        finally:
            response.release() if response.content.at_eof() else response.close()

    async def _once(
        self, method: str, path: str, headers: dict[str, str], token: str, body: Body | None, size: int
    ) -> aiohttp.ClientResponse:
        session = await self._open()
        import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

        if token:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        began = time.monotonic()
        try:
            response = await session.request(
                method,
                self._cloud.service_url + path,
                headers=headers,
                data=body() if body is not None else None,
                timeout=self._limits(size),
                allow_redirects=False,
                proxy=self._cloud.proxy,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise CloudUnreachableError(f"no connection to the cloud: {why(error)}", sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CloudUnreachableError(f"no answer from the cloud: {why(error)}", sent=True) from error
        self.seconds.add(time.monotonic() - began)
        return response

    async def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            try:
                context = unverified(self._cloud, await load(self._cloud.ca_file))
            except OSError as error:
                raise CloudUnreachableError(
                    f"cloud.ca_file: the trust store cannot be read: {why(error)}", sent=False
                ) from error
            import aiohttp  # noqa: PLC0415 - loaded just now, see cloud.client

            # Another worker may have been here meanwhile.
            self._session = self._session or aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=0, enable_cleanup_closed=True),
                auto_decompress=False,
                # Files are kept as they come, so no encoding is asked for that would have to be undone.
                headers={"Accept-Encoding": "identity"},
            )
        return self._session

    def _limits(self, size: int) -> aiohttp.ClientTimeout:
        """Separate limits to connect and between bytes read; the whole grows with the size (ROUTER-127)."""
        import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

        return aiohttp.ClientTimeout(
            total=_BASE_SECONDS + self._cloud.read_idle_seconds + size / self._cloud.bytes_per_second,
            sock_connect=self._cloud.connect_seconds,
            sock_read=self._cloud.read_idle_seconds,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

        try:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > _LARGEST_ANSWER:
                    raise CloudUnreachableError("the cloud's answer is unreasonably large", sent=True)
            return bytes(content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CloudUnreachableError(f"the cloud's answer was cut: {why(error)}", sent=True) from error


def tls_context(cloud: Cloud) -> ssl.SSLContext:
    """Verify against the configured trust store; not to verify takes the explicit test-only switch (ROUTER-125)."""
    return unverified(cloud, trust(cloud.ca_file))


def unverified(cloud: Cloud, context: ssl.SSLContext) -> ssl.SSLContext:
    """`context`, which verifies nothing any more where the test-only switch says so."""
    if not cloud.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3: seconds or a date), or None."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def why(error: BaseException) -> str:
    """An error's text, or its kind where it has none."""
    return str(error) or type(error).__name__


Probe = Callable[[], Awaitable[None]]


def require_authorised(answer: Answer) -> None:
    """Raise `CloudUnauthorisedError` for 401 and 403."""
    if answer.status in (401, 403):
        kind = "the token is refused" if answer.status == 401 else "the role is missing"
        raise CloudUnauthorisedError(f"the cloud answers HTTP {answer.status}: {kind}", answer.status)
