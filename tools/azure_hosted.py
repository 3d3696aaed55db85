"""Runs the suite `azure` against a hosted DICOM service, signed in without any secret.

`python -m tools.azure_hosted [PYTEST ARGUMENTS]`, with the variables that docs/azure.md lists; the nightly run starts it.
The suites sign in by a client id and a secret. Where there is only a federated token, the broker of this module stands
between: on 127.0.0.1 it takes a secret made for the run, and exchanges GitHub's token (or that of AZURE_FEDERATED_TOKEN_FILE)
for one of Microsoft Entra ID. Nothing of that outlives the run.
"""

import datetime as dt
import json
import os
import secrets
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from azure.identity import ClientAssertionCredential

from tools.azure_broker import Grant, Refused, broker
from tools.common import CHECKOUT, LOCAL, VENV_BIN, Stop, main_of, run
from tools.nightly_plan import (
    FEDERATION_FILE,
    GITHUB_TOKEN,
    GITHUB_URL,
    OWNER,
    READER,
    SERVICE_URL,
    TENANT,
    Hosted,
    hosted_of,
)

PROFILE = CHECKOUT / "profiles" / "azure.toml"
AUDIENCE = "api://AzureADTokenExchange"
SECRETS = {"owner": "AZURE_OWNER_SECRET", "reader": "AZURE_READER_SECRET"}
_WITHIN = 20.0
"""Seconds GitHub may take for a token."""


def assertion_from(environment: Mapping[str, str]) -> Callable[[], str]:
    """Return what fetches the token that is exchanged; anew each time, because GitHub's live some minutes only.

    Raises:
        Stop: when there is neither GitHub's nor a file's (exit code 2).

    """
    url, token = environment.get(GITHUB_URL), environment.get(GITHUB_TOKEN)
    if url and token:
        return lambda: _github_token(url, token)
    if file := environment.get(FEDERATION_FILE):
        return lambda: Path(file).read_text("ascii").strip()
    raise Stop(f"there is no federated token: neither {GITHUB_URL} nor {FEDERATION_FILE} is set", exit_code=2)


def _github_token(url: str, token: str) -> str:
    """Ask GitHub for the job's OpenID Connect token (the workflow has `id-token: write`)."""
    request = urllib.request.Request(
        f"{url}&audience={AUDIENCE}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=_WITHIN) as answer:
        return str(json.load(answer)["value"])


class Exchange:
    """Exchanges a federated token for an access token of Microsoft Entra ID, for one application after the other."""

    def __init__(self, tenant: str, assertion: Callable[[], str], **options: Any) -> None:
        self._tenant = tenant
        self._assertion = assertion
        self._options = options

    def __call__(self, client_id: str, scope: str) -> Grant:
        """Return a token.

        Raises:
            Refused: Microsoft Entra ID gave none, or there was no token to exchange.

        """
        # A new credential each time: it would keep its token, and a run that renews one means to get another.
        credential = ClientAssertionCredential(self._tenant, client_id, self._assertion, **self._options)
        try:
            with credential:
                token = credential.get_token(scope)
        except (AzureError, OSError, ValueError, KeyError) as error:
            raise Refused(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        return Grant(token.token, token.expires_on)


def completed(base: Mapping[str, Any], hosted: Hosted, authority: Mapping[str, str]) -> dict[str, Any]:
    """Return the profile of this run: that of the repository with the addresses, the tenant and the applications."""
    document = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    roles = document["roles"]
    document["roles"] = roles | {
        "cloud": roles["cloud"] | {"url": hosted.url},
        "identity": roles["identity"]
        | {"tenant": hosted.tenant, **authority}
        | {
            "applications": {
                name: {"client_id": client_id, "secret_env": SECRETS[name]}
                for name, client_id in hosted.applications.items()
            }
        },
    }
    return document


def toml_of(document: Mapping[str, Any]) -> str:
    """Write a TOML document: plain values, tables, and lists of them, each table of the first level under its heading."""
    plain = [
        f"{_key(key)} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)
    ]
    tables = [
        "\n".join([f"\n[{_key(key)}]", *(f"{_key(inner)} = {_value(one)}" for inner, one in value.items())])
        for key, value in document.items()
        if isinstance(value, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _key(key: str) -> str:
    return json.dumps(key)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    # A date has no quotes in TOML; a JSON text, number or truth value in ASCII is also a TOML one.
    return value.isoformat() if isinstance(value, dt.date) else json.dumps(value)


def run_suite(environment: Mapping[str, str], arguments: list[str]) -> int:
    """Run the suite; the exit code is pytest's (docs/running.md).

    Raises:
        Stop: when the service or the way to sign in is not described as it should be (exit code 2).

    """
    hosted = hosted_of(environment)
    if hosted is None:
        raise Stop(
            f"no hosted service is named: set {TENANT}, {SERVICE_URL}, {OWNER} and, to check roles, {READER}",
            2,
        )
    temporary = LOCAL / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=temporary, prefix="hosted-")))
        extra, authority = dict[str, str](), dict[str, str]()
        if not hosted.by_secret:
            secret = secrets.token_urlsafe(24)
            exchange = Exchange(hosted.tenant, assertion_from(environment))
            clients = frozenset(hosted.applications.values())
            url = stack.enter_context(broker(folder, hosted.tenant, clients, secret, exchange))
            authority = {"authority": url, "ca_file": "ca.pem"}
            # What could fetch further tokens is not for the tests' processes.
            extra = {SECRETS[name]: secret for name in hosted.applications} | {
                GITHUB_TOKEN: "",
                GITHUB_URL: "",
            }
        profile = folder / "azure.toml"
        base = tomllib.loads(PROFILE.read_text("utf-8"))
        profile.write_text(toml_of(completed(base, hosted, authority)), encoding="utf-8")
        command = [
            str(VENV_BIN / "pytest"),
            "suites/azure",
            "-m",
            "azure",
            "--profile",
            str(profile),
            *arguments,
        ]
        return run(command, extra=extra).returncode


def main() -> int:
    """Run it with the environment's variables."""
    return run_suite(os.environ, sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main_of(main))
