"""What Microsoft published works as it says: the Postman collection and the tutorials (CLAIM-INTEGRITY-09, 13)."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fixtures.traceability import needs, not_applicable, requirement
from fixtures.world import World
from suites.azure import feed
from suites.azure.data import Made, Maker
from suites.azure.feed import Mark
from suites.azure.service import VERSIONS
from suites.azure.witness.curl import Curl
from suites.azure.witness.postman import REQUESTS, Collection
from suites.azure.witness.python import Tutorial
from suites.azure.witness.sample import sample_of
from suites.azure.witness.steps import STEPS, ByCurl, ByRequests, Client, walk
from suites.demo.service import maker_in, service_of

pytestmark = pytest.mark.demo


@pytest.fixture
def make(world: World) -> Iterator[Maker]:
    """Instances of the test's own."""
    with maker_in(world) as maker:
        yield maker


@requirement("CLAIM-INTEGRITY-09")
@needs("change-feed")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_published_collection_is_answered_as_documented(world: World, make: Maker, version: str) -> None:
    """All requests of the collection, in its order, have the documented statuses; cloud and feed are as it implies.

    CLAIM-INTEGRITY-09. The requests are made here from the facts of the collection (suites/azure/witness/postman.py); base
    address and token are the deployment's.
    """
    web = service_of(world).web(version=version)
    sample = sample_of(make)
    start, before = feed.mark(web), world.all_cloud_study_uids()
    collection = Collection(web, sample, make)
    collection.play()
    assert sorted(collection.answers) == [one.number for one in REQUESTS] == list(range(1, 40))
    wrong = {
        f"{one.number} {one.name}": f"{collection.answers[one.number].status}, not {one.expected(version)}"
        for one in REQUESTS
        if collection.answers[one.number].status != one.expected(version)
    }
    assert not wrong, f"{version}: {wrong}"
    for one in REQUESTS:
        collection.assert_shown(one)
    _assert_came_and_went(world, start, sample.all, before)
    world.evidence.note(
        f"{version}: the {len(REQUESTS)} requests of Microsoft's collection were answered as documented, those included "
        f"that fail as shipped ({sum(bool(one.why) for one in REQUESTS)}); afterwards nothing of it is left."
    )


@requirement("CLAIM-INTEGRITY-13")
@needs("change-feed")
def test_each_step_of_the_curl_tutorial_works(world: World, make: Maker, tmp_path: Path) -> None:
    """The program curl takes every step of its tutorial, in order, with the stated results; nothing is left.

    CLAIM-INTEGRITY-13.
    """
    _take_all_steps(world, make, ByCurl(Curl(service_of(world), world.cloud.version, tmp_path)), "curl")


@requirement("CLAIM-INTEGRITY-13")
@needs("change-feed")
def test_each_step_of_the_python_tutorial_works(world: World, make: Maker) -> None:
    """The tutorial's Python code, by the library requests, takes every step with the stated results; nothing is left.

    CLAIM-INTEGRITY-13.
    """
    with requests.Session() as session:
        tutorial = Tutorial(service_of(world), world.cloud.version, session)
        _take_all_steps(world, make, ByRequests(tutorial), "Python")


@requirement("CLAIM-INTEGRITY-13")
def test_the_csharp_tutorial() -> None:
    """The C# tutorial needs dotnet and Microsoft's client library, a package of another registry.

    CLAIM-INTEGRITY-13: its requests are those of the other two tutorials.
    """
    found = shutil.which("dotnet")
    seen = (
        f"dotnet is {found}, the client library is no part of this project" if found else "no program dotnet"
    )
    not_applicable("the C# steps were not run: dotnet and Microsoft's client library are needed", probe=seen)


def _take_all_steps(world: World, make: Maker, client: Client, name: str) -> None:
    sample = sample_of(make)
    start, before = feed.mark(world.cloud), world.all_cloud_study_uids()
    assert sample.triangle.study not in before, "the sample was there before its first step"
    taken = walk(client, sample)
    assert taken == STEPS, f"steps left out: {[step for step in STEPS if step not in taken]}"
    _assert_came_and_went(world, start, sample.all, before)
    world.evidence.note(
        f"{name}: all {len(taken)} steps of the tutorial gave the stated result; its deletions left the cloud as before."
    )


def _assert_came_and_went(world: World, start: Mark, made: tuple[Made, ...], before: set[str]) -> None:
    """The cloud holds what it held, and the feed tells one create and one delete of each instance and nothing else."""
    after = world.all_cloud_study_uids()
    assert after == before, f"left behind {sorted(after - before)}, missing {sorted(before - after)}"
    entries = feed.since(world.cloud, start)
    told = Counter((entry["action"], entry["sopInstanceUid"]) for entry in entries)
    wanted = Counter((action, one.instance) for action in ("Create", "Delete") for one in made)
    assert told == wanted, f"the change feed tells {dict(told - wanted)}, lacks {dict(wanted - told)}"
    assert {entry["state"] for entry in entries} == {"Deleted"}, entries
