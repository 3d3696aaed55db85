"""The living state of the tenant: applications, users, clock, token lifetime, keys and the token requests seen."""

import hmac
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from systems.identity import errors
from systems.identity.config import Application, Config, User
from systems.identity.keys import KeyRing

_REQUESTS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request to a token endpoint, without its secrets. `error` is the AADSTS number of a refusal."""

    sequence: int
    time: str
    client_id: str
    form: str
    grant_type: str
    status: int
    error: int | None


class Tenant:
    """Everything an administrator of the tenant could change, in memory. Used from one event loop."""

    def __init__(self, config: Config, authority: str, keys: KeyRing) -> None:
        self.tenant_id = config.tenant
        self.authority = authority
        self.audiences = config.audiences
        self.keys = keys
        self.clock_offset = 0.0
        self.token_lifetime = config.token_lifetime
        self.applications = {application.client_id: application for application in config.applications}
        self.requests: deque[TokenRequest] = deque(maxlen=_REQUESTS_KEPT)
        self._users = {user.name.lower(): user for user in config.users}
        self._sequence = count(1)

    def now(self) -> float:
        """The tenant's own clock, epoch seconds: the machine's plus the offset."""
        return time.time() + self.clock_offset

    def issuer(self, version: str) -> str:
        """The `iss` of tokens of `version` "1.0" or "2.0"."""
        base = f"{self.authority}/{self.tenant_id}"
        return f"{base}/v2.0" if version == "2.0" else f"{base}/"

    def application(self, client_id: str) -> Application:
        """Return a registered, enabled application. Raises `EntraError`."""
        application = self.applications.get(client_id)
        if application is None:
            raise errors.unknown_application()
        if not application.enabled:
            raise errors.disabled_application()
        return application

    def authenticate(self, client_id: str, secret: str) -> Application:
        """Return the application that proved itself by its secret, or a public one without. Raises `EntraError`."""
        application = self.applications.get(client_id)
        if application is None:
            raise errors.unknown_application()
        if not application.secret:
            if secret:
                raise errors.public_application()
        elif not secret:
            raise errors.no_credential()
        elif not _same(application.secret, secret):
            raise errors.wrong_secret()
        return self.application(client_id)

    def sign_in(self, name: str, password: str) -> User | None:
        """Return the user whose password this is, or `None`."""
        user = self._users.get(name.strip().lower())
        # A comparison takes place for unknown names too, so that its time tells nothing.
        matches = _same(user.password if user else "\0", password)
        return user if user is not None and matches else None

    def user(self, name: str) -> User | None:
        """Return the user as of now."""
        return self._users.get(name.lower())

    def change_application(self, client_id: str, changes: Mapping[str, Any]) -> Application:
        """Apply checked `changes` (roles, enabled, secret) to an application, registering it when it is new."""
        known = self.applications.get(client_id) or Application(client_id=client_id, object_id=client_id)
        self.applications[client_id] = replace(known, **changes)
        return self.applications[client_id]

    def change_user(self, name: str, changes: Mapping[str, Any]) -> User | None:
        """Apply checked `changes` (roles) to a user; returns `None` when there is no such user."""
        user = self._users.get(name.lower())
        if user is None:
            return None
        self._users[name.lower()] = replace(user, **changes)
        return self._users[name.lower()]

    def saw(self, form: str, fields: Mapping[str, str], status: int, error: int | None) -> None:
        """Remember a token request."""
        self.requests.append(
            TokenRequest(
                sequence=next(self._sequence),
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                client_id=fields.get("client_id", "")[:64],
                form=form,
                grant_type=fields.get("grant_type", "")[:64],
                status=status,
                error=error,
            )
        )


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
