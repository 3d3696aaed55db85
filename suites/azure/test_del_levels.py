"""Deleting studies, series and instances: what goes and what stays."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from fixtures.waiting import eventually
from suites.azure.data import Made, Maker
from suites.azure.service import Service
from suites.azure.stow import kept, stored


def _found(web: DicomWeb, level: str, made: Made) -> bool:
    """Whether a search restricted to the study, series and instance finds it."""
    filters = {"StudyInstanceUID": made.study}
    if level != "studies":
        filters["SeriesInstanceUID"] = made.series
    if level == "instances":
        filters["SOPInstanceUID"] = made.instance
    answer = web.search(level, **filters)
    assert answer.status in (200, 204), answer.describe()
    return answer.status == 200


def _is_there(web: DicomWeb, made: Made) -> tuple[bool, bool, bool]:
    """Whether an instance is in WADO, metadata and QIDO."""
    return (
        kept(web, made) == made.part10,
        web.metadata(*made.uids).status == 200,
        _found(web, "instances", made),
    )


THERE, GONE = (True, True, True), (False, False, False)


@requirement("DEL-001", "DEL-004", "DEL-020")
def test_delete_a_study(web: DicomWeb, make: Maker) -> None:
    """A study is deleted at all levels at once with 204 and no body; others stay (DEL-001, DEL-004, DEL-020)."""
    first, other = make(), make()
    second_series = make(like=first, SeriesInstanceUID=make.uid())
    assert stored(web, first, second_series, other).status == 200
    answer = web.delete(first.study)
    assert (answer.status, answer.body) == (204, b""), answer.describe()
    for made in (first, second_series):
        assert _is_there(web, made) == GONE
        assert web.metadata(made.study, made.series).status == 404
        assert not _found(web, "series", made)
    assert web.metadata(first.study).status == 404
    assert not _found(web, "studies", first)
    assert _is_there(web, other) == THERE


@requirement("DEL-002", "DEL-005", "DEL-006", "DEL-020")
def test_delete_a_series(web: DicomWeb, make: Maker) -> None:
    """A series goes with all its instances; the other series and the study stay (DEL-002, 005, 006, 020)."""
    gone = make.series(3)
    stays = make(like=gone[0], SeriesInstanceUID=make.uid())
    assert stored(web, *gone, stays).status == 200
    answer = web.delete(gone[0].study, gone[0].series)
    assert (answer.status, answer.body) == (204, b""), answer.describe()
    assert [_is_there(web, made) for made in gone] == [GONE] * 3
    assert not _found(web, "series", gone[0])
    assert _is_there(web, stays) == THERE
    assert _found(web, "studies", stays)
    assert web.retrieve(stays.study) == [stays.part10]


@requirement("DEL-003", "DEL-007", "DEL-020")
def test_delete_an_instance(web: DicomWeb, make: Maker) -> None:
    """An instance goes alone; its neighbour and the series stay (DEL-003, DEL-007, DEL-020)."""
    gone, stays = make.series(2)
    assert stored(web, gone, stays).status == 200
    answer = web.delete(*gone.uids)
    assert (answer.status, answer.body) == (204, b""), answer.describe()
    assert (_is_there(web, gone), _is_there(web, stays)) == (GONE, THERE)
    assert _found(web, "series", stays)
    assert web.retrieve(stays.study, stays.series) == [stays.part10]


@requirement("DEL-008", "DEL-009")
def test_last_instance_takes_series_and_study(web: DicomWeb, make: Maker) -> None:
    """The last instance takes its series with it, and the last series the study (DEL-008, DEL-009)."""
    first = make()
    second = make(like=first, SeriesInstanceUID=make.uid())
    assert stored(web, first, second).status == 200
    assert web.delete(*first.uids).status == 204
    assert not _found(web, "series", first), "DEL-008"
    assert web.metadata(first.study, first.series).status == 404
    assert _found(web, "studies", second)
    assert _is_there(web, second) == THERE
    assert web.delete(*second.uids).status == 204
    assert not _found(web, "studies", second), "DEL-009"
    assert not _found(web, "series", second)
    assert web.metadata(second.study).status == 404


@requirement("DEL-009")
def test_only_series_takes_the_study(web: DicomWeb, make: Maker) -> None:
    """Deleting the only series of a study removes the study (DEL-009)."""
    made = make()
    assert stored(web, made).status == 200
    assert _found(web, "studies", made)
    assert web.delete(made.study, made.series).status == 204
    assert not _found(web, "studies", made)
    assert web.metadata(made.study).status == 404
    assert _is_there(web, made) == GONE


@requirement("DEL-010", "DEL-012")
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_second_deletion(web: DicomWeb, make: Maker, level: str) -> None:
    """Deleting the same again answers 404, and the text names the level (DEL-010, DEL-012)."""
    made = make()
    assert stored(web, made).status == 200
    assert web.request("DELETE", made.path(level)).status == 204
    again = web.request("DELETE", made.path(level))
    assert again.status == 404, again.describe()
    assert level in again.body.decode().lower(), "DEL-012"


@requirement("DEL-011", "DEL-012")
def test_unknown_resources(web: DicomWeb, make: Maker) -> None:
    """What was never stored, or lies elsewhere, answers 404 and nothing goes (DEL-011, DEL-012)."""
    first, second = make(), make()
    assert stored(web, first, second).status == 200
    wrong: list[tuple[tuple[str, ...], str]] = [
        ((make.uid(),), "study"),
        ((first.study, make.uid()), "series"),
        ((first.study, first.series, make.uid()), "instance"),
        ((first.study, second.series), "series"),
        ((first.study, second.series, second.instance), "instance"),
        ((first.study, first.series, second.instance), "instance"),
    ]
    for uids, level in wrong:
        answer = web.delete(*uids)
        assert answer.status == 404, f"{level}: {answer.describe()}"
        assert level in answer.body.decode().lower(), f"DEL-012: {answer.describe()}"
    assert (_is_there(web, first), _is_there(web, second)) == (THERE, THERE)


@requirement("DEL-019")
def test_change_feed_has_each_deleted_instance(service: Service, make: Maker) -> None:
    """Each deleted instance adds one delete entry, also when it went with its series or study (DEL-019)."""
    web = service.web(version="v1")
    latest = web.change_feed_latest()
    since = int(latest.json()["sequence"]) if latest.body and latest.status == 200 else 0
    alone, *series = make.series(3)
    study = make()
    failed = make(PatientID=None)
    assert stored(web, alone, *series, study, failed).status == 202
    for uids in ((alone.uids), (alone.study, alone.series), (study.study,)):
        assert web.delete(*uids).status == 204
    assert web.delete(failed.study).status == 404
    wanted = sorted(made.instance for made in (alone, *series, study))

    def deleted() -> list[str]:
        own = {alone.study, study.study, failed.study}
        entries = [entry for entry in web.change_feed_all(since) if entry["studyInstanceUid"] in own]
        gone = sorted(entry["sopInstanceUid"] for entry in entries if entry["action"].lower() == "delete")
        return gone if len(gone) >= len(wanted) else []

    assert (
        eventually(deleted, within=service.settle, because="the delete entries of the change feed") == wanted
    )
