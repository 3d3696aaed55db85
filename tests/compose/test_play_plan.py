"""What the demo keeps from one start to the next: secrets, certificates, and the files its systems read."""

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fixtures.deployment.credentials import Credentials
from tools.common import Stop
from tools.play_plan import PASSWORDS, keeps_data, known_plan, prepared_plan, write_files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_and_certificates_are_made_once_and_kept(tmp_path: Path) -> None:
    first, second = prepared_plan(tmp_path / "play"), prepared_plan(tmp_path / "play")
    assert asdict(first.credentials) == asdict(second.credentials)
    # The authority's own key is not kept: nothing can be signed with it later.
    assert replace(first.certificates, ca_key=b"") == second.certificates
    assert prepared_plan(tmp_path / "other").credentials.router_token != first.credentials.router_token
    assert known_plan(tmp_path / "play").credentials == first.credentials


def test_only_the_owner_reads_secrets_and_keys(tmp_path: Path) -> None:
    folder = tmp_path / "play"
    plan = prepared_plan(folder)
    write_files(plan, plan.specs(), folder)
    assert mode(folder) == 0o700
    private = [folder / PASSWORDS, *folder.glob("*/environment"), folder / "certificates" / "server.key"]
    assert {mode(path) for path in private} == {0o600}


def test_secrets_that_a_newer_checkout_needs_are_added_and_what_it_forgot_is_left_out(tmp_path: Path) -> None:
    plan = prepared_plan(tmp_path)
    saved = json.loads((tmp_path / PASSWORDS).read_text(encoding="utf-8"))
    del saved["link_key"], saved["applications"]["reader"]
    (tmp_path / PASSWORDS).write_text(json.dumps({**saved, "gone": "x"}), encoding="utf-8")
    renewed = prepared_plan(tmp_path).credentials
    assert renewed.router_token == plan.credentials.router_token
    assert renewed.link_key not in ("", plan.credentials.link_key)
    assert renewed.applications["owner"] == plan.credentials.applications["owner"]
    assert set(renewed.applications) == set(Credentials().applications)
    assert prepared_plan(tmp_path).credentials == renewed


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"applications": {"owner": {"id": 1}}}', '{"applications": []}']
)
def test_unreadable_secrets_are_told_with_a_remedy_and_without_their_content(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / PASSWORDS).write_text(text, encoding="utf-8")
    with pytest.raises(Stop, match="make stop") as told:
        prepared_plan(tmp_path)
    assert PASSWORDS in str(told.value)


def test_a_demo_that_was_never_started_is_not_made_by_asking_for_it(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="make up"):
        known_plan(tmp_path / "play")
    assert not (tmp_path / "play").exists()


def test_every_file_and_variable_of_a_description_is_written(tmp_path: Path) -> None:
    plan = prepared_plan(tmp_path)
    specs = plan.specs()
    write_files(plan, specs, tmp_path)
    for spec in specs:
        config = tmp_path / spec.role / "config"
        assert {path.name: path.read_bytes() for path in config.iterdir()} == dict(spec.files)
        lines = (tmp_path / spec.role / "environment").read_text(encoding="utf-8").splitlines()
        assert dict(line.split("=", 1) for line in lines) == dict(spec.environment)
    assert plan.ca_file == tmp_path / "ca.pem"
    assert plan.ca_file.read_bytes() == plan.certificates.ca


def test_systems_that_are_told_of_a_data_folder_keep_data(tmp_path: Path) -> None:
    plan = prepared_plan(tmp_path)
    keeping = {spec.role: keeps_data(plan, spec) for spec in plan.specs()}
    assert keeping == {
        "pacs": True,
        "router": True,
        "link": False,
        "cloud": True,
        "identity": True,
        "viewer": False,
    }
