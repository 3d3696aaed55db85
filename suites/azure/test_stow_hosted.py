"""Storing: what only the hosted service offers, and what the open-source server makes of it."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from suites.azure import stow
from suites.azure.data import Maker
from suites.azure.service import Service
from suites.azure.stow import RELATED, body, dicom_part, kept, outcome, post, stored

_EXPIRY = [
    ("msdicom-expiry-time-milliseconds", "2000"),
    ("msdicom-expiry-option", "RelativeToNow"),
    ("msdicom-expiry-level", "Study"),
]


@needs("hosted")
@requirement("STOW-100")
def test_put_replaces(v2: DicomWeb, make: Maker) -> None:
    """PUT replaces what is there and adds what is new, single-part and multipart (STOW-100)."""
    old = make(PatientName="First^Copy")
    new = make(like=old, SOPInstanceUID=old.instance, PatientName="Second^Copy")
    added = make(like=old)
    assert stored(v2, old).status == 200
    assert stored(v2, new).status == 409, "POST never replaces"
    answer = stow.as_store(
        post(v2, body([dicom_part(new.part10), dicom_part(added.part10)]), RELATED, method="PUT")
    )
    assert (answer.status, set(answer.stored)) == (200, {old.instance, added.instance}), answer.describe()
    assert (kept(v2, old), kept(v2, added)) == (new.part10, added.part10)
    back = stow.as_store(post(v2, old.part10, study=old.study, method="PUT"))
    assert outcome(back) == (200, [], []), back.describe()
    assert kept(v2, old) == old.part10


@needs("hosted")
@requirement("STOW-101")
def test_expiry(service: Service, v2: DicomWeb, make: Maker) -> None:
    """A study with an expiry is deleted; a later store without the headers cancels it (STOW-101)."""
    gone, stays = make(), make()
    for made in (gone, stays):
        assert post(v2, made.part10, headers=_EXPIRY).status == 200
    assert stored(v2, make(like=stays)).status == 200
    eventually(lambda: kept(v2, gone) is None, within=service.settle, because="the study to expire")
    assert kept(v2, stays) == stays.part10


@needs("open-source")
@requirement("STOW-101")
@pytest.mark.parametrize("value", ["1", "0", "nonsense"])
def test_expiry_headers_are_ignored(v2: DicomWeb, make: Maker, value: str) -> None:
    """The open-source server ignores the expiry headers, good ones and bad ones (STOW-101)."""
    made = make()
    headers = [("msdicom-expiry-time-milliseconds", value), *_EXPIRY[1:]]
    answer = stow.as_store(post(v2, made.part10, headers=headers))
    assert outcome(answer) == (200, [], []), answer.describe()
    assert stored(v2, make(like=made)).status == 200
    assert kept(v2, made) == made.part10
