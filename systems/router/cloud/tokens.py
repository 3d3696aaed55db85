"""Client-credentials tokens: one shared token, renewed in time, never logged (ROUTER-120, 121, 123)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from systems.router.cloud.client import load
from systems.router.cloud.errors import CloudUnauthorisedError, CloudUnreachableError
from systems.router.config.model import Credential
from systems.router.errors import SecretMissingError

_RENEW_SHARE: Final = 0.8
_LATEST_RENEWAL: Final = 300.0
_RETRY_SECONDS: Final = 5.0
_SAFETY_SECONDS: Final = 2.0
_LIMIT_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 10.0
_DELETING_ROLES: Final = frozenset({"DICOM Data Owner", "globalAdmin"})

log = logging.getLogger(__name__)


class TokenSource(Protocol):
    """Anything that can give tokens; an azure-identity credential fits behind a few lines."""

    async def token(self) -> str:
        """A bearer token, or an empty string where the cloud wants none."""
        ...

    def invalidate(self, token: str = "") -> None:
        """Do not use `token` (or the current one) again: the cloud refused it."""
        ...


class NoToken:
    """For a cloud without authentication."""

    async def token(self) -> str:
        """No token."""
        return ""

    def invalidate(self, token: str = "") -> None:
        """Nothing to forget."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    token_type: str
    renew_at: float
    ends_at: float


class ClientCredentials:
    """Asks the token endpoint by client credentials in the v1 or v2 form.

    The life of a token counts from its receipt by the monotonic clock, so that a wrong wall clock does not matter.
    Without `tls` the credential's own trust store is read with the first request.
    """

    def __init__(
        self,
        credential: Credential,
        tls: ssl.SSLContext | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credential = credential
        self._tls = tls
        self._clock = clock
        self._held: _Held | None = None
        self._retry_at = 0.0
        self._lock = asyncio.Lock()
        self.renewals = 0
        self.last_error = ""

    async def token(self) -> str:
        """The shared token; at most one renewal is in flight.

        Raises:
            CloudUnauthorisedError: the identity service refuses the client.
            CloudUnreachableError: it does not answer, or not usefully.

        """
        usable = self._usable()
        if usable is not None:
            return usable
        async with self._lock:
            usable = self._usable()
            if usable is not None:
                return usable
            try:
                self._held = await self._request()
            except (CloudUnauthorisedError, CloudUnreachableError) as error:
                self.last_error = str(error)
                self._retry_at = self._clock() + _RETRY_SECONDS
                if self._held is not None and self._clock() < self._held.ends_at:
                    log.warning("token renewal failed, the present token is still valid: %s", error)
                    return self._held.token
                raise
            self.renewals += 1
            self.last_error = ""
            return self._held.token

    def _usable(self) -> str | None:
        now = self._clock()
        if self._held is None or now >= self._held.ends_at:
            return None
        if now >= self._held.renew_at and now >= self._retry_at:
            return None
        return self._held.token

    def invalidate(self, token: str = "") -> None:
        """Forget `token` if it is still the shared one; another worker may have renewed it meanwhile."""
        if self._held is not None and token in ("", self._held.token):
            self._held = None

    async def test(self) -> str:
        """Ask for a new token and describe the answer without showing it (ROUTER-009)."""
        held = await self._request()
        return f"HTTP 200, token type {held.token_type}, valid for {held.ends_at - self._clock():.0f} s"

    def may_delete(self) -> bool:
        """Whether the token's roles would allow deleting (ROUTER-203). False without a readable token."""
        return bool(_DELETING_ROLES & set(_roles(self._held.token))) if self._held else False

    async def _request(self) -> _Held:
        credential = self._credential
        try:
            secret = credential.secret.read()
        except SecretMissingError as error:
            raise CloudUnauthorisedError(str(error), 0) from error
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_secret": secret,
            "resource" if credential.form == "v1" else "scope": credential.audience,
        }
        asked_at = self._clock()
        status, body = await self._post(form)
        return _read_answer(status, body, credential.token_url, asked_at)

    async def _post(self, form: dict[str, str]) -> tuple[int, bytes]:
        url = self._credential.token_url
        if self._tls is None:
            try:
                self._tls = await load(self._credential.ca_file)
            except OSError as error:
                message = f"cloud.credential.ca_file: the trust store cannot be read: {_why(error)}"
                raise CloudUnreachableError(message, sent=False) from error
        import aiohttp  # noqa: PLC0415 - see cloud.client

        limit = aiohttp.ClientTimeout(total=_LIMIT_SECONDS, sock_connect=_CONNECT_SECONDS)
        try:
            connector = aiohttp.TCPConnector(ssl=self._tls, force_close=True)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limit) as session,
                session.post(url, data=form, allow_redirects=False) as response,
            ):
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CloudUnreachableError(
                f"the identity service at {url} does not answer: {_why(error)}", sent=False
            ) from error


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _read_answer(status: int, body: bytes, url: str, asked_at: float) -> _Held:
    answer = _json_object(body)
    if status in (400, 401, 403):
        code = str(answer.get("error", "no error code"))[:60]
        raise CloudUnauthorisedError(
            f"the identity service refuses the client: HTTP {status}, {code}", status
        )
    token = answer.get("access_token")
    try:
        life = float(answer.get("expires_in", 0))
    except (TypeError, ValueError):
        life = 0.0
    if status != 200 or not isinstance(token, str) or not token or life <= 0:
        raise CloudUnreachableError(f"the identity service at {url} gave no token: HTTP {status}", sent=False)
    renew = max(life * _RENEW_SHARE, life - _LATEST_RENEWAL)
    end = max(life - _SAFETY_SECONDS, life * 0.9)
    return _Held(token, str(answer.get("token_type", "")), asked_at + renew, asked_at + end)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _roles(token: str) -> list[str]:
    """The `roles` claim, unverified: only for a hint to the operator."""
    try:
        payload = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        roles = claims.get("roles", [])
    except (IndexError, binascii.Error, orjson.JSONDecodeError, AttributeError, ValueError):
        return []
    return [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []
