"""The two local ways of deployment give the same environment (CLAIM-PROVISION-02)."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from fixtures.deployment.attempt import attempt
from fixtures.deployment.spec import SystemSpec
from fixtures.reporting.run import REPOSITORY
from fixtures.traceability import needs, not_applicable, requirement
from fixtures.world import World
from tools.play_plan import prepared_plan

pytestmark = pytest.mark.demo

COMPOSE = REPOSITORY / "compose" / "compose.yaml"
ROLES = ("pacs", "router", "link", "cloud", "identity", "viewer")
GENERATED = (
    (re.compile(r"^/(?:[\w.-]+/)*(?=[\w.-]+$)"), "FOLDER/"),
    (re.compile(r"https?://[^/\s\"]+"), "URL"),
    (re.compile(r"^(?:127\.0\.0\.1|0\.0\.0\.0)$"), "HOST"),
    (re.compile(r"^[\w.-]+:\d{2,5}$"), "ADDRESS"),
    (re.compile(r"^\d{4,5}$"), "PORT"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
)
"""What differs from one environment to the next by nature."""
OF_THE_PLACE = frozenset({"host", "port", "httpport", "dicomport", "plugins", "remoteaccessallowed"})
"""Keys whose values say where a system runs: addresses, the place of a plug-in, and whether the machine is shared."""
SECRETS = frozenset({"registeredusers"})


@requirement("CLAIM-PROVISION-02")
@needs("control")
def test_published_compose_file_describes_the_same_environment(world: World, tmp_path: Path) -> None:
    """What the compose file starts has the configuration of what runs here, apart from names, addresses and secrets.

    CLAIM-PROVISION-02: each system's command and files, and what the router says is in force, are compared in full.
    """
    plan = prepared_plan(tmp_path)
    if not world.deployment.has("viewer"):
        plan = replace(plan, viewer=None)
    others = {spec.role: spec for spec in plan.specs()}
    ours = {
        role: world.control.change(role, lambda spec: spec) for role in ROLES if world.deployment.has(role)
    }
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    assert set(ours) == set(others) <= set(services)
    for role, spec in ours.items():
        words = [re.sub(r"\$\{\w+:\?[^}]*\}", str(UUID(int=0)), word) for word in services[role]["command"]]
        stated = _words(words)
        if plan.viewer is None and "--cors-origin" in stated:
            at = stated.index("--cors-origin")
            del stated[at : at + 2]
        assert _words(spec.command) == _words(others[role].command), f"{role}: another command"
        assert stated == _words(spec.command), f"{role}: another command in the compose file"
        assert spec.image == others[role].image
        differing = _differing(_dump(spec), _dump(others[role]))
        assert not differing, f"{role}: the two ways differ in {differing}"
        inside = {entry.rpartition(":")[2] for entry in services[role]["ports"]}
        assert inside == {str(port) for port in spec.ports.values()}
    assert "--no-auth" not in services["cloud"]["command"]
    assert "--authority" in services["cloud"]["command"]

    check = replace(ours["router"], command=("dicom-router", "check", *ours["router"].command[2:]))
    shown = attempt(world.deployment, check, others["router"].files, others["router"].environment)
    assert shown.exit_code == 0, shown.said
    in_force = _settings(json.loads(shown.said[: shown.said.rindex("}") + 1]))
    differing = _differing(in_force, _settings(world.router.config()))
    assert not differing, f"in force at the router: {differing}"
    world.evidence.note(
        f"{len(ours)} systems: commands, images, ports, {sum(len(spec.files) for spec in ours.values())} files and "
        f"{len(in_force)} settings in force at the router are the same for both ways, apart from generated names and secrets."
    )


@requirement("CLAIM-PROVISION-02")
def test_compose_itself_reads_the_published_file_as_it_is_meant(world: World) -> None:
    """`docker compose config` resolves the file to the services, commands, images and networks that it states.

    CLAIM-PROVISION-02. The systems are not started by it here: their ports are fixed, and may be a demo somebody plays with.
    """
    program = shutil.which("docker")
    version = program and subprocess.run(
        [program, "compose", "version"], capture_output=True, text=True, check=False
    )
    if not program or not version or version.returncode != 0:
        seen = "no docker client" if not version else version.stderr.strip().splitlines()[0]
        not_applicable("Docker Compose is not installed", probe=f"docker compose version: {seen}")
    text = COMPOSE.read_text("utf-8")
    variables = dict.fromkeys(re.findall(r"\$\{(\w+):", text), "conformance")
    done = subprocess.run(
        [program, "compose", "--file", str(COMPOSE), "config", "--format", "json", "--no-interpolate"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(Path(program).parent), **variables},
    )
    assert done.returncode == 0, done.stderr
    resolved, stated = json.loads(done.stdout)["services"], yaml.safe_load(text)["services"]
    assert set(resolved) == set(stated)
    for role, service in stated.items():
        assert resolved[role]["command"] == service["command"]
        assert set(resolved[role]["networks"]) == set(service["networks"])
        assert resolved[role]["image"] == service["image"]
    world.evidence.note(f"Docker Compose reads {len(resolved)} services from the published file.")


def _dump(spec: SystemSpec) -> dict[str, object]:
    """Every setting of a description by its path; secrets, certificates and places are named and not compared."""
    found: dict[str, object] = {f"environment {name}": "set" for name in spec.environment}
    for name, content in spec.files.items():
        read = {"json": json.loads, "toml": tomllib.loads}.get(name.rpartition(".")[2])
        if read is None:
            found[f"file {name}"] = "there"
        else:
            found |= {f"{name}: {path}": value for path, value in _settings(read(content.decode())).items()}
    return found


def _settings(document: Mapping[str, Any]) -> dict[str, object]:
    return dict(_flat(document, ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, object]]:
    key = path.rpartition(".")[2].lower()
    if key in OF_THE_PLACE or key in SECRETS:
        yield path, key
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{path}.{number}")
    else:
        yield path, _plain(value) if isinstance(value, str) else value


def _words(command: Sequence[str]) -> list[str]:
    """A command as it is compared; where a viewer's files lie is a matter of the place."""
    return [
        "FILES" if before == "--files" else _plain(word)
        for before, word in zip(["", *command], command, strict=False)
    ]


def _plain(text: str) -> str:
    for pattern, word in GENERATED:
        text = pattern.sub(word, text)
    return text


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return [
        f"{path}: {one.get(path, 'not there')!r} and {other.get(path, 'not there')!r}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path, "not there") != other.get(path, "not there")
    ]
