"""Microsoft's Postman conformance collection, request by request, in its order."""

import pytest

from fixtures.traceability import requirement
from suites.azure.data import Maker
from suites.azure.service import VERSIONS, Service
from suites.azure.witness.postman import REQUESTS, Collection, Sent
from suites.azure.witness.sample import sample_of

pytestmark = pytest.mark.azure


@pytest.fixture(scope="module", params=VERSIONS)
def played(request: pytest.FixtureRequest, service: Service, make: Maker) -> Collection:
    """The whole collection, played at each API version in turn; it is made for v1."""
    collection = Collection(service.web(version=request.param), sample_of(make), make)
    collection.play()
    return collection


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(one, id=f"{one.number:02} {one.name}", marks=requirement(one.record, "UPD-002"))
        if one.v1
        else pytest.param(one, id=f"{one.number:02} {one.name}", marks=requirement(one.record))
        for one in REQUESTS
    ],
)
def test_request(played: Collection, sent: Sent) -> None:
    """Each request of the collection is answered as the catalogue says, also those that fail as shipped."""
    answer = played.answers[sent.number]
    assert answer.status == sent.expected(played.web.version), f"{sent.why} {answer.describe()}"
    played.assert_shown(sent)
