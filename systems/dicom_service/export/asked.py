"""What an export asks for: its source and where it goes, checked (EXP-004 to EXP-010, EXP-019, EXP-020)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from systems.dicom_service.dicom.uids import is_uid
from systems.dicom_service.export.containers import ACCOUNT
from systems.dicom_service.web.json_body import member
from systems.dicom_service.web.problems import BadRequest

_SOURCES = {"identifiers": "identifiers"}
_DESTINATIONS = {"azureblob": "azureBlob"}


@dataclass(frozen=True, slots=True)
class Given:
    """A body that binds: the identifiers as they were written and the settings of the destination."""

    values: list[str]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Destination:
    """A container, the account it is in, and how the export would sign in there."""

    account: str
    container: str
    host: str
    """The host the address names, "" for the account of a connection string."""
    sas: bool
    managed_identity: bool

    @property
    def public(self) -> bool:
        """Whether nothing is presented to the account."""
        return bool(self.host) and not self.sas and not self.managed_identity


def given(body: Any) -> Given:
    """Return what binds of a body; raises the 400s of EXP-005 to EXP-007 and EXP-020."""
    if not isinstance(body, dict):
        raise _invalid("$", "an object is expected")
    source = _options(body, "Source", _SOURCES)
    destination = _options(body, "Destination", _DESTINATIONS)
    values = member(source, "values")[1]
    if not isinstance(values, list) or not values:
        raise _invalid("Values", "at least one identifier is needed")
    if not all(isinstance(value, str) for value in values):
        raise _invalid("Values", "identifiers are strings")
    return Given(values, destination)


def identifiers(values: list[str]) -> list[list[str]]:
    """Return the UIDs of each identifier; raises the 400 of EXP-004."""
    found = []
    for value in values:
        uids = [uid.strip(" ") for uid in value.split("/")]
        if not 1 <= len(uids) <= 3 or not all(map(is_uid, uids)):
            raise _invalid("Values", f"'{value[:200]}' is not study, study/series or study/series/instance")
        found.append(uids)
    return found


def destination(settings: Mapping[str, Any]) -> Destination:
    """Return where an export goes; raises the 400s of EXP-008 to EXP-010."""
    named = dict(settings)
    uri = _text(named, "blobContainerUri")
    connection = _text(named, "connectionString")
    container = _text(named, "blobContainerName")
    managed = member(named, "useManagedIdentity")[1] is True
    if uri and (connection or container):
        raise _destination(
            "name either blobContainerUri or connectionString with blobContainerName, not both"
        )
    if uri:
        return _by_uri(uri, managed=managed)
    if not connection or not container:
        raise _destination("blobContainerUri, or connectionString with blobContainerName, is needed")
    if managed:
        raise _destination("a managed identity goes with blobContainerUri only")
    return _by_connection_string(connection, container)


def _options(body: dict[str, Any], name: str, types: Mapping[str, str]) -> dict[str, Any]:
    options = member(body, name)[1]
    if options is None:
        raise _invalid(name, "it must be specified")
    if not isinstance(options, dict):
        raise _invalid(name, "an object is expected")
    kind = member(options, "type")[1]
    if not isinstance(kind, str) or kind.lower() not in types:
        raise _invalid(name, f"its type must be one of {', '.join(types.values())}")
    settings = member(options, "settings")[1]
    if not isinstance(settings, dict):
        raise _invalid(name, "it needs settings")
    return settings


def _text(settings: dict[str, Any], name: str) -> str:
    value = member(settings, name)[1]
    if value is not None and not isinstance(value, str):
        raise _invalid("Destination", f"{name} must be a string")
    return (value or "").strip()


def _by_uri(uri: str, *, managed: bool) -> Destination:
    try:
        parts = urlsplit(uri)
        address = parts.port is None or parts.port > 0
    except ValueError:
        raise _destination("blobContainerUri is no URI") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not address:
        raise _destination("blobContainerUri must be an absolute http or https URI")
    sas = "sig" in parse_qs(parts.query)
    if managed and sas:
        raise _destination("a managed identity and a shared access signature exclude each other")
    account, container = _named(parts)
    return Destination(account, container, parts.netloc.lower(), sas, managed)


def _named(parts: SplitResult) -> tuple[str, str]:
    """Return account and container: in the path for storage emulators, else the account is the host's first label."""
    first, _, rest = parts.path.strip("/").partition("/")
    if rest:
        return first, rest
    return (parts.hostname or "").partition(".")[0], first


def _by_connection_string(connection: str, container: str) -> Destination:
    pairs = [part.partition("=") for part in connection.split(";") if part.strip()]
    values = {name.strip().lower(): value.strip() for name, _, value in pairs}
    emulator = values.get("usedevelopmentstorage", "").lower() == "true"
    account = ACCOUNT if emulator else values.get("accountname", "")
    if "accountkey" in values and account != ACCOUNT:
        raise _destination("account keys are not taken: use a shared access signature or a managed identity")
    if not emulator and not account and not values.get("blobendpoint"):
        raise _destination("the connection string names no account")
    account = account or (urlsplit(values["blobendpoint"]).hostname or "").partition(".")[0]
    return Destination(account, container, "", "sharedaccesssignature" in values, managed_identity=False)


def _invalid(name: str, cause: str) -> BadRequest:
    return BadRequest(f"The field '{name}' in request body is invalid: {cause}.")


def _destination(cause: str) -> BadRequest:
    return BadRequest(f"The destination of the export is invalid: {cause}.")
