"""Ways from a modality to a PACS and a cloud: the router, and Orthanc forwarding by itself, into the same sinks."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from fixtures.deployment import autorouting
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.probes import call
from fixtures.load.corpus import patterns
from fixtures.load.dimse import StoreSender
from fixtures.load.drive import Acknowledged, Driven, drive
from fixtures.load.sink import TAIL
from fixtures.measurement.cpu import Meter, Tree
from fixtures.measurement.samples import Cell, Cores, Sample, interleaved, sample_of
from fixtures.waiting import NotYet, eventually
from suites.benchmarks.hosting import Hosting, Program
from suites.benchmarks.measuring import Bench
from suites.benchmarks.targets import orthanc_version, start_orthanc

CHECKOUT = Path(__file__).resolve().parents[2]
SIDES = ("dimse", "web")
DRAINED_WITHIN = 60.0
"""Seconds after the last acknowledgement; what has not arrived by then is lost as far as a measurement goes."""
ONE_BY_ONE = 32
ORTHANC_JOBS = 6
"""Jobs Orthanc works on side by side: as many as the router has workers (2 to the PACS, 4 to the cloud); its default is 2."""

_LUA = autorouting.script({None: autorouting.Way(("PEER",), ("sink",))})
_LUA_BY_STUDY = b"""\
function OnStableStudy(study, tags, metadata)
  RestApiPost('/modalities/PEER/store', '{"Resources": ["' .. study .. '"], "Synchronous": false}', false)
  RestApiPost('/dicom-web/servers/sink/stow', '{"Resources": ["' .. study .. '"], "Synchronous": false}', false)
end
"""


@dataclass(frozen=True)
class Sink:
    """The PACS and the cloud of a measurement: what arrives is counted and named, nothing else."""

    dimse: int
    http: int
    tree: Tree

    @property
    def url(self) -> str:
        """Its HTTP side."""
        return f"http://127.0.0.1:{self.http}"

    def counts(self) -> dict[str, int]:
        """How many different instances came, by side."""
        return dict(json.loads(call("GET", f"{self.url}/received").require(200).body))

    def received(self, side: str) -> dict[str, int]:
        """The instances of a side with the CRC-32 of their ends."""
        lines = call("GET", f"{self.url}/received/{side}").require(200).body.decode().splitlines()
        return {uid: int(crc) for uid, _, crc in (line.partition(" ") for line in lines)}

    def forget(self) -> None:
        """Begin anew."""
        call("DELETE", f"{self.url}/received").require(200)


@dataclass(frozen=True)
class Way:
    """One way from a modality to both sinks."""

    name: str
    version: str
    intake: DimseAddress
    sink: Sink
    tree: Tree
    most: int | None = None
    """The most instances of a feed that this way gets; a rate does not need more."""


def start_sink(host: Hosting, name: str) -> Sink:
    """A sink of its own, so that nobody's late deliveries are counted as another's."""
    dimse, http = host.port(), host.port()
    host.start(
        Program(
            name=name,
            command=("python", "-m", "fixtures.load.sink", "--dimse", str(dimse), "--http", str(http)),
            files={},
            ready=lambda _: call("GET", f"http://127.0.0.1:{http}/received").require(200),
            environment={"PYTHONPATH": str(CHECKOUT)},
        )
    )
    return Sink(dimse, http, host.tree(name))


def router(host: Hosting) -> Way:
    """The router with its defaults: 0000 once the object and both tasks are synced to disk."""
    return _router(host, "router", "")


def router_at_once(host: Hosting) -> Way:
    """The router delivering from the first object on: how it takes a stream that lasts longer than it steps back."""
    return _router(host, "router-at-once", "[delivery]\nstep_back_seconds = 0\n")


def _router(host: Hosting, name: str, tables: str) -> Way:
    sink = start_sink(host, f"{name}-sink")
    admin, intake, bridge = host.port(), host.port(), host.port()
    configuration = f"""\
[router]
data = {json.dumps(str(host.data(name)))}
log_level = "warning"

[admin]
host = "127.0.0.1"
port = {admin}
token_env = "ROUTER_ADMIN_TOKEN"

[cloud]
base_url = "{sink.url}"
version = "v2"

[paths.cloud-bridge]
ae_title = "QIETOAZURE"
host = "127.0.0.1"
port = {bridge}

[paths.modality-intake]
ae_title = "QIEROUTER"
host = "127.0.0.1"
port = {intake}
destinations = ["PEER", "cloud"]

[paths.pacs-bridge]
peer = "PEER"
calling_ae_title = "QIETOAZURE"

{tables}
[[peers]]
ae_title = "PEER"
host = "127.0.0.1"
port = {sink.dimse}

[[destinations]]
name = "PEER"
kind = "dimse"

[[destinations]]
name = "cloud"
kind = "dicomweb"
"""
    host.start(
        Program(
            name=name,
            command=("dicom-router", "serve", "--config", str(host.config(name) / "router.toml")),
            files={"router.toml": configuration.encode("ascii")},
            environment={"ROUTER_ADMIN_TOKEN": "benchmark"},
            ready=lambda _: call("GET", f"http://127.0.0.1:{admin}/health/ready").require(200),
        )
    )
    address = DimseAddress("QIEROUTER", "127.0.0.1", intake)
    return Way(name, "as in this checkout", address, sink, host.tree(name))


def orthanc(host: Hosting) -> Way:
    """Orthanc forwarding each instance as it comes, as its book shows auto-routing (a Lua script)."""
    # Each instance is a job, and its jobs start some 100 ms apart: a feed of the router's size would take minutes.
    return replace(_orthanc(host, "orthanc", _LUA, {}), most=ONE_BY_ONE)


def orthanc_by_study(host: Hosting) -> Way:
    """Orthanc forwarding whole studies once nothing came for a second, the shortest it knows."""
    return _orthanc(host, "orthanc-by-study", _LUA_BY_STUDY, {"StableAge": 1})


def _orthanc(host: Hosting, name: str, script: bytes, settings: dict[str, object]) -> Way:
    sink = start_sink(host, f"{name}-sink")
    http, dicom = host.port(), host.port()
    start_orthanc(
        host,
        name,
        http,
        dicom,
        {"ConcurrentJobs": ORTHANC_JOBS, **settings},
        servers={"sink": f"{sink.url}/v2/"},
        modalities={"PEER": DimseAddress("PEER", "127.0.0.1", sink.dimse)},
        scripts={"forward.lua": script},
    )
    address = DimseAddress("ORTHANC", "127.0.0.1", dicom)
    return Way(name, orthanc_version(http), address, sink, host.tree(name))


@dataclass(frozen=True)
class Feed:
    """What is sent: a corpus, how many instances, over how many associations."""

    corpus: str
    count: int
    associations: int

    @property
    def parameters(self) -> dict[str, str | int]:
        """As a cell's."""
        return {"instances": self.corpus, "associations": self.associations}


def forward_samples(bench: Bench, way: Way, feed: Feed) -> tuple[Sample, Sample]:
    """Send a feed and wait until both sides have all of it: a sample of acceptance, one of delivery."""
    way.sink.forget()
    kinds = patterns(feed.corpus)
    senders = [StoreSender(way.intake, kinds, bench.stream()) for _ in range(feed.associations)]
    whole = Meter([way.tree], [way.sink.tree])
    with whole:
        began = time.perf_counter()
        accepting = Meter([way.tree], [way.sink.tree])
        with accepting:
            driven = drive(senders, seconds=DRAINED_WITHIN, most=min(feed.count, way.most or feed.count))
        late = _drained(way.sink, len(driven.acknowledged))
        seconds = time.perf_counter() - began
    for sender in senders:
        sender.close()
    void = late or _differences(way.sink, driven.acknowledged)
    accepted = sample_of(driven, accepting.cores(driven.cpu_seconds), void=void)
    return accepted, _delivered(driven, seconds, whole, void)


def _delivered(driven: Driven, seconds: float, meter: Meter, void: str) -> Sample:
    cores = meter.cores(0.0)
    client = driven.cpu_seconds / seconds
    measured = Driven(driven.acknowledged, [], driven.problems, seconds, driven.cpu_seconds)
    spent = Cores(client, cores.server, cores.others, cores.sink)
    return sample_of(measured, spent, void=void, figures={"behind s": seconds - driven.seconds})


def _drained(sink: Sink, count: int) -> str:
    """Wait until both sides have `count` instances; say what is missing when they have not in time."""
    try:
        eventually(
            lambda: min(sink.counts().values()) >= count,
            within=DRAINED_WITHIN,
            because=f"{count} instances on both sides",
            every=0.005,
        )
    except NotYet:
        return f"after {DRAINED_WITHIN:g} s {sink.counts()} of {count} acknowledged instances had arrived"
    return ""


def _differences(sink: Sink, acknowledged: Acknowledged) -> str:
    """Compare what each side has with what was acknowledged: the names, and the end of each data set."""
    ends = {pattern.name: crc32(pattern.pixels[-TAIL:]) for pattern, _ in acknowledged}
    expected = {names.instance.decode("ascii"): ends[pattern.name] for pattern, names in acknowledged}
    for side in SIDES:
        seen = sink.received(side)
        lost, more = expected.keys() - seen.keys(), seen.keys() - expected.keys()
        altered = sum(seen[uid] != crc for uid, crc in expected.items() if uid in seen)
        if lost or more or altered:
            return f"{side}: {len(lost)} lost, {len(more)} never acknowledged, {altered} altered"
    return ""


def compare_forwarding(bench: Bench, ways: Sequence[Way], feed: Feed, rounds: int) -> dict[str, list[Cell]]:
    """Cells of acceptance and of delivery on every way: a round to warm up, then rounds in turn."""
    operations = ("accepted by C-STORE", "forwarded to both")
    cells = {
        operation: {
            way.name: bench.results.cell(operation, feed.parameters, way.name, "instances/s") for way in ways
        }
        for operation in operations
    }
    working = []
    for way in ways:
        warm = forward_samples(bench, way, feed)
        if not any(sample.void for sample in warm):
            working.append(way)
            continue
        # What does not arrive in the first round would keep every further one waiting as long.
        for operation, sample in zip(operations, warm, strict=True):
            cells[operation][way.name].samples.append(sample)
    for way in interleaved(working, rounds):
        for operation, sample in zip(operations, forward_samples(bench, way, feed), strict=True):
            cells[operation][way.name].samples.append(sample)
    return {operation: list(by_way.values()) for operation, by_way in cells.items()}
