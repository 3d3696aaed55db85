"""How roles are started together: what is waited for, and what ends the waiting."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.deployment.deploy import require_space
from fixtures.deployment.errors import DeploymentFailed, MachineProblem
from fixtures.deployment.fleet import Fleet
from fixtures.deployment.spec import Running, SystemSpec


class Machine:
    """A host that only remembers."""

    def __init__(self, ended: dict[str, str] | None = None) -> None:
        self.ended = ended or {}
        self.done: list[str] = []

    def launch(self, spec: SystemSpec, *, wipe: bool) -> None:
        self.done.append(f"launch {spec.role}{' on nothing' if wipe else ''}")
        self.ended.pop(f"{spec.role} was killed", None)

    def stop(self, spec: SystemSpec) -> None:
        self.done.append(f"stop {spec.role}")

    def kill(self, spec: SystemSpec) -> None:
        self.done.append(f"kill {spec.role}")

    def remove(self, spec: SystemSpec) -> None:
        self.done.append(f"remove {spec.role}")

    def exited(self, spec: SystemSpec) -> str | None:
        return self.ended.get(spec.role)

    def logs(self, spec: SystemSpec) -> str:
        return f"last words of {spec.role}"

    def build(self, spec: SystemSpec) -> str:
        return f"build of {spec.role}"

    def data_size(self, spec: SystemSpec) -> int:
        return len(spec.role)


def never(_: Running) -> None:
    raise AssertionError("HTTP 503, wanted 200")


def system(role: str, *, ready: object = None, within: float = 30.0) -> SystemSpec:
    probe = never if ready == "never" else (lambda _: None)
    return SystemSpec(role, "image", (role,), {}, {}, probe, ready_within=within)


def test_first_failure_ends_the_waiting_for_all_others() -> None:
    machine = Machine({"identity": "it ended with exit code 2"})
    fleet = Fleet(machine, [system("cloud", ready="never"), system("identity", ready="never")])
    began = time.monotonic()
    with pytest.raises(DeploymentFailed, match=r"(?s)identity.*exit code 2.*last words of identity"):
        fleet.start_all()
    assert time.monotonic() - began < 5


def test_system_that_is_never_ready_is_told_with_what_was_last_seen() -> None:
    fleet = Fleet(Machine(), [system("cloud", ready="never", within=0.1)])
    with pytest.raises(DeploymentFailed, match=r"(?s)waited 0\.1 s.*HTTP 503, wanted 200.*last words"):
        fleet.start_all()


def test_probe_learns_which_roles_run() -> None:
    seen: dict[str, bool] = {}

    def probe(running: Running) -> None:
        seen.update({role: running(role) for role in ("cloud", "identity", "viewer")})

    cloud = SystemSpec("cloud", "image", ("cloud",), {}, {}, probe)
    fleet = Fleet(Machine({"identity": "stopped"}), [cloud, system("identity")])
    fleet.start("cloud")
    assert seen == {"cloud": True, "identity": False, "viewer": False}


def test_start_of_a_running_system_changes_nothing_unless_it_is_to_be_wiped() -> None:
    machine = Machine()
    fleet = Fleet(machine, [system("pacs")])
    fleet.start_all()
    fleet.start("pacs")
    assert machine.done == ["launch pacs on nothing"]
    fleet.start("pacs", wipe=True)
    assert machine.done[1:] == ["kill pacs", "launch pacs on nothing"]


def test_changed_description_counts_from_the_next_start_and_can_be_taken_back() -> None:
    fleet = Fleet(Machine(), [system("pacs"), system("router")])
    before = fleet.change("router", lambda spec: replace(spec, command=("another",)))
    assert before.command == ("router",)
    assert fleet.change("router", lambda _: before).command == ("another",)
    assert fleet.roles == ("pacs", "router")
    with pytest.raises(KeyError):
        fleet.change("viewer", lambda spec: spec)


def test_run_without_room_is_refused(tmp_path: Path) -> None:
    require_space(tmp_path, least=1)
    with pytest.raises(MachineProblem, match="free disk space"):
        require_space(tmp_path, least=10**18)


def test_system_that_waits_to_be_needed_is_started_by_hand_only() -> None:
    machine = Machine()
    fleet = Fleet(machine, [system("cloud"), replace(system("viewer"), at_once=False)])
    fleet.start_all()
    assert machine.done == ["launch cloud on nothing"]
    assert not fleet.running("viewer")
    fleet.start("viewer")
    assert fleet.running("viewer")
