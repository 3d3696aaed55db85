"""Roles and the data actions they permit (AUTH-014 to AUTH-017, AUTH-022)."""

from collections.abc import Iterable
from enum import Enum


class Action(Enum):
    """A data action of the service."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    MANAGE_TAGS = "manageExtendedQueryTags"
    EXPORT = "export"


EVERYTHING = frozenset(Action)
_READER = frozenset({Action.READ})

# Names are compared without regard to case (AUTH-015).
ROLES: dict[str, frozenset[Action]] = {
    "dicom data owner": EVERYTHING,
    "globaladmin": EVERYTHING,
    "dicom data reader": _READER,
    "globalreader": _READER,
    "dicom data writer": frozenset({Action.READ, Action.WRITE}),
}


def permitted(roles: Iterable[str]) -> frozenset[Action]:
    """Return the union of what the roles permit; unknown roles permit nothing."""
    actions: frozenset[Action] = frozenset()
    for role in roles:
        actions |= ROLES.get(role.lower(), frozenset())
    return actions
