"""The whole demo to play with: where its systems are reached, and the secrets it keeps from one start to the next.

The systems are those of `fixtures.deployment.reference`, described there and nowhere else; here they get the demo's own ports.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from fixtures.deployment import orthanc, viewer
from fixtures.deployment.container_host import HOST_NAME
from fixtures.deployment.credentials import Certificates, Credentials
from fixtures.deployment.endpoints import Application, Person, SignIn
from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import PORTS, Address, ContainerSite, SystemSpec, all_ports
from tools.common import LOCAL, Stop

FOLDER: Final = LOCAL / "play"
PASSWORDS: Final = "passwords.json"

ELSEWHERE: Final[Mapping[tuple[str, str], int]] = {
    ("identity", "https"): 8444,
    ("viewer", "https"): 8445,
    ("link", "cloud"): 9443,
    ("link", "identity"): 9444,
    ("link", "pacs"): 9242,
}
"""Ports of this machine that differ from those inside the container, because several systems use the same there."""

WORKSTATION_PORT: Final = 11112
"""Where a workstation of yours receives what is moved to `WORKSTATION` (the port that is registered for DICOM)."""


def published() -> dict[tuple[str, str], int]:
    """Return the port of this machine for every port of every system."""
    return {(role, name): ELSEWHERE.get((role, name), PORTS[role][name]) for role, name in all_ports()}


def site() -> ContainerSite:
    """Return where everything is."""
    workstation = Address(HOST_NAME, WORKSTATION_PORT)
    return ContainerSite(FOLDER.name, published(), workstation, Address("127.0.0.1", WORKSTATION_PORT))


def plan_of(credentials: Credentials, certificates: Certificates, folder: Path) -> Plan:
    """Return the plan from which all systems are described, the viewer among them."""
    return Plan(
        site(),
        credentials,
        certificates,
        folder / "ca.pem",
        orthanc.CONTAINER_PLUGIN,
        viewer=viewer.CONTAINER_FILES,
    )


def keeps_data(plan: Plan, spec: SystemSpec) -> bool:
    """Tell whether the system is told of a folder to keep its data in."""
    folder = str(plan.site.data(spec.role))
    told = [*spec.command, *(content.decode("utf-8") for content in spec.files.values())]
    return any(folder in text for text in told)


def prepared_plan(folder: Path = FOLDER) -> Plan:
    """Return the plan with the secrets and certificates of this checkout, made at the first call and kept."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    credentials = _credentials(folder / PASSWORDS)
    write_private(folder / PASSWORDS, json.dumps(asdict(credentials), indent=2))
    return plan_of(credentials, _certificates(folder), folder)


def known_plan(folder: Path = FOLDER) -> Plan:
    """Return the plan of a demo that has been started before.

    Raises:
        Stop: when there was none.

    """
    if not (folder / PASSWORDS).exists():
        raise Stop("the demo has not been started in this checkout\n  What to do: make up")
    return prepared_plan(folder)


def write_files(plan: Plan, specs: Iterable[SystemSpec], folder: Path = FOLDER) -> None:
    """Write what each system is configured with, as its description has it now: `ROLE/config` and `ROLE/environment`.

    Containers read `config` as a user of their own, so these files are open; the folder around all of them is not.
    """
    for spec in specs:
        config = folder / spec.role / "config"
        config.mkdir(parents=True, exist_ok=True)
        for name, content in spec.files.items():
            (config / name).write_bytes(content)
            (config / name).chmod(0o644)
        lines = [f"{name}={value}\n" for name, value in sorted(spec.environment.items())]
        write_private(folder / spec.role / "environment", "".join(lines))
    (folder / "ca.pem").write_bytes(plan.certificates.ca)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def _credentials(path: Path) -> Credentials:
    if not path.exists():
        return Credentials()
    try:
        saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        applications = {name: Application(**one) for name, one in saved.pop("applications").items()}
        if "sign_in" in saved:
            people = {name: Person(**one) for name, one in saved["sign_in"].pop("people").items()}
            saved["sign_in"] = SignIn(**saved["sign_in"], people=people)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Stop(
            f"{path} cannot be read ({type(error).__name__})\n"
            '  What to do: make stop ARGS="--delete-data", then make up: everything is made anew'
        ) from error
    known = {one.name for one in fields(Credentials)}
    return Credentials(
        **{name: value for name, value in saved.items() if name in known},
        # What a newer checkout has in addition is made now.
        applications={**Credentials().applications, **applications},
    )


def _certificates(folder: Path) -> Certificates:
    files = {name: folder / "certificates" / name for name in ("ca.pem", "server.pem", "server.key")}
    if not all(path.exists() for path in files.values()):
        made = Certificates.make()
        (folder / "certificates").mkdir(exist_ok=True)
        for name, content in made.files().items():
            write_private(files[name], content.decode("ascii"))
        return made
    ca, leaf, key = (path.read_bytes() for path in files.values())
    return Certificates(ca=ca, leaf=leaf, key=key)
