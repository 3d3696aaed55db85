"""Starts and ends the demo that is played with: by `docker compose` where the engine has it, else container by container.

Both ways run the same descriptions on the same volumes under the same labels, so that either can end what the other
has started.
"""

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from fixtures.deployment import container_host, engine, images
from fixtures.deployment.errors import DeploymentFailed, MachineProblem
from fixtures.deployment.fleet import LOG_TAIL_LINES, Fleet
from fixtures.deployment.networks import make_networks
from fixtures.deployment.reference import Plan
from fixtures.deployment.runs import Run
from fixtures.deployment.spec import SystemSpec
from fixtures.waiting import NotYet, eventually
from tools.common import CHECKOUT, Stop, run, say
from tools.play_compose import FILE, LABEL, variables, volume_name
from tools.play_plan import FOLDER, keeps_data, site, write_files, write_private
from tools.viewer import ensure_viewer

if TYPE_CHECKING:  # it may only be read after the settings that `engine` makes
    from testcontainers.core.container import DockerContainer

COMPOSE_ENV = FOLDER / "compose.env"
_STOP_SECONDS = 15
_PORT_SECONDS = 10


def connect() -> docker.DockerClient:
    """Connect to the container engine.

    Raises:
        Stop: when none answers.

    """
    try:
        return engine.connect()
    except MachineProblem as problem:
        raise Stop(
            f"the demo to play with runs in containers: {problem.why}\n"
            '  What to do: make engine; without one, make demo ARGS="--keep --runner process" leaves its systems up',
            problem.exit_code,
        ) from problem


def up(client: docker.DockerClient, plan: Plan) -> None:
    """Start every system on the data it had and wait until it does what it is for; a demo that is up is started anew.

    Raises:
        Stop: when a port is taken, or `docker compose` fails.
        MachineProblem: when an image cannot be built.
        DeploymentFailed: when a system does not become ready; it is left as it is, to be looked at.

    """
    ensure_viewer()
    tags = images.ensure_images(client, say, also=("viewer",))
    specs = plan.specs()
    end(client)
    require_ports(plan)
    write_files(plan, specs)
    lines = [f"{name}={value}\n" for name, value in variables(plan, tags).items()]
    write_private(COMPOSE_ENV, "".join(lines))
    for spec in specs:
        if keeps_data(plan, spec):
            client.volumes.create(volume_name(spec.role))
    if compose_answers():
        _up_by_compose(client, specs)
    else:
        say("`docker compose` is not installed; the containers are started one by one")
        _up_by_ourselves(client, plan, specs, tags)


def compose_answers() -> bool:
    """Tell whether the engine's client has `docker compose`."""
    try:
        return run(["docker", "compose", "version"], quiet=True).returncode == 0
    except OSError:
        return False


def end(client: docker.DockerClient) -> list[str]:
    """End the systems, each as an administrator would, and return their names; their data stays."""
    ours = {"label": f"{LABEL}={FOLDER}"}
    containers = client.containers.list(all=True, filters=ours, ignore_removed=True)
    if containers:
        with ThreadPoolExecutor(len(containers)) as pool:
            list(pool.map(_remove, containers))
    for network in client.networks.list(filters=ours):
        network.remove()
    return sorted(str(container.name) for container in containers)


def delete_data(client: docker.DockerClient) -> list[str]:
    """Delete the volumes, and return the names of those that were there. The systems must have ended."""
    deleted = []
    for volume in client.volumes.list(filters={"name": volume_name("")}):
        # The engine's filter also finds names that only contain it.
        if str(volume.name).startswith(volume_name("")):
            volume.remove()
            deleted.append(str(volume.name))
    return deleted


def delete_folder() -> list[str]:
    """Delete secrets, certificates and configuration, and return what was there."""
    if not FOLDER.exists():
        return []
    shutil.rmtree(FOLDER)
    return [str(FOLDER.relative_to(CHECKOUT))]


def require_ports(plan: Plan, *, within: float = _PORT_SECONDS) -> None:
    """Wait until nothing listens on the ports of the demo: an engine may give those of an ended one back late.

    Raises:
        Stop: when one stays taken, naming it.

    """
    wanted = {
        plan.site.reach(spec.role, name).port: f"{spec.role} ({name})"
        for spec in plan.specs()
        for name in spec.ports
    }

    def free() -> bool:
        taken = [f"{port} for {what}" for port, what in wanted.items() if not _free(port)]
        assert not taken, ", ".join(taken)  # noqa: S101 - how `eventually` is told "not yet"
        return True

    try:
        eventually(free, within=within, because="the demo's ports to be free", every=0.2)
    except NotYet as late:
        raise Stop(
            f"the demo needs ports that are taken: {late.__cause__}\n"
            "  What to do: end what listens there (`ss -ltnp`), then make up again"
        ) from late


def _free(port: int) -> bool:
    with socket.socket() as candidate:
        # Connections of a demo that just ended do not count; a listener does.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _remove(container: Container) -> None:
    try:
        container.stop(timeout=_STOP_SECONDS)
        container.remove(force=True, v=True)
    except NotFound:
        pass


def _up_by_compose(client: docker.DockerClient, specs: list[SystemSpec]) -> None:
    command = ["docker", "compose", "--env-file", str(COMPOSE_ENV), "--file", str(FILE)]
    done = run([*command, "up", "--detach", "--remove-orphans"])
    if done.returncode != 0:
        raise Stop("`docker compose up` failed; what it said is above", 4)
    for spec in specs:
        _wait(client, spec)


def _wait(client: docker.DockerClient, spec: SystemSpec) -> None:
    def ready() -> bool:
        spec.ready(lambda _: True)
        return True

    try:
        eventually(ready, within=spec.ready_within, because=f"{spec.role} to be ready", every=0.1)
    except NotYet as late:
        raise DeploymentFailed(
            f"{spec.role} was started ({' '.join(spec.command)})",
            f"{late}\n  The end of its log:\n{_log(client, spec.role)}",
            "read the log above; make stop ends the others",
        ) from late


def _log(client: docker.DockerClient, role: str) -> str:
    ours = {"label": [f"{LABEL}={FOLDER}", f"com.docker.compose.service={role}"]}
    for container in client.containers.list(all=True, filters=ours):
        return bytes(container.logs(tail=LOG_TAIL_LINES)).decode("utf-8", errors="replace")
    return "(it has no container)"


class _Play(Run):
    """The demo in the place of a run: nothing owns it, so nothing sweeps it."""

    def labels(self) -> dict[str, str]:
        return {LABEL: str(FOLDER)}


class _KeepingHost(container_host.ContainerHost):
    """Containers whose data outlives them."""

    def __init__(self, client: docker.DockerClient, play: Run, plan: Plan, tags: dict[str, str]) -> None:
        super().__init__(client, play, site(), make_networks(client, play), tags)
        self._plan = plan

    def _describe(self, spec: SystemSpec) -> "DockerContainer":
        container = super()._describe(spec)
        if keeps_data(self._plan, spec):
            container.with_volume_mapping(volume_name(spec.role), str(self._plan.site.data(spec.role)), "rw")
        return container


def _up_by_ourselves(
    client: docker.DockerClient, plan: Plan, specs: list[SystemSpec], tags: dict[str, str]
) -> None:
    play = _Play(FOLDER, runner="docker", keep=True)
    try:
        Fleet(_KeepingHost(client, play, plan, tags), specs).start_all()
    finally:
        play.close()
