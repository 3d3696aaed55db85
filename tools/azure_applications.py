"""Registers the applications of the nightly run and of the router with Microsoft Entra ID, by the `az` command.

`python3 -m tools.azure_applications --repository OWNER/NAME [--dry-run]`. Three app registrations with their service
principals (names in infra/parameters.toml); the two of the nightly run trust the tokens of that GitHub repository's
branch, so that no secret exists. What is there already is left as it is: a second run changes nothing. `--parameters
FILE` writes the object ids into a Bicep parameters file; `--router-secret FILE` makes a secret for the router, once, and
writes it there, readable for you only. Nothing secret is printed. A dry run only asks, and prints what would be changed.
"""

import argparse
import json
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.azure_parameters import PARAMETERS, read_parameters, read_shared
from tools.common import Stop, main_of, run, say

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "api://AzureADTokenExchange"
CREDENTIAL = "github-nightly"
FEDERATED = ("owner", "reader")
"""The applications that the nightly run signs in as."""
VARIABLES = {"owner": "AZURE_OWNER_CLIENT_ID", "reader": "AZURE_READER_CLIENT_ID"}
_REPOSITORY = re.compile(r"[A-Za-z0-9](-?[A-Za-z0-9])*/[A-Za-z0-9._-]+")

Az = Callable[[Sequence[str]], Any]
"""Runs `az` with these words and returns what it answered, read as JSON (None: nothing)."""


@dataclass(frozen=True)
class Registered:
    """One application: the id it signs in with, and the id that roles are given to (None in a dry run: not there yet)."""

    name: str
    client_id: str | None
    principal_id: str | None


def az(words: Sequence[str]) -> Any:
    """Run `az` quietly.

    Raises:
        Stop: when it fails, with what it said.

    """
    done = run(["az", *words, "--output", "json", "--only-show-errors"], quiet=True)
    if done.returncode != 0:
        raise Stop(
            f"`az {' '.join(words[:3])}` failed:\n{done.stderr.strip()[-1200:]}\n"
            "  What to do: `az login --tenant TENANT`; app registrations need the role Application Developer"
        )
    return json.loads(done.stdout) if done.stdout.strip() else None


class Registration:
    """Brings the applications to what they should be."""

    def __init__(self, ask: Az, *, dry_run: bool) -> None:
        self._ask = ask
        self._dry_run = dry_run

    def application(self, name: str) -> Registered:
        """Find or make the app registration of this display name and its service principal.

        Raises:
            Stop: when several registrations have the name.

        """
        # The option finds all names that begin so.
        found = self._ask(["ad", "app", "list", "--display-name", name])
        ids = [one["appId"] for one in found or () if one["displayName"] == name]
        if len(ids) > 1:
            raise Stop(
                f"{len(ids)} app registrations have the display name {name!r}\n"
                "  What to do: delete or rename all but one, or change the name in infra/parameters.toml"
            )
        create = ["ad", "app", "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg"]
        client_id = ids[0] if ids else self._change(create, "appId")
        return Registered(name, client_id, self._principal(client_id))

    def _principal(self, client_id: str | None) -> str | None:
        found = self._ask(["ad", "sp", "list", "--filter", f"appId eq '{client_id}'"]) if client_id else None
        if found:
            return str(found[0]["id"])
        return self._change(["ad", "sp", "create", "--id", client_id or "THE-NEW-ONE"], "id")

    def trust(self, one: Registered, subject: str) -> None:
        """See to it that the application takes GitHub's tokens with this subject, and no other."""
        wanted = {"name": CREDENTIAL, "issuer": ISSUER, "subject": subject, "audiences": [AUDIENCE]}
        listed = ["ad", "app", "federated-credential", "list", "--id"]
        there = self._ask([*listed, one.client_id]) if one.client_id else None
        held = next((entry for entry in there or () if entry["name"] == CREDENTIAL), None)
        if held is not None and all(held.get(key) == value for key, value in wanted.items()):
            return
        verb = ["create"] if held is None else ["update", "--federated-credential-id", CREDENTIAL]
        words = ["ad", "app", "federated-credential", *verb, "--id", one.client_id or "THE-NEW-ONE"]
        self._change([*words, "--parameters", json.dumps(wanted)], None)

    def secret(self, one: Registered, file: Path) -> None:
        """Make a secret for an application and write it to a file; leave a file that is there as it is."""
        if file.exists():
            say(f"{file} is there: no new secret for {one.name}")
            return
        words = ["ad", "app", "credential", "reset", "--append", "--display-name", "on-prem router", "--id"]
        if not self._dry_run:
            try:
                # Made before the secret is: a folder that is not there must not cost one.
                file.touch(mode=0o600, exist_ok=False)
            except OSError as error:
                raise Stop(f"--router-secret {file} cannot be written: {error}", exit_code=2) from error
            try:
                answer = self._ask([*words, str(one.client_id)])
            except Stop:
                file.unlink()
                raise
            file.write_text(answer["password"], encoding="ascii")
        say(f"{'would write' if self._dry_run else 'wrote'} a secret of {one.name} to {file}")

    def _change(self, words: Sequence[str], key: str | None) -> str | None:
        say(("would run: az " if self._dry_run else "az ") + shlex.join(words))
        if self._dry_run:
            return None
        answer = self._ask(words)
        return str(answer[key]) if key else None


def subject_of(repository: str, branch: str) -> str:
    """Return the `sub` claim of the tokens that GitHub gives to workflows on this branch.

    Raises:
        Stop: when the repository is not written as OWNER/NAME (exit code 2).

    """
    if not _REPOSITORY.fullmatch(repository):
        raise Stop(f"--repository {repository!r}: write it as OWNER/NAME, as GitHub shows it", exit_code=2)
    if not branch or any(character.isspace() for character in branch):
        raise Stop(f"--branch {branch!r}: give the name of a branch, such as main", exit_code=2)
    return f"repo:{repository}:ref:refs/heads/{branch}"


def register(
    ask: Az, *, subject: str, dry_run: bool, router_secret: Path | None = None
) -> dict[str, Registered]:
    """Bring every application of infra/parameters.toml to what it should be; return them by role."""
    registration = Registration(ask, dry_run=dry_run)
    names = read_shared()["applications"]
    made = {role: registration.application(name) for role, name in names.items()}
    for role in FEDERATED:
        registration.trust(made[role], subject)
    if router_secret is not None:
        registration.secret(made["router"], router_secret)
    return made


def write_principals(made: dict[str, Registered], file: Path) -> None:
    """Write the object ids into a parameters file; what else it says stays. A new one begins as a copy of ours."""
    document = read_parameters(file if file.exists() else PARAMETERS)
    parameters = document.setdefault("parameters", {})
    for role, one in made.items():
        parameters[f"{role}PrincipalId"] = {"value": one.principal_id}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    say(f"wrote the object ids of {', '.join(made)} to {file}")


def tell(made: dict[str, Registered], tenant: str) -> None:
    """Print what goes into GitHub's repository variables and into the router's configuration."""
    say("\nRepository variables of GitHub (none is a secret):")
    say(f"  AZURE_TENANT_ID={tenant}")
    for role, variable in VARIABLES.items():
        say(f"  {variable}={made[role].client_id}")
    say("  AZURE_DICOM_URL=(serviceUrl, which the deployment prints)")
    say(f"The router signs in as client_id {made['router'].client_id}")


def main() -> int:
    """Register the applications."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.azure_applications",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--repository", required=True, metavar="OWNER/NAME", help="whose nightly run is trusted"
    )
    parser.add_argument("--branch", default="main", help="on which branch (default: %(default)s)")
    parser.add_argument(
        "--dry-run", action="store_true", help="ask, print what would be changed, change nothing"
    )
    parser.add_argument("--parameters", type=Path, metavar="FILE", help="write the object ids into this file")
    parser.add_argument(
        "--router-secret", type=Path, metavar="FILE", help="make a secret for the router, into this file"
    )
    given = parser.parse_args()
    subject = subject_of(given.repository, given.branch)
    if shutil.which("az") is None:
        raise Stop("the command `az` is needed\n  What to do: install the Azure CLI, then `az login`")
    account = az(["account", "show"])
    made = register(az, subject=subject, dry_run=given.dry_run, router_secret=given.router_secret)
    if given.dry_run:
        return 0
    if given.parameters is not None:
        write_principals(made, given.parameters)
    tell(made, account["tenantId"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main_of(main))
