"""The router between modalities, PACS and cloud: its three paths and its truthfulness (CLAIM-ROUTER-*)."""

import pytest

from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from suites.demo.variety import SOP_CLASSES, SYNTAXES

pytestmark = pytest.mark.demo

INVOLVES = {
    "pacs": {"echo-ORTHANC"},
    "cloud": {"cloud-qido"},
    "identity": {"oauth"},
}


@requirement("CLAIM-ROUTER-01")
def test_connection_tests_pass_when_all_is_well(world: World) -> None:
    """OAuth, an authenticated search and C-ECHO in every direction succeed; no token text is shown, nothing is queued.

    CLAIM-ROUTER-01.
    """
    mark = world.link_mark()
    results = world.connection_tests()

    assert {name: r.passed for name, r in results.items()} == dict.fromkeys(results, True), results
    assert set().union(*INVOLVES.values()) <= set(results)
    assert "200" in results["oauth"].detail
    assert "bearer" in results["oauth"].detail.lower()
    assert "eyJ" not in str(results), "a token is shown"
    assert world.modality().echo(world.intake).status == 0x0000
    assert world.modality().echo(world.bridge).status == 0x0000
    assert world.pacs.echo("QIETOAZURE").status == 200, "C-ECHO from the PACS to the router"
    assert [e for e in world.link_since(mark) if e.method == "POST"] == [], "an echo was uploaded"
    world.evidence.note(f"{len(results)} connection tests and three C-ECHO directions passed.")


@requirement("CLAIM-ROUTER-01")
@needs("control")
@pytest.mark.parametrize("stopped", ["pacs", "cloud", "identity"])
def test_connection_tests_name_the_stopped_part(world: World, stopped: str) -> None:
    """With one part stopped exactly the tests that involve it fail, each with a reason.

    CLAIM-ROUTER-01.
    """
    assert all(r.passed for r in world.connection_tests().values()), "healthy before the stop"
    with world.down(stopped):
        results = world.connection_tests()
        failed = {name for name, result in results.items() if not result.passed}
        assert failed == INVOLVES[stopped], results
        assert all(results[name].detail for name in failed)
    eventually(
        lambda: all(r.passed for r in world.connection_tests().values()),
        within=world.bounds.settle,
        because=f"all connection tests to pass after the start of {stopped}",
    )


@requirement("CLAIM-ROUTER-02")
@needs("http-interposer")
def test_bridge_carries_store_find_and_move_to_the_cloud(world: World) -> None:
    """C-STORE becomes an upload, C-FIND a search at the time of the query, C-MOVE a retrieval of the stored encoding.

    CLAIM-ROUTER-02.
    """
    study, other = world.cast.study(1, "prior"), world.cast.study(2, "prior")
    mark = world.link_mark()
    sent = world.send([study, other], "bridge")
    assert sent.all_success, sent.describe()
    world.expect("cloud", [study, other])
    assert world.uploaded_uids(mark) == world.sop_uids([study, other]), (
        "acknowledged without a request at the link"
    )

    for level in ("STUDY", "SERIES", "IMAGE"):
        assert world.found_through_bridge(level, study) == world.in_cloud(level, study), f"C-FIND at {level}"
    world.move_and_compare(study)
    # Not counted is what the cloud refused: a router may ask for a form first that this service does not have.
    given = [e for e in world.retrievals_since(mark) if e.status == 200]
    assert len(given) == len(study.instances), "not one retrieval per instance"
    assert world.searches_since(mark), "C-FIND was answered without asking the cloud"

    assert not world.delete_from_cloud(study.study_instance_uid)
    assert world.found_through_bridge("STUDY", study) == set(), "the router answers from a cache of its own"
    assert world.found_through_bridge("STUDY", other) == {other.study_instance_uid}
    world.evidence.note(
        "Store, find at three levels and move through QIETOAZURE agree with the cloud and with the calls at the link."
    )


@requirement("CLAIM-ROUTER-03")
@pytest.mark.parametrize("sop_class", SOP_CLASSES.values(), ids=SOP_CLASSES)
def test_router_delivers_each_sop_class_to_the_pacs(world: World, sop_class: str) -> None:
    """An object of each SOP class of the demo's PACS connection reaches the PACS unchanged.

    CLAIM-ROUTER-03.
    """
    study = world.of_class(sop_class)
    assert world.send([study], "intake").all_success
    world.expect("pacs", [study])


@requirement("CLAIM-ROUTER-03")
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_router_delivers_each_transfer_syntax_to_the_pacs(world: World, syntax: str) -> None:
    """Encodings other than Explicit VR Little Endian are neither rejected nor converted.

    CLAIM-ROUTER-03.
    """
    study = world.series(instances=2, transfer_syntax=syntax)
    assert world.send([study], "intake").all_success
    assert world.expect("pacs", [study]).transfer_syntaxes == {syntax}


@requirement("CLAIM-ROUTER-03")
def test_pacs_uses_the_router_in_all_directions(world: World) -> None:
    """The PACS knows the router as QIETOAZURE only, and can echo, send, query and retrieve through it.

    CLAIM-ROUTER-03.
    """
    study = world.cast.study(1, "recent")
    world.arrange(study, "pacs")
    assert world.pacs.modalities() == ["QIETOAZURE"]
    assert world.pacs.echo("QIETOAZURE").status == 200
    assert world.push_from_pacs(study).state == "Success"
    answer = world.query_from_pacs({"StudyInstanceUID": study.study_instance_uid})
    assert answer.study_uids == {study.study_instance_uid}
    world.pacs.delete_study(study.study_instance_uid)
    assert world.retrieve_to_pacs(study).state == "Success"
    world.expect("pacs", [study])


@requirement("CLAIM-ROUTER-04")
@pytest.mark.parametrize("associations", ["one", "several", "interleaved"])
def test_intake_copies_everything_to_both(world: World, associations: str) -> None:
    """What one, several or interleaved associations send to QIEROUTER is in the PACS and in the cloud, nothing missing.

    CLAIM-ROUTER-04.
    """
    studies = [*world.studies("new", patients=(4, 5, 6)), world.cast.study(7, "new")]
    sent = world.send_as(studies, "intake", associations=associations)
    assert sent.all_success, sent.describe()
    world.expect_both(studies)
    world.expect_created_once(studies)
    classes = {i.fingerprint.sop_class_uid for s in studies for i in s.instances}
    world.evidence.note(
        f"{len(sent.outcomes)} instances of {len(classes)} SOP classes sent once, {associations} association(s): equal in both places."
    )


@requirement("CLAIM-ROUTER-05")
@needs("link")
@pytest.mark.parametrize(
    ("path", "other"), [("cloud-bridge", "modality-intake"), ("modality-intake", "cloud-bridge")]
)
def test_one_path_stopped_leaves_the_other_and_the_queue_alone(world: World, path: str, other: str) -> None:
    """A stopped path refuses associations, the other goes on, queued objects are kept and delivered after the start.

    CLAIM-ROUTER-05.
    """
    queued, passed = world.cast.study(4, "new"), world.cast.study(5, "new")
    with world.cut("refuse"):
        assert world.send([queued], "intake").all_success
        with world.path_stopped(path):
            eventually(
                lambda: world.modality().echo(world.path_address(path)).association != "accepted",
                within=5,
                because=f"{path} to refuse associations after stop",
            )
            finding = world.find_through_bridge("STUDY", passed) if path == "cloud-bridge" else None
            assert finding is None or finding.association != "accepted", "a stopped path answers C-FIND"
            assert world.modality().echo(world.path_address(other)).status == 0x0000
            if other == "modality-intake":
                assert world.send([passed], "intake").all_success
    assert world.modality().echo(world.path_address(path)).status == 0x0000, (
        "the path answers again after start"
    )
    if path == "modality-intake":
        assert world.send([passed], "intake").all_success
    world.expect_both([queued, passed])
    world.expect_created_once([queued, passed])


@requirement("CLAIM-ROUTER-09")
@needs("http-interposer")
def test_bridge_answer_tells_the_truth_for_each_cloud_outcome(world: World) -> None:
    """Success or warning only for what the cloud holds, the table's failure status for everything else.

    CLAIM-ROUTER-09; statuses of ROUTER-043.
    """
    outcomes = world.cloud_outcomes()
    with world.cloud_answers(*(rule for outcome in outcomes for rule in outcome.rules)):
        statuses = world.send_one_by_one([outcome.study for outcome in outcomes], "bridge")

    for outcome in outcomes:
        status = statuses[outcome.sop_instance_uid]
        assert status in outcome.allowed, (
            f"{outcome.name}: C-STORE answered {_shown(status)}, allowed {outcome.allowed_text}"
        )
        held = outcome.sop_instance_uid in world.held("cloud", [outcome.study])
        if status in (0x0000, 0xB000, 0xB006, 0xB007):
            assert held, f"{outcome.name}: answered {_shown(status)} but the cloud does not hold the instance"
            world.expect("cloud", [outcome.study])
        assert len(world.send([outcome.study], "bridge").acknowledged) == 1, f"{outcome.name}: the repeat"
    studies = [outcome.study for outcome in outcomes]
    world.expect("cloud", studies)
    world.expect_created_once(studies)
    world.evidence.note(
        f"{len(outcomes)} outcomes of the cloud, from 200 to a cut connection, each answered as the table says."
    )


@requirement("CLAIM-ROUTER-09")
@needs("control", "http-interposer")
def test_intake_success_survives_the_death_of_the_router(world: World) -> None:
    """What QIEROUTER acknowledged is, after a kill and a restart, delivered or dead-lettered by name.

    CLAIM-ROUTER-09: one object is refused by the cloud for good.
    """
    studies = world.studies("new", patients=(4, 5))
    first = studies[0].instances[0].fingerprint
    refused = first.sop_instance_uid
    with world.cloud_answers(rules.stored_with_failure(43264, first)):
        with world.cut("blackhole"):
            sent = world.send(studies, "intake")
            assert sent.all_success, sent.describe()
            world.kill("router")
        world.start("router")
        world.expect("pacs", studies)
        world.expect("cloud", studies, without={refused})
        letter = eventually(
            lambda: [d for d in world.dead_letters() if d.sop_instance_uid == refused],
            within=world.bounds.settle,
            because="the refused object to be dead-lettered",
        )
    assert "43264" in letter[0].reason
    assert refused not in world.held("cloud", studies)


def _shown(status: int | None) -> str:
    return "no status" if status is None else f"{status:04X}"
