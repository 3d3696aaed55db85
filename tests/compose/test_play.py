"""`make up`, `make stop` and the commands of the walk, with stand-ins in the place of the engine."""

import argparse
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.deployment import engine, images
from fixtures.deployment.errors import DeploymentFailed, MachineProblem
from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import SystemSpec
from tools import play, play_engine
from tools.common import CHECKOUT, Stop
from tools.play_compose import LABEL
from tools.play_plan import FOLDER, PASSWORDS, prepared_plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return prepared_plan(tmp_path)


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


class Kind:
    """One kind of thing that an engine holds; writes down what is done to them."""

    def __init__(self, done: list[str], *names: str) -> None:
        self.filters: list[dict[str, str]] = []
        self._things = [
            SimpleNamespace(
                name=name,
                stop=lambda timeout, name=name: done.append(f"stop {name} within {timeout}"),
                remove=lambda name=name, **_: done.append(f"remove {name}"),
            )
            for name in names
        ]

    def list(self, *, filters: dict[str, str], **_: object) -> list[SimpleNamespace]:
        self.filters.append(filters)
        return self._things


class Engine:
    """An engine with two containers, a network and a volume of the demo, and a volume of somebody else."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.containers = Kind(self.done, "play-router", "play-pacs")
        self.networks = Kind(self.done, "play-onprem")
        self.volumes = Kind(self.done, "imaging-conformance-play-pacs", "my-imaging-conformance-play-pacs")


def test_the_guide_names_every_address_and_no_secret(plan: Plan) -> None:
    text = play.guide(plan)
    for address in (
        "http://127.0.0.1:8042",
        "https://127.0.0.1:8445",
        "QIEROUTER@127.0.0.1:4007",
        "ORTHANC@",
    ):
        assert address in text
    saved = json.loads((plan.ca_file.parent / PASSWORDS).read_text(encoding="utf-8"))
    secrets = [value for name, value in saved.items() if name.endswith(("password", "token", "key"))]
    assert len(secrets) == 5
    secrets += [one["secret"] for one in saved["applications"].values()]
    assert [secret for secret in secrets if secret in text] == []
    named = [name for name in saved if f"({name})" in text]
    assert named == ["pacs_password", "router_token", "link_key", "reader_password"]


def test_every_command_that_the_guide_and_the_page_name_exists(plan: Plan) -> None:
    page = (CHECKOUT / "docs" / "playing.md").read_text(encoding="utf-8")
    commands = re.findall(rf"{re.escape(play.PROGRAM)} (\w+)", play.guide(plan) + page)
    assert set(commands) == {"send", "cut", "heal", "status"}
    for command in commands:
        assert callable(play.parser().parse_args([command]).action)


def test_a_taken_port_is_named_before_anything_starts(
    plan: Plan, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan.site.published, ("cloud", "https"), listener)  # type: ignore[attr-defined]
    monkeypatch.setattr(play_engine, "_free", lambda port: port != listener)
    with pytest.raises(Stop, match=f"{listener} for cloud"):
        play_engine.require_ports(plan, within=0)


def test_a_port_is_taken_while_somebody_listens_there(listener: int) -> None:
    assert not play_engine._free(listener)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        unused = other.getsockname()[1]
    assert play_engine._free(unused)


def test_ending_asks_each_system_to_stop_before_it_is_removed_and_networks_go_last() -> None:
    there = Engine()
    assert play_engine.end(there) == ["play-pacs", "play-router"]
    assert there.containers.filters == there.networks.filters == [{"label": f"{LABEL}={FOLDER}"}]
    for name in ("play-pacs", "play-router"):
        assert there.done.index(f"stop {name} within 15") < there.done.index(f"remove {name}")
    assert there.done[-1] == "remove play-onprem"


def test_deleting_data_leaves_volumes_of_others_alone() -> None:
    there = Engine()
    assert play_engine.delete_data(there) == ["imaging-conformance-play-pacs"]
    assert there.done == ["remove imaging-conformance-play-pacs"]


def test_stop_keeps_the_data_unless_it_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(play_engine, "connect", lambda: client)
    monkeypatch.setattr(play_engine, "end", lambda _: ["play-pacs"])
    monkeypatch.setattr(play_engine, "delete_data", lambda _: ["volume-pacs"])
    monkeypatch.setattr(play_engine, "delete_folder", lambda: [".local/play"])
    assert play.main(["stop"]) == 0
    kept = capsys.readouterr().out
    assert 'make stop ARGS="--delete-data"' in kept
    assert "volume-pacs" not in kept
    assert play.main(["stop", "--delete-data"]) == 0
    assert "deleted: volume-pacs, .local/play" in capsys.readouterr().out


def test_without_an_engine_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise MachineProblem(
            "the docker runner needs a container engine", "none answers", "run `make engine`"
        )

    monkeypatch.setattr(engine, "connect", none)
    with pytest.raises(Stop, match=r"none answers(.|\n)*make engine") as told:
        play.main(["up"])
    assert told.value.exit_code == 3


@pytest.mark.parametrize("has_compose", [True, False])
def test_up_takes_compose_where_there_is_one(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_compose: bool
) -> None:
    order: list[str] = []

    def note(name: str, value: object = None) -> Any:
        def noted(*_: object, **__: object) -> object:
            order.append(name)
            return value

        return noted

    monkeypatch.setattr(play_engine, "COMPOSE_ENV", tmp_path / "compose.env")
    monkeypatch.setattr(play_engine, "ensure_viewer", note("viewer"))
    monkeypatch.setattr(images, "ensure_images", note("images", {"systems": "t:1"}))
    monkeypatch.setattr(play_engine, "write_files", note("files"))
    monkeypatch.setattr(play_engine, "require_ports", note("ports"))
    monkeypatch.setattr(play_engine, "end", note("end"))
    monkeypatch.setattr(play_engine, "compose_answers", lambda: has_compose)
    monkeypatch.setattr(play_engine, "_up_by_compose", note("compose"))
    monkeypatch.setattr(play_engine, "_up_by_ourselves", note("ourselves"))
    made: list[str] = []
    play_engine.up(SimpleNamespace(volumes=SimpleNamespace(create=made.append)), plan)
    assert made == [f"imaging-conformance-play-{role}" for role in ("pacs", "router", "cloud", "identity")]
    last = "compose" if has_compose else "ourselves"
    assert order == ["viewer", "images", "end", "ports", "files", last]
    assert "PLAY_IMAGE_SYSTEMS=t:1\n" in (tmp_path / "compose.env").read_text(encoding="utf-8")


def test_compose_is_waited_for_system_by_system_and_a_late_one_shows_its_log(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> Any:
        commands.append(command)
        return SimpleNamespace(returncode=0)

    def late(_: object) -> None:
        raise AssertionError("no answer")

    monkeypatch.setattr(play_engine, "run", run)
    monkeypatch.setattr(play_engine, "_log", lambda _, role: f"the log of {role}")
    described = plan.specs()[0]
    spec = SystemSpec(
        described.role, described.image, described.command, {}, {}, ready=late, ready_within=0.0
    )
    with pytest.raises(DeploymentFailed, match="the log of pacs"):
        play_engine._up_by_compose(object(), [spec])
    assert commands[0][:2] == ["docker", "compose"]
    assert commands[0][-3:] == ["up", "--detach", "--remove-orphans"]


def test_the_demo_in_the_place_of_a_run_is_nobodys_to_sweep(tmp_path: Path) -> None:
    assert play_engine._Play(tmp_path / "play", runner="docker", keep=True).labels() == {LABEL: str(FOLDER)}


def test_a_cut_takes_the_internet_and_leaves_the_hospital_whole(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[tuple[str, str]] = []
    link = SimpleNamespace(set_fault=lambda route, kind: faults.append((route, kind)))
    monkeypatch.setattr(play, "known_plan", lambda: plan)
    monkeypatch.setattr(play, "_link", lambda _: link)
    assert play.main(["cut", "--kind", "refuse"]) == 0
    assert faults == [("cloud", "refuse"), ("identity", "refuse")]


def test_a_demo_that_is_down_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: argparse.Namespace) -> int:
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(play, "heal", refused)
    with pytest.raises(Stop, match="make up"):
        play.main(["heal"])


def test_a_fault_is_told_in_one_word() -> None:
    assert play.described({"kind": "pass"}) == "whole"
    assert play.described({"kind": "delay", "seconds": 1}) == "delay"
