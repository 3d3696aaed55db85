"""Searching: Accept, and which of several faults decides the answer."""

from collections.abc import Iterable

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.searching import TOP, ask, keep, nested, refused
from suites.azure.service import Service


@pytest.fixture(scope="module")
def one(v2: DicomWeb, make: Maker) -> Made:
    """One stored instance."""
    made = make()
    keep(v2, made)
    return made


def _paths(made: Made) -> Iterable[tuple[str, str]]:
    own = f"PatientID={made.dataset.PatientID}"
    return [*((path, own) for path in TOP), *((path, "") for path in nested(made))]


def _not_acceptable(answer: Response) -> None:
    assert (answer.status, answer.body) == (406, b""), answer.describe()


@requirement("QIDO-011")
def test_missing_accept(web: DicomWeb, one: Made) -> None:
    """A search without Accept answers 406 with an empty body (QIDO-011)."""
    for path, query in _paths(one):
        _not_acceptable(ask(web, path, query, accept=None))
        assert ask(web, path, query).status == 200


@requirement("QIDO-012")
@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+json",
        "APPLICATION/DICOM+JSON",
        "application/dicom+json; charset=utf-8",
        'application/dicom+json;q="0.5"',
        "application/json",
        "application/*",
        "*/*",
        "text/html, application/dicom+json",
        "image/png;q=1.0, */*;q=0.1",
    ],
)
def test_accepts_that_are_taken(web: DicomWeb, one: Made, accept: str) -> None:
    """Accept values that cover DICOM JSON are answered as application/dicom+json (QIDO-012)."""
    for path, query in _paths(one):
        answer = ask(web, path, query, accept=accept)
        assert answer.status == 200, f"{path}: {answer.describe()}"
        assert answer.content_type.split(";")[0].strip().lower() == DICOM_JSON
        assert answer.json(), f"{path}: nothing was found"


@requirement("QIDO-013")
@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom",
        "image/png",
        "application/dicom+json+x",
        "text/html, image/png",
        "application/dicom+json, not-a-type",
        "nonsense",
    ],
)
def test_accepts_that_are_refused(web: DicomWeb, one: Made, accept: str) -> None:
    """Accept naming only other types, or with an element that cannot be parsed, answers an empty 406 (QIDO-013)."""
    for path, query in _paths(one):
        _not_acceptable(ask(web, path, query, accept=accept))
        assert ask(web, path, query).status == 200


_LATER = (
    "foo=1",
    "PatientID=a&PatientID=b",
    "TimezoneOffsetFromUTC=1",
    "StudyDate=x",
    "PatientID=",
    "includefield=foo",
)


@requirement("QIDO-013", "QIDO-123")
def test_accept_and_the_faults_around_it(web: DicomWeb) -> None:
    """Bad limit, offset and fuzzymatching win over the 406, all other faults lose to it (QIDO-013, QIDO-123)."""
    for query in ("limit=0", "offset=-1", "fuzzymatching=1"):
        refused(ask(web, "/studies", query, accept="image/png"), query.partition("=")[0])
    for query in _LATER:
        refused(ask(web, "/studies", query))
        _not_acceptable(ask(web, "/studies", query, accept="image/png"))
    refused(ask(web, "/studies/abc/series"))
    _not_acceptable(ask(web, "/studies/abc/series", accept="image/png"))


@requirement("QIDO-123")
def test_order_of_token_parameters_and_roles(service: Service, one: Made) -> None:
    """< in the query, token, control parameters, Accept, same spelling, role, then the rest (QIDO-123)."""
    for version in ("v1", "v2"):
        nobody = service.web("anonymous", version)
        norole = service.web("norole", version)
        own = f"PatientID={one.dataset.PatientID}"
        assert ask(service.web("reader", version), "/studies", own).status == 200
        assert ask(nobody, "/studies", own).status == 401
        assert ask(norole, "/studies", own).status == 403
        refused(ask(nobody, "/studies", "PatientID=%3Cx"))
        assert ask(nobody, "/studies", "limit=0").status == 401, "the token is checked before limit"
        refused(ask(norole, "/studies", "limit=0"), "limit")
        _not_acceptable(ask(norole, "/studies", own, accept="image/png"))
        refused(ask(norole, "/studies", "PatientID=a&PatientID=b"), "duplicate")
        for path, query in (
            ("/studies", "foo=1"),
            ("/studies", "PatientID=a&00100020=b"),
            ("/studies", "includefield=foo"),
            ("/studies/abc/series", ""),
        ):
            assert ask(norole, path, query).status == 403, f"the role is checked before {path}?{query}"


@requirement("QIDO-123")
def test_order_of_the_faults_of_filters(web: DicomWeb) -> None:
    """Bad UID in the path, then filters in query order, their faults in turn, then includefield (QIDO-123)."""
    answer = ask(web, "/studies/abc/series", "foo=1")
    refused(answer)
    assert "foo" not in answer.body.decode().lower(), "the path is checked before the filters"
    refused(ask(web, "/studies", "StudyDate=x&foo=1"), "specified date value 'x' is invalid")
    refused(ask(web, "/studies", "foo=1&StudyDate=x"), "unknown query parameter")
    refused(ask(web, "/studies", "Modality="), "not queryable")
    refused(
        ask(web, "/studies", "StudyDate=20200101&00080020=x"),
        "specified date value 'x' is invalid",
    )
    refused(ask(web, "/studies", "StudyDate=20200101&00080020="), "empty string value is not supported")
    refused(ask(web, "/studies", "includefield=bar&foo=1"), "unknown query parameter")
    refused(ask(web, "/studies", "includefield=bar&PatientID=1"), "includefield", "bar")


@requirement("QIDO-123")
def test_angle_bracket_in_the_query(web: DicomWeb, one: Made) -> None:
    """'<' in the query string, raw or escaped, answers 400 whatever else is asked (QIDO-123)."""
    own = f"PatientID={one.dataset.PatientID}"
    for query in (f"{own}&PatientName=%3cb", f"{own}&PatientName=%3Cb", f"{own}&PatientName=<b"):
        refused(ask(web, "/studies", query))
    assert ask(web, "/studies", f"{own}&PatientName=%3Eb").status == 204, "'>' is an ordinary character"
