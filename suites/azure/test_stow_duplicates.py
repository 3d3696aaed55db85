"""Storing what is there already, at the same time, half-way and after a delete."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, ONE_AS_STORED, DicomWeb
from fixtures.clients.http import NoAnswer
from fixtures.clients.store_response import StoreResponse
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from suites.azure import stow
from suites.azure.conftest import SpecialService
from suites.azure.data import Made, Maker
from suites.azure.service import Service
from suites.azure.stow import DUPLICATE, PENDING, kept, outcome, stored


@requirement("STOW-062", "STOW-044")
def test_duplicate(web: DicomWeb, make: Maker) -> None:
    """Storing the same UIDs again is 409 with 45070, and the stored instance stays as it was (STOW-062, STOW-044)."""
    made = make(PatientName="First^Copy")
    again = make(like=made, SOPInstanceUID=made.instance, PatientName="Second^Copy", StudyDescription="other")
    assert stored(web, made).status == 200
    for _ in range(2):
        answer = stored(web, again)
        assert outcome(answer) == (409, [DUPLICATE], []), answer.describe()
        assert list(answer.failed) == [made.instance]
        assert "00741048" not in stow.items(answer, "00081198")[0]
    assert kept(web, made) == made.part10
    (study,) = web.search("studies", StudyInstanceUID=made.study).json()
    assert study["00100010"]["Value"] == [{"Alphabetic": "First^Copy"}], "the index is unchanged too"


@requirement("STOW-062")
def test_duplicate_across_versions(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """What v1 stored is a duplicate for v2, and the other way round (STOW-062)."""
    for one, other in ((v1, v2), (v2, v1)):
        made = make()
        assert stored(one, made).status == 200
        assert outcome(stored(other, made)) == (409, [DUPLICATE], [])


@requirement("STOW-063", "STOW-048")
def test_duplicate_inside_one_request(web: DicomWeb, make: Maker) -> None:
    """The same instance twice in a request: the first is stored, the second fails (STOW-063, STOW-048)."""
    made = make(PatientName="First^Copy")
    again = make(like=made, SOPInstanceUID=made.instance, PatientName="Second^Copy")
    answer = stored(web, made, again)
    assert outcome(answer) == (202, [DUPLICATE], []), answer.describe()
    assert answer.stored == (made.instance,)
    assert kept(web, made) == made.part10


@requirement("STOW-066")
def test_two_stores_race(web: DicomWeb, make: Maker) -> None:
    """Of simultaneous stores of one instance one succeeds, the others get 45070 or 45071 (STOW-066)."""
    for _ in range(6):
        made = make()
        versions = [make(like=made, SOPInstanceUID=made.instance, PatientName=f"Copy^{n}") for n in range(3)]
        with ThreadPoolExecutor(len(versions)) as pool:
            answers = list(pool.map(lambda one: stored(web, one), versions))
        assert sorted(answer.status for answer in answers) == [200, 409, 409]
        codes = {code for answer in answers for code in answer.failed.values()}
        assert codes <= {DUPLICATE, PENDING}, f"STOW-066: never {codes}"
        winner = next(one for one, answer in zip(versions, answers, strict=True) if answer.status == 200)
        assert kept(web, made) == winner.part10, "the one that was told 200 is the one that is kept"


@requirement("STOW-066")
def test_different_stores_do_not_disturb_each_other(web: DicomWeb, make: Maker) -> None:
    """Simultaneous stores of different instances of one series all succeed (STOW-066's twin)."""
    made = make.series(12)
    with ThreadPoolExecutor(4) as pool:
        assert {answer.status for answer in pool.map(lambda one: stored(web, one), made)} == {200}
    assert sorted(web.retrieve(made[0].study)) == sorted(one.part10 for one in made)


@requirement("STOW-126")
def test_not_visible_before_it_is_complete(service: Service, web: DicomWeb, make: Maker) -> None:
    """While the body is still on its way the instance is in no retrieval and no search (STOW-126)."""
    made = make()
    asking = service.with_token(service.tokens("owner"), web.version)
    seen: list[tuple[int, ...]] = []

    def look() -> None:
        found = asking.get(made.path(), accept=ONE_AS_STORED), asking.metadata(*made.uids)
        seen.append(
            (*(one.status for one in found), asking.search("instances", StudyInstanceUID=made.study).status)
        )

    headers = [("Accept", DICOM_JSON), ("Content-Type", "application/dicom")]
    answer = web.http.request(
        "POST", f"/{web.version}/studies", headers=headers, body=_in_two(made.part10, look)
    )
    look()
    assert answer.status == 200, answer.describe()
    assert seen == [(404, 404, 204), (200, 200, 200)]


def _in_two(content: bytes, between: Callable[[], None]) -> Iterator[bytes]:
    yield content[: len(content) // 2]
    between()
    yield content[len(content) // 2 :]


@requirement("STOW-128")
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_store_again_after_delete(web: DicomWeb, make: Maker, level: str) -> None:
    """After a delete at any level the same UIDs can be stored again, with other content (STOW-128)."""
    made = make(PatientName="First^Copy")
    again = make(like=made, SOPInstanceUID=made.instance, PatientName="Second^Copy")
    assert stored(web, made).status == 200
    assert stored(web, again).status == 409
    assert web.request("DELETE", made.path(level)).status == 204
    assert outcome(stored(web, again)) == (200, [], [])
    assert kept(web, made) == again.part10


@needs("control")
@requirement("STOW-065", "DEL-022")
def test_store_that_crashed_half_way(special_service: SpecialService, make: Maker) -> None:
    """After a crash in the middle of stores each is whole, absent, or pending until deleted (STOW-065, DEL-022)."""
    made = make.series(40)
    with special_service() as own:
        web, control = own.web(), own.deployment.control
        assert control is not None
        before = _stored_while(web, made, lambda: control.kill("cloud"))
        control.start("cloud")
        for place, one in enumerate(made):
            if one.instance in before:
                assert outcome(stored(web, one)) == (409, [DUPLICATE], [])
                assert kept(web, one) == one.part10
            elif place % 2:
                assert web.delete(*one.uids).status in (204, 404)
                assert outcome(stored(web, one)) == (200, [], []), "DEL-022: never stuck"
            else:
                assert outcome(stored(web, one)) in _AFTER_A_CRASH


_AFTER_A_CRASH: list[tuple[int, list[int | None], list[int]]] = [
    (200, [], []),
    (409, [DUPLICATE], []),
    (409, [PENDING], []),
]


def _stored_while(web: DicomWeb, made: list[Made], crash: Callable[[], None]) -> set[str]:
    """Store from four threads, crash after the first answers; return what was acknowledged."""
    acknowledged: set[str] = set()

    def store(one: Made) -> StoreResponse | None:
        try:
            answer = stored(web, one)
        except NoAnswer:
            return None
        acknowledged.update(answer.stored)
        return answer

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(store, one) for one in made]
        eventually(lambda: len(acknowledged) >= 5, within=20, because="the first stores", every=0.001)
        crash()
        for future in running:
            future.result()
    assert acknowledged
    return acknowledged
