"""The door: turns the Authorization header into permitted data actions."""

import time
from collections.abc import Callable
from typing import Protocol

from systems.dicom_service.security.roles import EVERYTHING, Action
from systems.dicom_service.settings import Settings


class Guard(Protocol):
    """Decides what a caller may do."""

    async def actions(self, authorization: str | None) -> frozenset[Action]:
        """Return what the caller may do; raises a 401 with its challenge."""
        ...


class OpenDoor:
    """Security switched off: everybody may do everything (AUTH-001)."""

    async def actions(self, _authorization: str | None) -> frozenset[Action]:
        """Return all actions."""
        return EVERYTHING


def make_guard(settings: Settings, now: Callable[[], float] = time.time) -> Guard:
    """Return the guard of the configuration; `now` tells the time, seconds since 1970, that tokens are held against."""
    if settings.authority is None:
        return OpenDoor()
    # The cryptography behind it is loaded only where it is used.
    from systems.dicom_service.security.tokens import TokenGuard  # noqa: PLC0415

    return TokenGuard(settings, now)
