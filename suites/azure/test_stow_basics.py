"""Storing: what is accepted comes back."""

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker


@requirement("STOW-001")
def test_stored_comes_back(web: DicomWeb, make: Maker) -> None:
    """A stored instance is retrieved byte for byte (STOW-001)."""
    made = make()
    answer = web.store([made.part10])
    assert (answer.status, answer.stored) == (200, (made.instance,)), answer.describe()
    assert web.retrieve(*made.uids) == [made.part10]
