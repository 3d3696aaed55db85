"""A migration to measure: studies in Orthanc, the router moves them to the emulator and proves each."""

import json
import time
from dataclasses import dataclass

from fixtures.clients.http import HttpClient
from fixtures.clients.router import RouterAdmin
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.probes import call
from fixtures.evidence.exchange import Recorder
from fixtures.load.corpus import patterns
from fixtures.load.dimse import StoreSender
from fixtures.load.drive import drive, read_back
from fixtures.load.naming import Stream
from fixtures.measurement.cpu import Meter, Tree
from fixtures.measurement.samples import Sample, sample_of
from fixtures.waiting import eventually
from suites.benchmarks.hosting import Hosting, Program
from suites.benchmarks.measuring import Bench
from suites.benchmarks.targets import Archive, start_orthanc

_TOKEN = "benchmark"
_DONE_WITHIN = 120.0


@dataclass(frozen=True)
class Migration:
    """PACS, router and cloud of one migration."""

    pacs: DimseAddress
    cloud: Archive
    admin: RouterAdmin
    trees: tuple[Tree, ...]


def start(host: Hosting, cloud: Archive) -> Migration:
    """Bring PACS and router up beside a cloud that is up."""
    http, dicom, bridge, intake, admin = (host.port() for _ in range(5))
    peer = DimseAddress("QIETOAZURE", "127.0.0.1", bridge)
    start_orthanc(host, "pacs", http, dicom, {}, modalities={"QIETOAZURE": peer})
    text = f"""\
[router]
data = {json.dumps(str(host.data("mover")))}
log_level = "warning"

[admin]
host = "127.0.0.1"
port = {admin}
token_env = "ROUTER_ADMIN_TOKEN"

[cloud]
base_url = "http://127.0.0.1:{cloud.web.port}"
version = "v2"

[paths.cloud-bridge]
ae_title = "QIETOAZURE"
host = "127.0.0.1"
port = {bridge}

[paths.modality-intake]
ae_title = "QIEROUTER"
host = "127.0.0.1"
port = {intake}
destinations = ["ORTHANC", "cloud"]

[paths.pacs-bridge]
peer = "ORTHANC"
calling_ae_title = "QIETOAZURE"

[[peers]]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {dicom}
relational_queries = true

[[destinations]]
name = "ORTHANC"
kind = "dimse"

[[destinations]]
name = "cloud"
kind = "dicomweb"

[pacs.rest]
url = "http://127.0.0.1:{http}"
username = "benchmark"
password_env = "ROUTER_PACS_PASSWORD"
"""
    url = f"http://127.0.0.1:{admin}"
    host.start(
        Program(
            name="mover",
            command=("dicom-router", "serve", "--config", str(host.config("mover") / "router.toml")),
            files={"router.toml": text.encode("ascii")},
            environment={"ROUTER_ADMIN_TOKEN": _TOKEN, "ROUTER_PACS_PASSWORD": "benchmark"},
            ready=lambda _: call("GET", f"{url}/health/ready").require(200),
        )
    )
    client = HttpClient(url, recorder=Recorder(), token=lambda: _TOKEN)
    trees = (host.tree("mover"), host.tree("pacs"), *cloud.trees)
    return Migration(DimseAddress("ORTHANC", "127.0.0.1", dicom), cloud, RouterAdmin(client), trees)


def migrate(bench: Bench, way: Migration, corpus: str, count: int, per_study: int) -> Sample:
    """Put studies into the PACS and time how long the router takes to move and prove them (nothing is deleted)."""
    stream = Stream(bench.run, bench.next_stream(), per_study)
    sender = StoreSender(way.pacs, patterns(corpus), stream)
    stored = drive([sender], seconds=_DONE_WITHIN, most=count)
    sender.close()
    studies = sorted({names.study.decode() for _, names in stored.acknowledged})
    with Meter(way.trees) as meter:
        began = time.perf_counter()
        job = way.admin.start_migration({"studies": studies})
        state = eventually(
            lambda: _ended(way.admin, job), within=_DONE_WITHIN, because="the migration to end", every=0.02
        )
        stored.seconds = time.perf_counter() - began
    stored.latencies = []
    void = "" if state == "done" else f"the migration ended as {state}"
    void = void or read_back(way.cloud.web, stored.acknowledged)
    return sample_of(stored, meter.cores(0.0), void=void)


def _ended(admin: RouterAdmin, job: str) -> str:
    state = str(admin.migration(job)["state"])
    return "" if state in ("running", "waiting", "pending", "queued", "created") else state
