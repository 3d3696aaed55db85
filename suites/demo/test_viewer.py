"""The viewer of the cloud as a person sees it: one visit that lists and shows, one that looks at sign-in and traces (CLAIM-VIEWER-*)."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fixtures.data import Study
from fixtures.data.kinds import NOT_IMAGES, study_of_kinds
from fixtures.traceability import needs, requirement
from fixtures.viewer.footprint import found_in, markers_of
from fixtures.viewer.ohif import Ohif
from fixtures.viewer.origins import FETCH, calls_of_a_page, preflight
from fixtures.viewer.pictures import look_through
from fixtures.viewer.ready import hosts_of
from fixtures.viewer.signing import TOKEN, anonymously, served_files, tokens_of
from fixtures.world import World
from suites.demo.viewing import in_order, rows_of, viewing

pytestmark = [pytest.mark.demo, pytest.mark.timeout(600)]

KINDS_PATIENT = 50
MANY = 205
"""Studies, more than the 200 that the service gives in one answer."""
TOLD = {
    "PDF": "No online PDF viewer installed",
    "report": "this report was made by a conformance suite",
    "video": "something went wrong",
}
"""What the page says where no frames are drawn: the text of a report, and that a PDF or a video cannot be shown."""
ON_PREM = ("pacs", "router", "link")


@requirement("CLAIM-VIEWER-01", "CLAIM-VIEWER-02", "CLAIM-VIEWER-03", "CLAIM-VIEWER-05", "CLAIM-VIEWER-06")
@needs("viewer", "control")
@pytest.mark.lasting(60)
def test_viewer_lists_and_shows_what_the_cloud_holds(world: World, tmp_path: Path) -> None:
    """List and images are the cloud's, of every kind of object, also when new studies arrive and with on-prem dead.

    CLAIM-VIEWER-01, 02, 03, 05, 06: one browser, which asks the viewer, the service and the identity provider only.
    """
    kinds, few = _routed_kinds(world), _small(world, 3)
    world.store_in_cloud(few)
    listed = [kinds, *few]
    with viewing(world, tmp_path / "home") as viewer:
        viewer.enter()
        _lists(world, viewer, listed)
        frames = _shows_all_kinds(world, viewer, kinds)

        new, many = [world.series(instances=number) for number in (1, 2, 3)], _small(world, MANY)
        assert world.send(new, "intake").all_success
        world.expect("cloud", new)
        world.store_in_cloud(many)
        gone = listed.pop()
        assert world.cloud.delete(gone.study_instance_uid).status == 204
        listed += [*new, *many]
        with world.down(*ON_PREM):
            _nothing_listens(world)
            viewer.enter()
            last = _lists(world, viewer, listed)
            world.evidence.attach_png("the study list, the hospital's side dead", viewer.screenshot())
            viewer.open(last.accession_number)
            frames += look_through(viewer, last)
        asked = viewer.browser.record
        assert asked.hosts() == hosts_of(world.deployment), "the page asked another host (CLAIM-VIEWER-03)"
        assert not asked.errors, asked.errors
    world.evidence.note(
        f"The list had {len(few) + 1} studies, and {len(listed)} when {len(new) + MANY} were new and one deleted; {frames} frames were shown as sent."
    )
    world.evidence.note(
        f"{len(asked.requests)} requests of the page went to {len(asked.hosts())} hosts of the cloud."
    )


def _routed_kinds(world: World) -> Study:
    """All kinds of objects added to the PACS and sent on to the cloud, each with its digest; another study stays on-prem."""
    kinds = study_of_kinds(world.run, world.scene, KINDS_PATIENT)
    world.arrange_all([kinds, world.series()], "pacs")
    job = world.push_from_pacs(kinds)
    assert job.state == "Success", f"CLAIM-VIEWER-06: {job.error} {job.details}"
    report = world.expect("cloud", [kinds])
    assert report.transfer_syntaxes == {i.fingerprint.transfer_syntax_uid for i in kinds.instances}
    return kinds


def _small(world: World, number: int) -> list[Study]:
    """Small studies, each of a patient of its own: so people with names in every script are among them."""
    return world.dated_studies([f"19{n % 90 + 10}0101" for n in range(number)], instances=1, matrix=16)


def _lists(world: World, viewer: Ohif, studies: list[Study]) -> Study:
    """Every row of all pages is a study of the cloud, each once, with the stored values; returns the last one shown."""
    assert world.all_cloud_study_uids() == world.uids(studies), (
        "the cloud holds other studies than the test made"
    )
    rows = viewer.rows()
    assert in_order(rows) == rows_of(studies), "CLAIM-VIEWER-01, CLAIM-VIEWER-05"
    return next(one for one in studies if one.accession_number == rows[-1].accession_number)


def _shows_all_kinds(world: World, viewer: Ohif, kinds: Study) -> int:
    """Each frame of the images is shown and drawn as sent; documents and video do not keep the others from opening."""
    viewer.open(kinds.accession_number)
    others = [name for name, _, _ in NOT_IMAGES]
    assert TOLD.keys() == {*others}
    places = {name: place for place, (name, _) in enumerate(viewer.series())}
    assert places.keys() >= {*others}, (
        f"CLAIM-VIEWER-06: the page does not name {sorted({*others} - places.keys())}"
    )
    for name, told in TOLD.items():
        viewer.choose(places[name])
        viewer.page.get_by_text(told).first.wait_for()
    frames = look_through(viewer, kinds, drawn=True, not_images=others)
    world.evidence.attach_png("all kinds of objects in the viewer", viewer.screenshot())
    return frames


def _nothing_listens(world: World) -> None:
    pacs = world.deployment.pacs.dicom
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, by the runner's way of killing
        socket.create_connection((pacs.host, pacs.port), timeout=5).recv(1)


@requirement("CLAIM-VIEWER-04", "CLAIM-VIEWER-07", "CLAIM-VIEWER-08")
@needs("viewer", "control")
@pytest.mark.lasting(40)
def test_viewer_asks_for_a_login_and_leaves_no_trace(world: World, tmp_path: Path) -> None:
    """Nothing before the sign-in, nothing after the sign-out, nothing on disk, and nothing for pages of other origins.

    CLAIM-VIEWER-04, 07, 08.
    """
    study, report = world.series(instances=3), study_of_kinds(world.run, world.scene, KINDS_PATIENT)
    world.store_in_cloud([study])
    world.register([report])
    home = tmp_path / "home"
    with viewing(world, home) as viewer:
        calls = calls_of_a_page(world.deployment, world.fresh_token("owner"), study, report)
        _other_pages_read_nothing(world, viewer, calls)
        _refuses_strangers(world, viewer, study)
        viewer.sign_in()
        viewer.list_loaded()
        assert in_order(viewer.rows()) == rows_of([study])
        _pages_of_the_viewer_read(viewer, calls)
        viewer.open(study.accession_number)
        shown = look_through(viewer, study)
        tokens = tokens_of(viewer)
        assert tokens, "the page sent no token: what was looked for?"
        _no_secret_is_served(world, viewer)
        _signs_out(world, viewer, study, tokens)
        assert viewer.browser.record.downloads == []
        address = urlsplit(world.deployment.viewer.url).netloc.encode()
    markers = markers_of(study) | {f"token {n}": token.encode() for n, token in enumerate(tokens)}
    assert found_in(home, {"the viewer's address": address}), (
        "the profile holds no trace at all: was it searched?"
    )
    found = found_in(home, markers)
    assert found == {}, f"CLAIM-VIEWER-07: on disk are {found}"
    world.evidence.note(
        f"Without a sign-in nothing was shown; after it {shown} images; on disk none of {len(markers)} markers of them."
    )


def _refuses_strangers(world: World, viewer: Ohif, study: Study) -> None:
    """Not signed in, and after a wrong password: the sign-in form, no request to the service, and 401 from it."""
    cloud, record = urlsplit(world.deployment.cloud.url).netloc, viewer.browser.record
    mark = record.mark()
    viewer.visit()
    viewer.page.locator("#password").wait_for()
    viewer.sign_in(password="not this one")  # noqa: S106 - on purpose
    viewer.page.get_by_role("alert").wait_for()
    asked = [one.path for one in record.since(mark) if one.host == cloud]
    assert not asked, f"CLAIM-VIEWER-04: the page asked the service for {asked}"
    assert anonymously(world.anonymous, world.deployment, study) == [401, 401, 401]


def _signs_out(world: World, viewer: Ohif, study: Study, tokens: set[str]) -> None:
    """After the sign-out, Back and a new visit nothing is shown or asked for, and no token was ever in an address."""
    cloud, record = urlsplit(world.deployment.cloud.url).netloc, viewer.browser.record
    assert not [token for token in tokens if token in viewer.stored()], "a token is in the browser's storage"
    viewer.visit()
    viewer.sign_in()
    viewer.list_loaded()
    viewer.sign_out()
    mark = record.mark()
    viewer.page.go_back()
    viewer.signed_out()
    assert study.accession_number not in viewer.page.inner_text("body")
    viewer.visit()
    viewer.page.locator("#password").wait_for()
    assert not [one for one in record.since(mark) if one.host == cloud], "asked for data after the sign-out"
    assert anonymously(world.anonymous, world.deployment, study) == [401, 401, 401]
    assert not [one.path for one in record.requests if any(token in one.url for token in tokens)]


def _no_secret_is_served(world: World, viewer: Ohif) -> None:
    """No file that the viewer's host gives out holds a client's secret, a password or a token."""
    endpoint = world.deployment.viewer
    secrets = [one.secret for one in world.deployment.identity.applications.values()] + [endpoint.password]
    served = served_files(viewer, world.http(endpoint.url, ca_file=endpoint.ca_file))
    assert {"/", "/app-config.js"} <= served.keys()
    for path, content in served.items():
        assert not [secret for secret in secrets if secret and secret.encode() in content], (
            f"{path} holds a secret"
        )
        assert not TOKEN.search(content), f"{path} holds a token"


def _pages_of_the_viewer_read(viewer: Ohif, calls: dict[str, list[object]]) -> None:
    """A page of the declared origin gets its answers, and may store."""
    for name, call in calls.items():
        status, size = viewer.page.evaluate(FETCH, call)
        assert status == 200, f"CLAIM-VIEWER-08: {name} of the viewer's page was answered {status}"
        assert size > 0, name


def _other_pages_read_nothing(world: World, viewer: Ohif, calls: dict[str, list[object]]) -> None:
    """With the same token a page of another origin gets no answer at all; preflights, without a token, say the same."""
    deployment = world.deployment
    other = deployment.identity.authority
    for method in ("GET", "POST"):
        allowed = preflight(world.anonymous, deployment, deployment.viewer.url, method)
        assert allowed.status in (200, 204), allowed.describe()
        assert allowed.header("Access-Control-Allow-Origin") == deployment.viewer.url
        assert method in allowed.header("Access-Control-Allow-Methods")
        assert allowed.header("Access-Control-Allow-Credentials") == ""
        refused = preflight(world.anonymous, deployment, other, method)
        assert refused.header("Access-Control-Allow-Origin") == ""
    viewer.page.goto(f"{other}/health")
    for name, call in calls.items():
        assert viewer.page.evaluate(FETCH, call) == [0, 0], (
            f"CLAIM-VIEWER-08: another origin got an answer to {name}"
        )
