"""What sign-ins leave behind: one-time codes, refresh tokens and waiting devices. In memory and bounded."""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

CODE_SECONDS = 600
DEVICE_SECONDS = 900
_REFRESH_SECONDS = 86_400
_KEPT = 10_000
# RFC 8628 section 6.1: letters that cannot be taken for each other or form words.
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """A user who signed in for an application, and what the application asked for."""

    client_id: str
    user_name: str
    scope: str
    nonce: str = ""
    redirect_uri: str = ""
    code_challenge: str = ""


@dataclass(slots=True)
class Device:
    """A device that waits until somebody signs in with its user code."""

    device_code: str
    user_code: str
    client_id: str
    scope: str
    session: Session | None = None


class _Expiring(Generic[T]):
    """A bounded map of secrets to things, each for a limited time by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._things: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def put(self, key: str, thing: T) -> None:
        self._things[key] = (time.monotonic() + self._seconds, thing)
        while len(self._things) > _KEPT:
            self._things.popitem(last=False)

    def get(self, key: str) -> T | None:
        ends, thing = self._things.get(key, (0.0, None))
        return thing if time.monotonic() < ends else None

    def take(self, key: str) -> T | None:
        thing = self.get(key)
        self._things.pop(key, None)
        return thing


class Sessions:
    """Hands out and redeems the secrets of sign-ins."""

    def __init__(self) -> None:
        self._codes: _Expiring[Session] = _Expiring(CODE_SECONDS)
        self._refresh: _Expiring[Session] = _Expiring(_REFRESH_SECONDS)
        self._devices: _Expiring[Device] = _Expiring(DEVICE_SECONDS)
        self._user_codes: _Expiring[Device] = _Expiring(DEVICE_SECONDS)

    def new_code(self, session: Session) -> str:
        """Return a code for the token endpoint, good once and for ten minutes."""
        code = secrets.token_urlsafe(32)
        self._codes.put(code, session)
        return code

    def redeem_code(self, code: str) -> Session | None:
        """Return the session of a code and use the code up."""
        return self._codes.take(code)

    def new_refresh(self, session: Session) -> str:
        """Return a refresh token, good once and for a day."""
        token = secrets.token_urlsafe(48)
        self._refresh.put(token, session)
        return token

    def redeem_refresh(self, token: str) -> Session | None:
        """Return the session of a refresh token and use the token up."""
        return self._refresh.take(token)

    def new_device(self, client_id: str, scope: str) -> Device:
        """Register a waiting device."""
        user_code = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(8))
        device = Device(secrets.token_urlsafe(32), user_code, client_id, scope)
        self._devices.put(device.device_code, device)
        self._user_codes.put(user_code, device)
        return device

    def device(self, device_code: str) -> Device | None:
        """Return the waiting device of a device code."""
        return self._devices.get(device_code)

    def device_of_user(self, user_code: str) -> Device | None:
        """Return the waiting device of a user code, however it was typed."""
        letters = "".join(letter for letter in user_code.upper() if letter.isalpha())
        return self._user_codes.get(letters)

    def end_device(self, device: Device) -> None:
        """Forget a device."""
        self._devices.take(device.device_code)
        self._user_codes.take(device.user_code)
