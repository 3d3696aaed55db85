"""Checks the inputs of a deployment before anything is deployed, and names each wrong one (CLAIM-PROVISION-03).

`python3 -m tools.azure_parameters [FILE]`: FILE is a Bicep parameters file in JSON (default:
infra/azure/main.parameters.json, whose blanks are to be filled in). infra/parameters.toml is checked with it. Exit code
0: what can be seen without Azure is right; 2: something is wrong.
"""

import argparse
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.common import CHECKOUT, Stop, main_of, say

SHARED = CHECKOUT / "infra" / "parameters.toml"
PARAMETERS = CHECKOUT / "infra" / "azure" / "main.parameters.json"
PRINCIPALS = ("ownerPrincipalId", "readerPrincipalId", "routerPrincipalId")
REQUIRED = ("workspaceName", *PRINCIPALS)
API_VERSIONS = ("v1", "v2")
ACCESS = ("Enabled", "Disabled")
NAME_LENGTH = (3, 24)
"""Letters of a workspace's and a service's name, from and to."""
MOST_ORIGINS = 10
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BLANK = re.compile(r"[0-]+")

Rule = Callable[[Any], str | None]
"""What is wrong with a value and what to do, or None."""


def guid_fault(value: object) -> str | None:
    """Say what keeps a value from being an identifier of Microsoft Entra ID."""
    if not isinstance(value, str) or not _GUID.fullmatch(value):
        return f"is {value!r}; it is a GUID such as 1b4e28ba-2fa1-41d2-883f-0016d3cca427"
    if _BLANK.fullmatch(value):
        return "is still the blank of zeros; `python3 -m tools.azure_applications` prints the identifiers"
    return None


def url_fault(value: object) -> str | None:
    """Say what keeps a value from being the URL of a DICOM service: https, a host, no path (so no version)."""
    remedy = "write it as https://WORKSPACE-SERVICE.dicom.azurehealthcareapis.com, without a version"
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        usable = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return f"is {value!r}; {remedy}"
    if not usable or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        return f"is {value!r}; {remedy}"
    return None


def ae_title_fault(value: object) -> str | None:
    """Say what keeps a value from being an AE title (PS3.5 section 6.2: up to 16 characters, no backslash)."""
    if not isinstance(value, str) or not 1 <= len(value) <= 16 or value != value.strip():
        return f"is {value!r}; an AE title has 1 to 16 characters and no spaces around it"
    if not value.isascii() or not value.isprintable() or "\\" in value:
        return f"is {value!r}; an AE title has printable ASCII characters and no backslash"
    return None


def port_fault(value: object) -> str | None:
    """Say what keeps a value from being a TCP port."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        return f"is {value!r}; a TCP port is a number from 1 to 65535"
    return None


def _named(pattern: str, words: str) -> Rule:
    least, most = NAME_LENGTH

    def fault(value: object) -> str | None:
        if not isinstance(value, str) or not least <= len(value) <= most or not re.fullmatch(pattern, value):
            return f"is {value!r}; it has {least} to {most} {words}"
        return None

    return fault


def one_of(allowed: tuple[str, ...]) -> Rule:
    """Make the rule that a value is one of these."""
    return lambda value: None if value in allowed else f"is {value!r}; it is one of {', '.join(allowed)}"


def _text_fault(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else f"is {value!r}; give it a text"


def _origins_fault(value: object) -> str | None:
    if not isinstance(value, list) or len(value) > MOST_ORIGINS:
        return f"is {value!r}; it is a list of at most {MOST_ORIGINS} origins"
    wrong = [one for one in value if url_fault(one) is not None or str(one).endswith("/")]
    return (
        f"has {wrong[0]!r}; an origin is https://host, without a path or a slash at its end"
        if wrong
        else None
    )


dicom_service_name_fault = _named(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "lower-case letters, digits and inner hyphens"
)
RULES: Mapping[str, Rule] = {
    "location": _text_fault,
    "workspaceName": _named(r"[a-z0-9]+", "lower-case letters and digits"),
    "dicomServiceName": dicom_service_name_fault,
    "apiVersion": one_of(API_VERSIONS),
    "publicNetworkAccess": one_of(ACCESS),
    **dict.fromkeys(PRINCIPALS, guid_fault),
    "corsOrigins": _origins_fault,
}
"""Every parameter of infra/azure/main.bicep."""

_SHARED_RULES: Mapping[str, Rule] = {
    "ae_titles": ae_title_fault,
    "ports": port_fault,
    "roles": _text_fault,
    "role_definitions": guid_fault,
    "applications": _text_fault,
}
_SHARED_KEYS: Mapping[str, Mapping[str, Rule]] = {
    "dicom_service": {"api_version": one_of(API_VERSIONS), "audience": url_fault},
    "names": {"dicom_service": dicom_service_name_fault},
}


def parameter_faults(document: object) -> Iterator[str]:
    """Name every wrong input of a Bicep parameters file, each with what to do."""
    given = document.get("parameters") if isinstance(document, dict) else None
    if not isinstance(given, dict):
        yield "`parameters` is missing; begin with a copy of infra/azure/main.parameters.json"
        return
    yield from (f"`{name}` is missing; it has no default" for name in REQUIRED if name not in given)
    values: dict[str, object] = {}
    for name, entry in given.items():
        if name not in RULES:
            yield f"`{name}` is not a known parameter; known are {', '.join(RULES)}"
        elif not isinstance(entry, dict) or set(entry) != {"value"}:
            yield f'`{name}` is not written as {{"value": ...}}; a reference to a vault is not needed: nothing here is secret'
        else:
            values[name] = entry["value"]
    yield from _value_faults(values)


def _value_faults(values: Mapping[str, object]) -> Iterator[str]:
    for name, value in values.items():
        fault = RULES[name](value)
        if fault is not None:
            yield f"`{name}` {fault}"
    holders: dict[str, str] = {}
    for name in PRINCIPALS:
        value = values.get(name)
        if guid_fault(value) is not None:
            continue
        first = holders.setdefault(str(value).lower(), name)
        if first != name:
            yield f"`{name}` is the same principal as `{first}`; each has a role of its own, so register one for each"


def shared_faults(document: Mapping[str, object]) -> Iterator[str]:
    """Name every wrong value of infra/parameters.toml."""
    known = (*_SHARED_RULES, *_SHARED_KEYS)
    yield from (
        f"`{key}` is not a known table; known are {', '.join(known)}" for key in document if key not in known
    )
    for name in known:
        table = document.get(name)
        if not isinstance(table, dict) or not table:
            yield f"`{name}` is missing or empty; write it as [{name}]"
            continue
        rules = _SHARED_KEYS.get(name) or dict.fromkeys(table, _SHARED_RULES.get(name, _text_fault))
        for key in sorted(table.keys() | rules.keys()):
            if key not in rules:
                yield f"`{name}.{key}` is not a known key; known are {', '.join(rules)}"
            elif key not in table:
                yield f"`{name}.{key}` is missing"
            elif fault := rules[key](table[key]):
                yield f"`{name}.{key}` {fault}"
    yield from _role_faults(document)


def _role_faults(document: Mapping[str, object]) -> Iterator[str]:
    roles, definitions, applications = (
        document.get(name) for name in ("roles", "role_definitions", "applications")
    )
    if not isinstance(roles, dict) or not isinstance(definitions, dict) or not isinstance(applications, dict):
        return
    for who, role in roles.items():
        if role not in definitions:
            yield f"`roles.{who}` is {role!r}, which [role_definitions] does not have"
        if who not in applications:
            yield f"`applications.{who}` is missing, though [roles] gives it a role"


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a Bicep parameters file.

    Raises:
        Stop: when it cannot be read (exit code 2).

    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Stop(f"parameters file {path} cannot be read: {error}", exit_code=2) from error
    return document if isinstance(document, dict) else {}


def read_shared(path: Path = SHARED) -> dict[str, Any]:
    """Read and check the parameters of both ways of deployment.

    Raises:
        Stop: when a value is wrong (exit code 2), with every fault.

    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Stop(f"parameters file {path} cannot be read: {error}", exit_code=2) from error
    _require(path, list(shared_faults(document)))
    return document


def _require(path: Path, faults: list[str]) -> None:
    if faults:
        raise Stop(
            "\n".join([f"{path} is not ready for a deployment:", *(f"  {one}" for one in faults)]),
            exit_code=2,
        )


def main() -> int:
    """Check both files."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.azure_parameters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, default=PARAMETERS, help="default: %(default)s")
    path: Path = parser.parse_args().file
    read_shared()
    _require(path, list(parameter_faults(read_parameters(path))))
    say(
        f"{path}: nothing wrong can be seen without asking Azure (whether names are free, whether principals exist)"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main_of(main))
