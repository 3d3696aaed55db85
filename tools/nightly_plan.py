"""What a nightly run has to do, decided from its environment alone. Standard library only; nothing here runs anything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools.azure_parameters import guid_fault, url_fault
from tools.common import Stop

TENANT = "AZURE_TENANT_ID"
SERVICE_URL = "AZURE_DICOM_URL"
OWNER = "AZURE_OWNER_CLIENT_ID"
READER = "AZURE_READER_CLIENT_ID"
OWNER_SECRET = "AZURE_OWNER_SECRET"  # noqa: S105 - the variable's name
READER_SECRET = "AZURE_READER_SECRET"  # noqa: S105
GITHUB_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105
FEDERATION_FILE = "AZURE_FEDERATED_TOKEN_FILE"
NEEDED = (TENANT, SERVICE_URL, OWNER)

REFERENCE = ("azure", "demo")
"""The suites that run on the reference systems; the demo, which comes second, also judges by what the first found out."""
HOSTED = "azure-hosted"
PARTS = (*REFERENCE, HOSTED)
GROUPS: Mapping[str, tuple[str, ...]] = {"all": PARTS, "reference": REFERENCE, "hosted": (HOSTED,)}

_WORST_FIRST = (130, 1, 4, 3, 2, 5)
"""Exit codes of docs/running.md. A product that failed is told even where another part could not be judged."""


@dataclass(frozen=True)
class Hosted:
    """A DICOM service in Azure and who signs in there."""

    url: str
    tenant: str
    applications: Mapping[str, str]
    """Client ids by the name that the suites use."""
    by_secret: bool
    """Whether they have secrets in the environment; else a federated token is exchanged."""


def hosted_of(environment: Mapping[str, str]) -> Hosted | None:
    """Read the hosted service that the variables name; None when none of them is set.

    GitHub gives an unset repository variable as an empty text, so empty is unset.

    Raises:
        Stop: naming every variable that is missing or wrong: half a description is a mistake, never a reason to leave
            the hosted service out (exit code 2).

    """
    given = {name: environment.get(name, "").strip() for name in (*NEEDED, READER)}
    if not any(given.values()):
        return None
    faults = [f"{name} is not set, though {_set_ones(given)} is" for name in NEEDED if not given[name]]
    for name, rule in (
        (TENANT, guid_fault),
        (SERVICE_URL, url_fault),
        (OWNER, guid_fault),
        (READER, guid_fault),
    ):
        fault = rule(given[name]) if given[name] else None
        if fault:
            faults.append(f"{name} {fault}")
    applications = {"owner": given[OWNER]} | ({"reader": given[READER]} if given[READER] else {})
    by_secret = bool(environment.get(OWNER_SECRET))
    if by_secret and given[READER] and not environment.get(READER_SECRET):
        faults.append(f"{READER_SECRET} is not set, though {OWNER_SECRET} and {READER} are")
    if not by_secret and not federated(environment):
        faults.append(
            f"there is no way to sign in: neither a federated token ({GITHUB_URL} with {GITHUB_TOKEN}, which GitHub sets "
            f"for `permissions: id-token: write`, or {FEDERATION_FILE}) nor {OWNER_SECRET}"
        )
    if faults:
        lines = [
            "the hosted service is not described as it should be:",
            *(f"  {fault}" for fault in faults),
            "  What to do: docs/azure.md, Repository variables",
        ]
        raise Stop("\n".join(lines), exit_code=2)
    return Hosted(given[SERVICE_URL].rstrip("/"), given[TENANT], applications, by_secret)


def _set_ones(given: Mapping[str, str]) -> str:
    return next(name for name, value in given.items() if value)


def federated(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment has a token that Microsoft Entra ID exchanges."""
    github = environment.get(GITHUB_URL) and environment.get(GITHUB_TOKEN)
    return bool(github or environment.get(FEDERATION_FILE))


@dataclass(frozen=True)
class Plan:
    """The parts to run, and those that are left out or cannot be run, with the reason."""

    parts: tuple[str, ...]
    left_out: Mapping[str, str]
    """Does not make the night fail."""
    refused: Mapping[str, str]
    """Makes it fail with exit code 2."""


def plan(environment: Mapping[str, str], group: str, *, require_hosted: bool) -> Plan:
    """Decide what runs tonight. `group` is a key of `GROUPS`.

    The reference systems are judged whatever is wrong with the description of the hosted service.
    """
    wanted = GROUPS[group]
    if HOSTED not in wanted:
        return Plan(wanted, {}, {})
    others = tuple(part for part in wanted if part != HOSTED)
    try:
        hosted = hosted_of(environment)
    except Stop as stop:
        return Plan(others, {}, {HOSTED: str(stop)})
    if hosted is not None:
        return Plan(wanted, {}, {})
    reason = f"no hosted service is named ({', '.join(NEEDED)} are not set)"
    return Plan(others, {}, {HOSTED: reason}) if require_hosted else Plan(others, {HOSTED: reason}, {})


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of the night from those of its parts; 5 when there was no part: the run proves nothing.

    A code that the suites do not have (a signal, a crash of pytest) is a failure of the harness.
    """
    found = [code if code in (0, *_WORST_FIRST) else 4 for code in codes]
    if not found:
        return 5
    return next((code for code in _WORST_FIRST if code in found), 0)
