"""Patient data stay with the systems that are there for them (CLAIM-INTEGRITY-07)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.deployment.needles import files_with
from fixtures.deployment.peers import declared, watched
from fixtures.deployment.spec import ROLES
from fixtures.evidence.exchange import DimseOperation, HttpExchange
from fixtures.reporting.evidence import Evidence
from fixtures.reporting.judging import evidence_of
from fixtures.reporting.secrets import Secrets
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.stage import to_har_text
from suites.demo.phi import Walked, marked, walked_every_way

pytestmark = pytest.mark.demo

STORES: Mapping[str, tuple[str, ...]] = {"pacs": ("data/",), "cloud": ("data/",), "router": ("data/spool/",)}
"""Where patient data have to be, by system; nowhere else."""
_OPERATOR = ("/status", "/metrics", "/audit", "/dead-letters", "/prefetch", "/config", "/openapi.json")
_QUEUES = ("/queues/cloud", "/queues/ORTHANC")


@requirement("CLAIM-INTEGRITY-07")
@needs("control", "link", "http-interposer", "migration", "wipe", "router-admin")
@pytest.mark.lasting(10)
def test_patient_data_are_only_where_they_belong(world: World) -> None:
    """Marked patient data are taken every way, failures included: they are in PACS, cloud and spool and nowhere else.

    CLAIM-INTEGRITY-07: logs, metrics, audit, error comments and operator's pages, temporary folders and dumps are searched, and
    every connection that a system opens leads to a declared one. What a viewer's computer keeps is CLAIM-VIEWER-07's.
    """
    own = marked(world)
    needles = [own.marker.encode(), own.marker.lower().encode()]
    with watched(world.deployment, ROLES) as peers, walked_every_way(own) as walked:
        found = {role: files_with(world.deployment, role, needles) for role in ROLES}
        said = _said(world, walked)
        logs = {f"log of {role}": world.control.logs(role) for role in ROLES}
    for role, folders in STORES.items():
        # Without this the search itself might find nothing anywhere.
        assert [name for name in found[role] if name.startswith(folders)], f"the {role} holds no marked data"
    astray = {
        f"{role}: {name}": ""
        for role, names in found.items()
        for name in names
        if not name.startswith(STORES.get(role, ("nowhere",)))
    }
    astray |= {
        where: _around(text, own.marker) for where, text in (said | logs).items() if own.marker in text
    }
    assert not astray, f"patient data outside PACS, cloud and spool: {astray}"
    strangers = {
        role: sorted(map(str, opened - declared(world.deployment, role))) for role, opened in peers.items()
    }
    assert not any(strangers.values()), f"connections to hosts that nobody declared: {strangers}"
    assert peers["router"], "no connection of the router was seen: nothing was watched"
    world.evidence.note(
        f"Marked names, IDs and texts went every way, failures included: they are in {len(found['pacs'])} files of the PACS, "
        f"{len(found['cloud'])} of the cloud and {len(found['router'])} of the router's spool, in none of "
        f"{len(said) + len(logs)} logs, pages and error texts; {sum(map(len, peers.values()))} peers, all declared."
    )


def _said(world: World, walked: Walked) -> dict[str, str]:
    """Everything the router tells its operator and its callers, by where it was said."""
    pages = (*_OPERATOR, *_QUEUES, *walked.paths, f"/instances/{walked.refused}")
    said: dict[str, str] = {}
    for path in (*pages, *(f"/studies/{study.study_instance_uid}" for study in walked.everywhere)):
        answer = world.router.http.request("GET", path)
        assert answer.status in (200, 404), f"{path}: {answer.describe()}"
        said[f"GET {path}"] = answer.body.decode("utf-8", "replace")
    said["refusals"] = "\n".join(walked.said)
    for number, done in enumerate(world.recorder.exchanges):
        if isinstance(done, DimseOperation) and done.comment:
            said[f"error comment {number} of {done.service}"] = done.comment
    return said


def _around(text: str, marker: str) -> str:
    place = text.index(marker)
    return text[max(0, place - 120) : place + 60]


@requirement("CLAIM-INTEGRITY-07")
def test_the_report_of_a_real_profile_carries_digests_only(world: World, tmp_path: Path) -> None:
    """What a failed check attaches where patients' data are: sizes and digests; with synthetic data the exchanges themselves.

    CLAIM-INTEGRITY-07.
    """
    own = marked(world)
    study = own.study()
    world.store_in_cloud([study])
    world.cloud.search("studies", PatientID=own.patient.patient_id)
    assert any(own.marker in e.url for e in world.recorder.exchanges if isinstance(e, HttpExchange))
    held = {}
    for kind in ("real", "synthetic"):
        folder = tmp_path / kind
        folder.mkdir()
        _fill(
            world,
            evidence_of(replace(world.profile, data=kind), folder, Secrets()),
            study.instances[0].part10,
        )
        files = sorted(folder.iterdir())
        assert len(files) == 3, f"{kind}: {files}"
        held[kind] = [path.name for path in files if own.marker.encode() in path.read_bytes()]
    assert held["synthetic"], "the search finds nothing where exchanges are attached"
    assert held["real"] == [], "the report of a profile with real data holds patient data"


def _fill(world: World, evidence: Evidence, part10: bytes) -> None:
    """Attach what a test attaches: the exchanges when it fails, data sets, texts."""
    evidence.on_failure("exchanges.har", lambda: to_har_text(world.recorder), "application/json")
    evidence.attach("data set", part10, "application/dicom")
    evidence.attach_text("what the cloud holds", part10.decode("latin-1"))
    evidence.collect_on_failure()
