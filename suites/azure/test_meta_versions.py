"""Metadata after a bulk update: the values now and those first stored (META-026 to META-028)."""

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.data import Made, Maker
from suites.azure.updates import update

pytestmark = pytest.mark.azure

ORIGINAL = ("msdicom-request-original", "true")
LEVELS = ("study", "series", "instance")


@pytest.fixture(scope="module")
def updated(v2: DicomWeb, make: Maker) -> tuple[list[Made], dict[str, str]]:
    """A series of two whose patient's name was changed after it was stored, and its ETags from before."""
    made = make.series(2, PatientName="Old^Name")
    assert v2.store([one.part10 for one in made]).status == 200
    before = {level: ask(v2, made[0], level).header("ETag") for level in LEVELS}
    update(v2, made[0].study, PatientName="New^Name")
    return made, before


def ask(web: DicomWeb, made: Made, level: str, *more: tuple[str, str]) -> Response:
    """The metadata of a resource with further headers."""
    return web.request("GET", made.path(level) + "/metadata", headers=[("Accept", DICOM_JSON), *more])


def names(answer: Response) -> set[str]:
    """The patient's names in an answer."""
    assert answer.status == 200, answer.describe()
    return {item["00100010"]["Value"][0]["Alphabetic"] for item in answer.json()}


@requirement("META-026")
@pytest.mark.parametrize("level", LEVELS)
def test_etag_changes(v2: DicomWeb, updated: tuple[list[Made], dict[str, str]], level: str) -> None:
    """The ETag from before the update no longer matches (META-026)."""
    (first, _), before = updated
    answer = ask(v2, first, level, ("If-None-Match", before[level]))
    assert names(answer) == {"New^Name"}
    current = answer.header("ETag")
    assert current != before[level]
    assert ask(v2, first, level, ("If-None-Match", current)).status == 304


@requirement("META-027")
@pytest.mark.parametrize("level", LEVELS)
def test_original(web: DicomWeb, updated: tuple[list[Made], dict[str, str]], level: str) -> None:
    """With msdicom-request-original: true the values are those first stored, else those now (META-027)."""
    (first, second), _ = updated
    assert names(ask(web, first, level, ORIGINAL)) == {"Old^Name"}
    assert (
        names(ask(web, first, level)) == names(ask(web, first, level, (ORIGINAL[0], "false"))) == {"New^Name"}
    )
    uids = [item["00080018"]["Value"][0] for item in ask(web, first, level, ORIGINAL).json()]
    assert sorted(uids) == sorted(
        [first.instance] if level == "instance" else [first.instance, second.instance]
    )


@needs("open-source")
@requirement("META-028")
@pytest.mark.parametrize("level", LEVELS)
def test_one_etag_for_both(web: DicomWeb, updated: tuple[list[Made], dict[str, str]], level: str) -> None:
    """The ETag is the same for what was first stored and what is now (META-028)."""
    (first, _), _ = updated
    latest, original = ask(web, first, level), ask(web, first, level, ORIGINAL)
    assert latest.header("ETag") == original.header("ETag") != ""
    assert latest.body != original.body
    for headers in ([], [ORIGINAL]):
        answer = ask(web, first, level, ("If-None-Match", latest.header("ETag")), *headers)
        assert answer.status == 304
