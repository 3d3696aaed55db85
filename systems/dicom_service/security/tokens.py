"""Validates bearer tokens against an OpenID Connect authority (AUTH-002 to AUTH-013)."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import jwt
from jwt import PyJWK

from systems.dicom_service.security.roles import EVERYTHING, Action, permitted
from systems.dicom_service.settings import HOSTED_AUDIENCE, Settings
from systems.dicom_service.web.problems import Problem

_log = logging.getLogger(__name__)
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
_FETCH_TIMEOUT = 10
_LEAST_BETWEEN_FETCHES = 5.0
_KEYS_AGE_LIMIT = 12 * 3600.0
_REMEMBERED_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Keys:
    """What the authority publishes: issuers of the tenant and signing keys by key id."""

    issuers: tuple[str, ...]
    by_id: dict[str, PyJWK]
    read_at: float


class AuthorityUnreachable(Exception):  # noqa: N818 - names the state of the authority
    """The discovery documents or keys cannot be read."""


class Authority:
    """The tenant's discovery documents and signing keys, read when first needed."""

    def __init__(self, settings: Settings) -> None:
        self._url = (settings.authority or "").rstrip("/").removesuffix("/v2.0")
        ca_file = str(settings.authority_ca) if settings.authority_ca else None
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._keys: Keys | None = None
        self._lock = asyncio.Lock()
        self._tried_at = float("-inf")

    async def key(self, key_id: str) -> tuple[PyJWK | None, tuple[str, ...]]:
        """Return the signing key of that id, None when there is none, and the issuers.

        An unknown id makes the keys be read again: the authority may have rotated them. Raises
        `AuthorityUnreachable` when no keys could ever be read.
        """
        keys = self._keys
        if keys is None or key_id not in keys.by_id or time.monotonic() - keys.read_at > _KEYS_AGE_LIMIT:
            keys = await self._refreshed(key_id)
        return keys.by_id.get(key_id), keys.issuers

    async def _refreshed(self, key_id: str) -> Keys:
        async with self._lock:
            known = self._keys
            if (
                known is not None
                and key_id in known.by_id
                and time.monotonic() - known.read_at <= _KEYS_AGE_LIMIT
            ):
                return known
            if known is not None and time.monotonic() - self._tried_at < _LEAST_BETWEEN_FETCHES:
                return known
            self._tried_at = time.monotonic()
            try:
                self._keys = await asyncio.to_thread(self._fetch)
            except (OSError, HTTPException, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
                _log.warning(
                    "the authority cannot be read", extra={"authority": self._url, "cause": str(error)}
                )
                if known is None:
                    raise AuthorityUnreachable from error
                return known
            return self._keys

    def _fetch(self) -> Keys:
        issuers: list[str] = []
        keys: dict[str, PyJWK] = {}
        failure: Exception | None = None
        # A tenant issues tokens of both forms, each under its own issuer.
        for base in (self._url, f"{self._url}/v2.0"):
            try:
                document = self._get(f"{base}/.well-known/openid-configuration")
                issuers.append(str(document["issuer"]))
                for entry in self._get(str(document["jwks_uri"]))["keys"]:
                    if entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig":
                        keys[str(entry.get("kid", ""))] = PyJWK(entry, algorithm=entry.get("alg", "RS256"))
            except (OSError, HTTPException, ValueError, KeyError) as error:
                failure = error
        if not issuers and failure is not None:
            raise failure
        return Keys(tuple(issuers), keys, time.monotonic())

    def _get(self, url: str) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise ValueError(f"{url} is not https")
        request = UrlRequest(url, headers={"Accept": "application/json"})  # noqa: S310 - https only, checked above
        with urlopen(request, timeout=_FETCH_TIMEOUT, context=self._tls) as answer:  # noqa: S310
            document = json.loads(answer.read(1 << 20))
        if not isinstance(document, dict):
            raise TypeError(f"{url} is no JSON object")
        return document


class TokenGuard:
    """Validates bearer tokens and maps their roles to data actions."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._authority = Authority(settings)
        self._audiences = [*settings.audiences]
        if HOSTED_AUDIENCE in self._audiences:
            self._audiences.append(f"{HOSTED_AUDIENCE}/")
        self._seen: dict[str, tuple[float, float, frozenset[Action]]] = {}

    async def actions(self, authorization: str | None) -> frozenset[Action]:
        """Return what the caller may do; raises the 401 of AUTH-002 to AUTH-010."""
        if not authorization or not authorization[:7].lower() == "bearer ":
            raise self._challenge(None)
        token = authorization[7:].strip()
        remembered = self._seen.get(token)
        if remembered is not None and remembered[0] <= self._now() < remembered[1]:
            return remembered[2]
        return await self._validated(token)

    async def _validated(self, token: str) -> frozenset[Action]:
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid", ""))
            key, issuers = await self._authority.key(key_id)
            if key is None:
                raise self._challenge("The signature key was not found")
            claims = self._claims(token, key, issuers)
        except jwt.PyJWTError as error:
            raise self._challenge(_description(error)) from error
        except AuthorityUnreachable as error:
            raise Problem("The identity provider cannot be reached; try again later.", status=503) from error
        actions = self._permitted(claims)
        self._remember(token, claims, actions)
        return actions

    def _claims(self, token: str, key: PyJWK, issuers: Sequence[str]) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=_ALGORITHMS,
            audience=self._audiences,
            issuer=list(issuers),
            # The times are compared with our own clock, which a developer may have moved.
            options={
                "require": ["exp", "iss", "aud"],
                "verify_iat": False,
                "verify_exp": False,
                "verify_nbf": False,
            },
        )
        _check_times(claims, self._now(), self._settings.clock_tolerance)
        return claims

    def _permitted(self, claims: dict[str, Any]) -> frozenset[Action]:
        if not self._settings.check_roles:
            return EVERYTHING
        roles = claims.get(self._settings.roles_claim, [])
        values = roles if isinstance(roles, list) else [roles]
        return permitted(role for role in values if isinstance(role, str))

    def _remember(self, token: str, claims: dict[str, Any], actions: frozenset[Action]) -> None:
        if len(self._seen) >= _REMEMBERED_TOKENS:
            self._seen.clear()
        tolerance = self._settings.clock_tolerance
        start = float(claims.get("nbf", 0)) - tolerance
        # Validated again now and then, so that a key the authority withdrew does not live on here.
        end = min(float(claims["exp"]) + tolerance, self._now() + 60)
        self._seen[token] = (start, end, actions)

    def _challenge(self, description: str | None) -> Problem:
        audience = self._settings.audiences[0]
        value = f'Bearer authorization_uri="{self._settings.authority}", resource_id="{audience}", realm="{audience}"'
        if description is not None:
            value += f', error="invalid_token", error_description="{description}"'
        return Problem(status=401, headers=[("WWW-Authenticate", value)])


def _check_times(claims: dict[str, Any], now: float, tolerance: float) -> None:
    try:
        end, start = int(claims["exp"]), int(claims.get("nbf", 0))
    except (TypeError, ValueError, OverflowError) as error:
        raise jwt.DecodeError("exp and nbf must be numbers") from error
    if end <= now - tolerance:
        raise jwt.ExpiredSignatureError
    if start > now + tolerance:
        raise jwt.ImmatureSignatureError


def _description(error: jwt.PyJWTError) -> str:
    """Return a cause for the challenge that quotes nothing of the token (AUTH-031)."""
    causes: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "The token is expired",
        jwt.ImmatureSignatureError: "The token is not valid yet",
        jwt.InvalidAudienceError: "The audience is invalid",
        jwt.InvalidIssuerError: "The issuer is invalid",
        jwt.InvalidSignatureError: "The signature is invalid",
        jwt.MissingRequiredClaimError: "The token lacks a required claim",
        jwt.InvalidAlgorithmError: "The signature algorithm is not accepted",
    }
    return causes.get(type(error), "The token cannot be read")
