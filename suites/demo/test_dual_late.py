"""Images that come late belong to their study everywhere (CLAIM-DUAL-13)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.orders import fetched_since, order_for, run
from fixtures.world.router_file import with_keys

pytestmark = pytest.mark.demo

QUIET = {
    "completion.series_seconds": "0.2",
    "completion.study_seconds": "0.4",
    "prefetch.window_seconds": "0",
}
COUNT = "NumberOfStudyRelatedInstances"


@requirement("CLAIM-DUAL-13")
@needs("control")
def test_late_images_complete_the_study_everywhere(world: World) -> None:
    """A study is seen as complete, then come ten images of the old series, a new series and, quiet again, one more image.

    CLAIM-DUAL-13: both places equal what was sent, the counts rise, and the prefetch brings what it had not seen. The hour
    of the procedure is a second quiet period here: the router's quiet period is set to less than a second.
    """
    study = world.cast.study(1, "recent")
    first, late, last = _parts(study)
    with world.router_settings(lambda text: with_keys(text, QUIET)):
        counts = [_arrived(world, [first])]
        assert run(world, order_for(study.patient))["state"] == "done"
        counts.append(_arrived(world, [first, late]))
        counts.append(_arrived(world, [first, late, last]))
        _prefetch_brings_what_is_late(world, study, first)
    expected = [len(first.instances), len(study.instances) - len(last.instances), len(study.instances)]
    assert counts == [(number, number) for number in expected], (
        f"instances shown by the viewer's list and by C-FIND: {counts}"
    )
    world.expect_both([study])
    world.expect_created_once([study])
    assert world.viewer_list() == {study.study_instance_uid}
    world.evidence.note(
        f"A study of {expected[0]} image grew to {expected[1]} and {expected[2]} after it had been seen as complete; "
        "PACS, cloud, viewer list and C-FIND followed, and the prefetch brought exactly the late ones."
    )


def _prefetch_brings_what_is_late(world: World, study: Study, first: Study) -> None:
    """A PACS that has the first image only gets exactly the others."""
    assert world.pacs.delete_study(study.study_instance_uid)
    assert world.send([first], "pacs").all_success
    mark = world.link_mark()
    found = run(world, order_for(study.patient))
    assert found["state"] == "done", found
    world.expect("pacs", [study])
    late = world.sop_uids([study]) - world.sop_uids([first])
    assert fetched_since(world, mark) == late, "the prefetch did not bring exactly what was missing"


def _parts(study: Study) -> tuple[Study, Study, Study]:
    """One image; ten more of its series and the whole other series; one more of the first."""
    images = [
        i for i in study.instances if i.fingerprint.series_instance_uid == study.series_instance_uids[0]
    ]
    others = [i for i in study.instances if i not in images]
    return (
        replace(study, make=lambda: images[:1]),
        replace(study, make=lambda: [*images[1:11], *others]),
        replace(study, make=lambda: images[11:]),
    )


def _arrived(world: World, parts: Sequence[Study]) -> tuple[int, int]:
    """Send the last of the parts; when all have arrived and it is quiet, how many instances viewer list and C-FIND show."""
    whole = replace(parts[0], make=lambda: [i for part in parts for i in part.instances])
    assert world.send(parts[-1:], "intake").all_success
    world.expect_both([whole])
    uid = whole.study_instance_uid

    def quiet() -> bool:
        seen = world.router.http.request("GET", f"/studies/{uid}").json()
        assert seen["instances"] == len(whole.instances), seen
        return bool(seen["complete"])

    eventually(quiet, within=world.bounds.settle, because="the router to take the study for complete")
    listed = world.cloud.search_all("studies", StudyInstanceUID=uid, includefield=COUNT)
    found = world.workstation.find(world.bridge, "STUDY", {"StudyInstanceUID": uid, COUNT: ""})
    assert found.status == 0x0000, found.describe()
    return int(listed[0]["00201208"]["Value"][0]), int(found.values(COUNT)[0])
