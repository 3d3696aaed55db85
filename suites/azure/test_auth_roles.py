"""Authorization: which role may do what (AUTH-014 to AUTH-023, AUTH-030, AUTH-031, API-013)."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import callers
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS, Service

pytestmark = pytest.mark.azure


@pytest.fixture(scope="module")
def stored(v2: DicomWeb, make: Maker) -> Made:
    """One instance that is there."""
    made = make()
    assert v2.store([made.part10]).status == 200
    return made


@needs("identity-admin")
@requirement("AUTH-014")
def test_shipped_roles(service: Service, stored: Made, make: Maker) -> None:
    """The role globalReader reads and nothing else, globalAdmin does everything (AUTH-014)."""
    reader, admin = (callers.minted(service, roles=[role]) for role in ("globalReader", "globalAdmin"))
    other = make()
    reading = [*callers.retrieving(stored), *callers.searching(stored), *callers.feeding()]
    changing = [*callers.storing(other)[:1], *callers.deleting(other)[:1]]
    for call in reading:
        assert call.by(reader).status == call.by(admin).status == 200, call.name
    for call in changing:
        assert call.by(reader).status == 403, call.name
        assert call.by(admin).status in (200, 204), call.name


@needs("identity-admin")
@requirement("AUTH-013", "AUTH-015")
@pytest.mark.parametrize("roles", [["globalReader"], "globalReader", ["GLOBALREADER"], "dicom data reader"])
def test_role_names(service: Service, stored: Made, roles: str | list[str]) -> None:
    """Roles come from the claim roles, a string or an array, whatever their letter case (AUTH-013, AUTH-015)."""
    call = callers.retrieving(stored)[0]
    assert call.by(callers.minted(service, roles=roles)).status == 200
    assert call.by(callers.minted(service, roles=None)).status == 403
    assert call.by(callers.minted(service, roles=None, role=roles)).status == 403, "the claim is called roles"


@needs("identity-admin")
@requirement("AUTH-016")
@pytest.mark.parametrize(
    "roles",
    [["globalReader", "globalAdmin"], ["globalAdmin", "globalReader"], ["unknown", "globalAdmin", "unknown"]],
)
def test_roles_add_up(service: Service, make: Maker, roles: list[str]) -> None:
    """A caller may do what any of the token's roles permits, in whatever order they stand (AUTH-016)."""
    made = make()
    both, reader = callers.minted(service, roles=roles), callers.minted(service, roles=roles[:1])
    assert callers.storing(made)[0].by(both).status == 200
    for call in callers.retrieving(made):
        assert call.by(both).status == 200, call.name
    if roles[0] == "globalReader":
        assert callers.deleting(made)[2].by(reader).status == 403
    assert callers.deleting(made)[2].by(both).status == 204


@needs("identity-admin")
@requirement("AUTH-017")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("roles", [["Unknown"], [], "", ["globalReaders", "global Reader"]])
def test_unknown_roles(
    service: Service, stored: Made, make: Maker, version: str, roles: str | list[str]
) -> None:
    """Roles nobody configured give nothing: 403 on every DICOM route (AUTH-017)."""
    nobody, other = callers.minted(service, roles=roles), make()
    for call in [
        *callers.storing(other),
        *callers.retrieving(stored),
        *callers.searching(stored),
        *callers.feeding(),
        *callers.deleting(stored),
    ]:
        assert call.by(nobody, version).status == 403, call.name
    assert callers.retrieving(stored)[0].by(callers.minted(service, roles=["globalReader"])).status == 200


@requirement("AUTH-018")
@pytest.mark.parametrize("version", VERSIONS)
def test_store_needs_write(service: Service, make: Maker, version: str) -> None:
    """A reader's store answers 403 and stores nothing; a writer's is stored (AUTH-018)."""
    for number in (0, 1):
        made = make()
        call = callers.storing(made)[number]
        assert call.by(service.http("reader"), version).status == 403, call.name
        assert service.web().metadata(made.study).status == 404, "the refused store must store nothing"
        assert call.by(service.http("writer"), version).status == 200, call.name
        assert service.web().retrieve(*made.uids) == [made.part10]


@requirement("AUTH-019", "AUTH-021")
@pytest.mark.parametrize("version", VERSIONS)
def test_reading_needs_read(service: Service, stored: Made, version: str) -> None:
    """WADO, QIDO and the change feed answer a reader and refuse who may not read (AUTH-019, AUTH-021)."""
    for call in [*callers.retrieving(stored), *callers.searching(stored), *callers.feeding()]:
        refused = call.by(service.http("norole"), version)
        assert refused.status == 403, f"{call.name}: {refused.describe()}"
        assert call.by(service.http("reader"), version).status == 200, call.name


@requirement("AUTH-020")
@pytest.mark.parametrize("version", VERSIONS)
def test_delete_needs_delete(service: Service, v2: DicomWeb, make: Maker, version: str) -> None:
    """Who may read or write may not delete at any level, and the data stays; the owner may (AUTH-020)."""
    made = make()
    assert v2.store([made.part10]).status == 200
    for call in callers.deleting(made):
        for application in ("reader", "writer", "norole"):
            assert call.by(service.http(application), version).status == 403, f"{call.name} by {application}"
    assert v2.retrieve(*made.uids) == [made.part10]
    assert callers.deleting(made)[2].by(service.http("owner"), version).status == 204


@requirement("AUTH-023", "AUTH-031")
def test_forbidden_answer(service: Service, stored: Made, make: Maker) -> None:
    """A 403 is a plain sentence without challenge, patient data, stack trace or token (AUTH-023, AUTH-031)."""
    token = service.tokens("norole")()
    calls = [*callers.storing(make()), *callers.retrieving(stored), *callers.deleting(stored)]
    for call in calls:
        answer = call.by(callers.bearing(service, token))
        assert answer.status == 403, call.name
        assert answer.content_type.partition(";")[0] == "text/plain", call.name
        assert answer.body.decode() == "Authorization failed.", call.name
        assert not answer.header("WWW-Authenticate")
        assert_no_leak(answer.body + repr(answer.headers).encode(), stored, token)


@requirement("AUTH-031")
def test_unauthorized_answer_leaks_nothing(service: Service, stored: Made) -> None:
    """A 401 shows no patient data, stack trace or token, whatever is wrong with the token (AUTH-031)."""
    token = callers.with_claims(service.tokens("norole")(), roles=[callers.OWNER])
    for call in callers.retrieving(stored):
        answer = call.by(callers.bearing(service, token))
        assert answer.status == 401, call.name
        assert_no_leak(answer.body + repr(answer.headers).encode(), stored, token)


@requirement("AUTH-030")
def test_hosted_roles(service: Service, make: Maker) -> None:
    """DICOM Data Owner does everything, DICOM Data Reader reads and searches only (AUTH-030)."""
    made, owner, reader = make(), service.http("owner"), service.http("reader")
    assert callers.storing(made)[0].by(reader).status == 403
    assert callers.storing(made)[0].by(owner).status == 200
    for call in [*callers.retrieving(made), *callers.searching(made), *callers.feeding()]:
        assert call.by(reader).status == call.by(owner).status == 200, call.name
    assert callers.deleting(made)[2].by(reader).status == 403
    assert callers.deleting(made)[2].by(owner).status == 204


def assert_no_leak(shown: bytes, stored: Made, token: str) -> None:
    """Nothing of the patient, of the program or of the token is in an answer."""
    patient = stored.dataset
    secrets = [str(patient.PatientID), str(patient.PatientName), *token.split(".")]
    for text in [*secrets, "Traceback", 'File "', "   at Microsoft."]:
        assert text.encode() not in shown, f"the answer shows {text[:12]}..."
