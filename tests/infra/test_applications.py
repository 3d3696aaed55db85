"""App registrations: what is asked and changed through `az`, with a tenant in memory in its place."""

import json
import os
import stat
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tools.azure_applications import (
    AUDIENCE,
    ISSUER,
    Registered,
    Registration,
    az,
    register,
    subject_of,
    write_principals,
)
from tools.common import Stop

SUBJECT = "repo:hospital/imaging:ref:refs/heads/main"
CHANGING = {"create", "update", "reset", "delete"}
SECRET = "made-by-the-tenant"  # noqa: S105


class Tenant:
    """The part of Microsoft Entra ID that the command asks, with its answers as `az` prints them."""

    def __init__(self) -> None:
        self.applications: list[dict[str, str]] = []
        self.principals: dict[str, str] = {}
        self.trusts: dict[str, list[dict[str, Any]]] = {}
        self.changes: list[tuple[str, ...]] = []

    def __call__(self, words: Sequence[str]) -> Any:
        verb = next(word for word in words if word in CHANGING | {"list"})
        options = dict(pairwise(words))
        if verb in CHANGING:
            self.changes.append(tuple(words[: words.index(verb) + 1]))
        kind = "trust" if "federated-credential" in words else "secret" if "credential" in words else words[1]
        return getattr(self, f"{kind}_{verb}")(options)

    def app_list(self, options: dict[str, str]) -> list[dict[str, str]]:
        return [one for one in self.applications if one["displayName"].startswith(options["--display-name"])]

    def app_create(self, options: dict[str, str]) -> dict[str, str]:
        made = {"appId": f"client-{len(self.applications)}", "displayName": options["--display-name"]}
        self.applications.append(made)
        return made

    def sp_list(self, options: dict[str, str]) -> list[dict[str, str]]:
        client_id = options["--filter"].split("'")[1]
        return [{"id": self.principals[client_id]}] if client_id in self.principals else []

    def sp_create(self, options: dict[str, str]) -> dict[str, str]:
        client_id = options["--id"]
        self.principals[client_id] = f"object-of-{client_id}"
        return {"id": self.principals[client_id]}

    def trust_list(self, options: dict[str, str]) -> list[dict[str, Any]]:
        return self.trusts.get(options["--id"], [])

    def trust_create(self, options: dict[str, str]) -> None:
        self.trusts.setdefault(options["--id"], []).append(json.loads(options["--parameters"]))

    def trust_update(self, options: dict[str, str]) -> None:
        self.trusts[options["--id"]] = [json.loads(options["--parameters"])]

    def secret_reset(self, options: dict[str, str]) -> dict[str, str]:
        assert "--append" in options, "a secret that is in use must stay good"
        return {"password": SECRET}


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


def test_everything_is_made_once(tenant: Tenant) -> None:
    made = register(tenant, subject=SUBJECT, dry_run=False)
    assert made.keys() == {"owner", "reader", "router"}
    assert len({one.client_id for one in made.values()}) == 3
    assert all(one.principal_id == f"object-of-{one.client_id}" for one in made.values())
    tenant.changes.clear()
    assert register(tenant, subject=SUBJECT, dry_run=False) == made
    assert tenant.changes == []


def test_only_the_nightly_run_is_trusted_and_only_from_its_branch(tenant: Tenant) -> None:
    made = register(tenant, subject=SUBJECT, dry_run=False)
    assert tenant.trusts.keys() == {made["owner"].client_id, made["reader"].client_id}
    for (trust,) in tenant.trusts.values():
        assert (trust["issuer"], trust["subject"], trust["audiences"]) == (ISSUER, SUBJECT, [AUDIENCE])


def test_another_branch_is_trusted_in_place_of_the_first(tenant: Tenant) -> None:
    register(tenant, subject=SUBJECT, dry_run=False)
    other = subject_of("hospital/imaging", "release")
    register(tenant, subject=other, dry_run=False)
    assert [trust["subject"] for trusts in tenant.trusts.values() for trust in trusts] == [other, other]


def test_dry_run_changes_nothing_and_says_what_it_would(
    tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = register(tenant, subject=SUBJECT, dry_run=True, router_secret=tmp_path / "secret")
    assert tenant.changes == []
    assert list(tmp_path.iterdir()) == []
    assert all(one.client_id is None for one in made.values())
    said = capsys.readouterr().out
    assert said.count("would run: az ad app create") == 3
    assert said.count("would run: az ad sp create") == 3
    assert said.count("would run: az ad app federated-credential create") == 2


def test_name_that_begins_like_ours_is_not_ours(tenant: Tenant) -> None:
    """The owner's name begins the reader's, and `az` finds both."""
    tenant.app_create({"--display-name": "imaging-conformance-nightly-reader"})
    made = register(tenant, subject=SUBJECT, dry_run=False)
    assert made["reader"].client_id == "client-0"
    assert made["owner"].client_id != "client-0"


def test_name_that_is_there_twice_is_refused(tenant: Tenant) -> None:
    for _ in range(2):
        tenant.app_create({"--display-name": "twice"})
    with pytest.raises(Stop, match=r"2 app registrations have the display name 'twice'"):
        Registration(tenant, dry_run=False).application("twice")


def test_secret_goes_to_its_file_alone_and_only_once(
    tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "router.secret"
    for _ in range(2):
        register(tenant, subject=SUBJECT, dry_run=False, router_secret=file)
    assert file.read_text() == SECRET
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tenant.changes.count(("ad", "app", "credential", "reset")) == 1
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err


def test_no_secret_is_made_where_it_cannot_be_kept(tenant: Tenant, tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"--router-secret .* cannot be written"):
        register(tenant, subject=SUBJECT, dry_run=False, router_secret=tmp_path / "absent" / "secret")
    assert ("ad", "app", "credential", "reset") not in tenant.changes


@pytest.mark.parametrize(
    "repository", ["", "imaging", "hospital/", "hospital/imaging/x", "https://host/a/b", "a b/c"]
)
def test_repository_is_owner_and_name(repository: str) -> None:
    with pytest.raises(Stop, match=r"OWNER/NAME") as stop:
        subject_of(repository, "main")
    assert stop.value.exit_code == 2
    assert subject_of("hospital/imaging", "main") == SUBJECT


def test_object_ids_are_written_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    file.write_text(json.dumps({"parameters": {"workspaceName": {"value": "hospital1"}}}))
    write_principals({"owner": Registered("n", "client", "object")}, file)
    assert json.loads(file.read_text())["parameters"] == {
        "workspaceName": {"value": "hospital1"},
        "ownerPrincipalId": {"value": "object"},
    }


def program(folder: Path, script: str) -> str:
    """An `az` on a PATH of its own."""
    file = folder / "az"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_answer_of_az_is_read_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, """printf '{"words": "%s"}' "$*" """))
    assert az(["account", "show"]) == {"words": "account show --output json --only-show-errors"}


def test_az_that_answers_nothing_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, "exit 0"))
    assert az(["ad", "app", "federated-credential", "update"]) is None


def test_failure_of_az_says_what_it_said_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", program(tmp_path, "echo 'Insufficient privileges' >&2; exit 1"))
    with pytest.raises(Stop, match=r"(?s)`az ad app create` failed:.*Insufficient privileges.*az login"):
        az(["ad", "app", "create", "--display-name", "x"])
