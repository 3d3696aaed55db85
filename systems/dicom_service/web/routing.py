"""Which action a request is for, decided before anything else is looked at (VER-001 to VER-015, AUTH-027)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SUPPORTED_VERSIONS = {"1.0-prerelease": 1, "1": 1, "2": 2}
"""Version as the server prints it, and its major number."""

_VERSION = re.compile(r"v([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:-([a-z][a-z0-9]*))?", re.IGNORECASE)
_JSON_MODEL = ("application/dicom+json",)
# The media types a body may have, of the actions where routing looks at it.
_BODY_TYPES = {
    "store": ("application/dicom", "multipart/related"),
    "workitem-create": _JSON_MODEL,
    "workitem-update": _JSON_MODEL,
    "workitem-change-state": _JSON_MODEL,
    "workitem-cancel": _JSON_MODEL,
}

# Every path below the version: its segments, and the action of each method. Words in braces are variables.
_ROUTES: dict[str, dict[str, str]] = {
    "studies": {"GET": "search-studies", "POST": "store"},
    "series": {"GET": "search-series"},
    "instances": {"GET": "search-instances"},
    "studies/$bulkUpdate": {"POST": "bulk-update"},
    "studies/{study}": {"GET": "retrieve", "POST": "store", "DELETE": "delete"},
    "studies/{study}/metadata": {"GET": "metadata"},
    "studies/{study}/series": {"GET": "search-series"},
    "studies/{study}/instances": {"GET": "search-instances"},
    "studies/{study}/series/{series}": {"GET": "retrieve", "DELETE": "delete"},
    "studies/{study}/series/{series}/metadata": {"GET": "metadata"},
    "studies/{study}/series/{series}/instances": {"GET": "search-instances"},
    "studies/{study}/series/{series}/instances/{instance}": {"GET": "retrieve", "DELETE": "delete"},
    "studies/{study}/series/{series}/instances/{instance}/metadata": {"GET": "metadata"},
    "studies/{study}/series/{series}/instances/{instance}/rendered": {"GET": "rendered"},
    "studies/{study}/series/{series}/instances/{instance}/frames/{frames}": {"GET": "frames"},
    "studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered": {"GET": "rendered"},
    "export": {"POST": "export"},
    "changefeed": {"GET": "change-feed"},
    "changefeed/latest": {"GET": "change-feed-latest"},
    "partitions": {"GET": "list-partitions"},
    "operations/{operation}": {"GET": "operation"},
    "extendedquerytags": {"GET": "list-tags", "POST": "add-tags"},
    "extendedquerytags/{tag}": {"GET": "tag", "PATCH": "change-tag", "DELETE": "delete-tag"},
    "extendedquerytags/{tag}/errors": {"GET": "tag-errors"},
    "workitems": {"GET": "workitem-search", "POST": "workitem-create"},
    "workitems/{workitem}": {"GET": "workitem-retrieve", "POST": "workitem-update"},
    "workitems/{workitem}/state": {"PUT": "workitem-change-state"},
    "workitems/{workitem}/cancelrequest": {"POST": "workitem-cancel"},
}


# The resources of the whole service, which have no second path below a partition (API-010).
_SERVICE_WIDE = frozenset({"changefeed", "extendedquerytags", "operations", "partitions", "devstoreaccount1"})


def is_partitioned(template: str) -> bool:
    """Return whether the resource of a path lies in a partition."""
    return template.partition("/")[0] not in _SERVICE_WIDE


def paths() -> dict[str, dict[str, str]]:
    """Return every path below the version with the action of each method."""
    below = {
        f"partitions/{{partition}}/{path}": methods
        for path, methods in _ROUTES.items()
        if is_partitioned(path)
    }
    return _ROUTES | below


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: the action, the version and the variables of the path."""

    action: str
    version: int
    version_segment: str
    variables: dict[str, str]
    template: str = ""
    """The path as the table has it, below the version."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that no action takes: its status, with the methods there are or the version nobody serves."""

    status: int
    allow: tuple[str, ...] = ()
    version: str = ""


@dataclass(slots=True)
class _Node:
    words: dict[str, "_Node"] = field(default_factory=dict)
    variable: str = ""
    below_variable: "_Node | None" = None
    methods: dict[str, str] = field(default_factory=dict)
    template: str = ""


def _tree() -> _Node:
    root = _Node()
    for path, methods in paths().items():
        node = root
        for segment in path.split("/"):
            if segment.startswith("{"):
                node.variable = segment.strip("{}")
                node.below_variable = node.below_variable or _Node()
                node = node.below_variable
            else:
                node = node.words.setdefault(segment.lower(), _Node())
        node.methods, node.template = methods, path
    return root


_TREE = _tree()


def route(method: str, path: str, content_types: Sequence[str]) -> Route | Refused:
    """Return the route of a request, or the status routing gives it: 404, 405, 415 or 400, in this order."""
    segments = path.removesuffix("/").split("/")[1:]
    printed = _printed_version(segments[0]) if segments else None
    found = _find(segments[1:]) if printed is not None else None
    if printed is None or found is None:
        return Refused(404)
    methods, variables, template = found
    action = methods.get(method)
    if action is None:
        return Refused(405, allow=tuple(sorted(methods)))
    if content_types and not _taken(action, content_types[0]):
        return Refused(415)
    major = SUPPORTED_VERSIONS.get(printed)
    if major is None:
        return Refused(400, version=printed)
    return Route(action, major, segments[0], variables, template)


def _find(segments: Sequence[str]) -> tuple[dict[str, str], dict[str, str], str] | None:
    """Return methods, variables and template of the path below the version, None when there is no such path."""
    node, variables = _TREE, {}
    for segment in segments:
        below = node.words.get(segment.lower())
        if below is None:
            if node.below_variable is None or not segment:
                return None
            variables[node.variable] = segment
            below = node.below_variable
        node = below
    return (node.methods, variables, node.template) if node.methods else None


def _taken(action: str, content_type: str) -> bool:
    types = _BODY_TYPES.get(action)
    return types is None or content_type.partition(";")[0].strip().lower() in types


def _printed_version(segment: str) -> str | None:
    """Return the version of a path segment as the server prints it, None when it is no version (VER-006, VER-007)."""
    match = _VERSION.fullmatch(segment)
    if match is None:
        return None
    major, minor, status = match.groups()
    printed = str(int(major))
    if status is not None and int(minor or 0) == 0:
        return f"{printed}.0-{status.lower()}"
    if minor is not None and int(minor) != 0:
        printed += f".{int(minor)}"
    return printed if status is None else f"{printed}-{status.lower()}"
