"""Systems to measure, alike for all: on this machine's own network and disk, as processes or containers.

A published port goes through a proxy and a container's own file system through a driver; neither is the system's, so
containers share the host's network and write to a folder of the run.
"""

import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from fixtures.deployment import engine, images, sweeper
from fixtures.deployment.errors import MachineProblem
from fixtures.deployment.fleet import LOG_LIMIT, Fleet, Host
from fixtures.deployment.ports import reserved_ports
from fixtures.deployment.process_host import ProcessHost, folder_size
from fixtures.deployment.runs import Run, read_record
from fixtures.deployment.spec import Address, Probe, ProcessSite, SystemSpec
from fixtures.measurement.cpu import Tree


@dataclass(frozen=True)
class Program:
    """A system of this machine to be measured."""

    name: str
    command: tuple[str, ...]
    files: Mapping[str, bytes]
    ready: Probe
    image: str = ""
    """The image to run it from; empty: a process of this machine."""
    environment: Mapping[str, str] | None = None

    def spec(self) -> SystemSpec:
        """Its description for a runner."""
        return SystemSpec(
            role=self.name,
            image=self.image,
            command=self.command,
            files=self.files,
            environment={"TCP_NODELAY": "1", **(self.environment or {})},
            ready=self.ready,
        )


class Hosting:
    """What one measurement runs: a folder, ports of its own, systems by name."""

    def __init__(self, run: Run, ports: Iterator[int]) -> None:
        self._run = run
        self._ports = ports
        self._site = ProcessSite(run.run_id, {}, run.run_dir, Address("127.0.0.1", 0))
        self._processes = ProcessHost(run, self._site)
        self._containers = _ContainerHost(run, self._site)
        self._programs: dict[str, Program] = {}

    def port(self) -> int:
        """A port nothing listens on, kept for this run."""
        return next(self._ports)

    def data(self, name: str) -> Path:
        """The folder in which a system keeps everything."""
        return self._site.data(name)

    def config(self, name: str) -> Path:
        """The folder in which a system finds its files."""
        return self._site.config(name)

    def start(self, program: Program) -> None:
        """Start a system on nothing, in the place of an earlier one of its name, and wait until it answers.

        Raises:
            DeploymentFailed: it ended or did not answer in time.

        """
        if program.name in self._programs:
            self.kill(program.name)
        self._programs[program.name] = program
        Fleet(self._host_of(program.name), [program.spec()]).start_all()

    def kill(self, name: str) -> None:
        """SIGKILL to all its processes; what it kept stays."""
        self._host_of(name).kill(self._programs[name].spec())

    def start_again(self, name: str) -> None:
        """Start it on what it kept and wait until it answers.

        Raises:
            DeploymentFailed: it ended or did not answer in time.

        """
        Fleet(self._host_of(name), [self._programs[name].spec()]).start(name)

    def _host_of(self, name: str) -> Host:
        return self._containers if self._programs[name].image else self._processes

    def tree(self, name: str) -> Tree:
        """Its processes, for CPU and memory."""
        if self._programs[name].image:
            return Tree(self._containers.pid(name))
        return Tree(_started_pid(self._run, name))

    def logs(self, name: str) -> str:
        """The end of what it logged."""
        return self._host_of(name).logs(self._programs[name].spec())

    def close(self) -> None:
        """End everything and delete what it kept."""
        specs = [program.spec() for program in self._programs.values()]
        self._containers.close()
        self._processes.close([spec for spec in specs if not spec.image])
        for spec in specs:
            shutil.rmtree(self._site.data(spec.role), ignore_errors=True)
        # What deleting costs the file system must not be paid by the next measurement.
        os.sync()


def _image(client: docker.DockerClient, name: str) -> str:
    """An image that is there already, else built: only its programs are measured, not this checkout's."""
    present = [tag for one in client.images.list(f"imaging-conformance/{name}") for tag in one.tags]
    return present[0] if present else images.ensure_images(client)[name]


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _started_pid(run: Run, name: str) -> int:
    """The pid that the run recorded when the process began."""
    record = read_record(run.run_dir)
    for process in record.processes if record else ():
        if process.role == name:
            return process.pid
    raise KeyError(name)


@contextmanager
def hosting(folder: Path) -> Iterator[Hosting]:
    """Systems in a folder of their own, whose name is the run's; all gone afterwards."""
    folder = folder.resolve()
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            # Ended from outside, a run still takes its systems down.
            before = signal.signal(signal.SIGTERM, _interrupt)
            stack.callback(signal.signal, signal.SIGTERM, before)
        sweeper.sweep(folder.parent, containers=engine.answers())
        run = Run(folder, runner="benchmark", keep=False)
        stack.callback(run.close)
        ports = stack.enter_context(reserved_ports(24))
        made = Hosting(run, iter(ports))
        stack.callback(made.close)
        yield made


class _ContainerHost:
    """A `Host` of containers on the host's network, with the run's folder mounted where it lies."""

    def __init__(self, run: Run, site: ProcessSite) -> None:
        self._run = run
        self._site = site
        self._containers: dict[str, Container] = {}

    def launch(self, spec: SystemSpec, *, wipe: bool) -> None:
        """See `Host.launch`."""
        self.remove(spec) if wipe else self.kill(spec)
        data, config = self._site.data(spec.role), self._site.config(spec.role)
        for folder in (data, config):
            folder.mkdir(parents=True, exist_ok=True)
        for name, content in spec.files.items():
            (config / name).write_bytes(content)
        client = engine.connect()
        tag = _image(client, spec.image)
        self._containers[spec.role] = client.containers.run(
            tag,
            list(spec.command),
            detach=True,
            network_mode="host",
            user=f"{os.getuid()}:{os.getgid()}",
            environment=dict(spec.environment),
            volumes={str(folder): {"bind": str(folder), "mode": "rw"} for folder in (data, config)},
            labels=self._run.labels() | {"imaging-conformance.role": spec.role},
            name=f"conformance-{self._run.run_id}-{spec.role}",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )

    def stop(self, spec: SystemSpec) -> None:
        """See `Host.stop`."""
        self._containers[spec.role].stop(timeout=round(spec.stop_within))

    def kill(self, spec: SystemSpec) -> None:
        """See `Host.kill`."""
        container = self._containers.pop(spec.role, None)
        if container is not None:
            container.remove(force=True, v=True)

    def remove(self, spec: SystemSpec) -> None:
        """See `Host.remove`."""
        self.kill(spec)
        shutil.rmtree(self._site.data(spec.role), ignore_errors=True)

    def exited(self, spec: SystemSpec) -> str | None:
        """See `Host.exited`."""
        container = self._containers.get(spec.role)
        if container is None:
            return "it was never started"
        try:
            container.reload()
        except NotFound:
            return "its container was removed by somebody else"
        running = container.status in {"created", "running"}
        return None if running else f"its container is {container.status}"

    def logs(self, spec: SystemSpec) -> str:
        """See `Host.logs`."""
        container = self._containers.get(spec.role)
        return "" if container is None else bytes(container.logs())[-LOG_LIMIT:].decode("utf-8", "replace")

    def build(self, spec: SystemSpec) -> str:
        """See `Host.build`."""
        container = self._containers[spec.role]
        return f"{spec.command[0]}, image {container.attrs['Image']}"

    def data_size(self, spec: SystemSpec) -> int:
        """See `Host.data_size`."""
        return folder_size(self._site.data(spec.role))

    def pid(self, name: str) -> int:
        """The process id of a container's first process, as this machine numbers it."""
        container = self._containers[name]
        container.reload()
        pid = int(container.attrs["State"]["Pid"])
        if not Path(f"/proc/{pid}").exists():
            raise MachineProblem(
                f"the CPU of container {name} was to be measured",
                "the engine's processes cannot be seen from here",
                "measure on the engine's own machine (Linux), or install Orthanc there and set ORTHANC",
            )
        return pid

    def close(self) -> None:
        """Remove every container."""
        for container in self._containers.values():
            container.remove(force=True, v=True)
        self._containers.clear()
