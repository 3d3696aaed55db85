"""A cloud's journal: Orthanc's change log reads like the change feed, and a cloud without one makes checks of it not applicable."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.orthanc import Orthanc
from fixtures.evidence.exchange import Recorder
from fixtures.traceability import Catalogue, Profile
from fixtures.traceability.verdicts import NotApplicable
from fixtures.world.journal import ChangeFeed, OrthancChanges, journal_of

CHECKOUT = Path(__file__).parents[2]
NOWHERE = HttpClient("http://127.0.0.1:9", recorder=Recorder())


class Archive(Orthanc):
    """An Orthanc with a change log of its own, that talks to nobody."""

    def __init__(self, log: list[tuple[str, str]], uids: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(NOWHERE)
        self._log = log
        self._uids = uids

    def last_change(self) -> int:
        return len(self._log)

    def changes(self, since: int = 0) -> list[dict[str, Any]]:
        rows = [{"Seq": n, "ChangeType": kind, "ID": one} for n, (kind, one) in enumerate(self._log, start=1)]
        return [row for row in rows if row["Seq"] > since]  # type: ignore[operator]

    def uids_of_instance(self, instance_id: str) -> tuple[str, str] | None:
        return self._uids.get(instance_id)


def profile(name: str) -> Profile:
    return Profile.load(
        name, folder=CHECKOUT / "profiles", catalogue=Catalogue.load(CHECKOUT / "requirements")
    )


def test_new_instances_after_the_mark_are_creates_and_deleted_ones_are_gone() -> None:
    log = [("NewInstance", "a"), ("NewStudy", "s"), ("NewInstance", "b"), ("NewInstance", "gone")]
    archive = Archive(log, {"a": ("1.1", "1.1.1"), "b": ("1.1", "1.1.2")})
    journal = OrthancChanges(archive)
    assert journal.mark() == 4
    entries = list(journal.since(1))
    assert [(e["action"], e["studyInstanceUid"], e["sopInstanceUid"], e["sequence"]) for e in entries] == [
        ("create", "1.1", "1.1.2", 3)
    ]


def test_the_profile_decides_which_journal_is_read() -> None:
    cloud, archive = DicomWeb(NOWHERE), Archive([], {})
    assert isinstance(journal_of(profile("reference"), cloud, None), ChangeFeed)
    assert isinstance(journal_of(profile("orthanc-cloud"), cloud, archive), OrthancChanges)
    none = journal_of(profile("orthanc-cloud"), cloud, None)
    assert none.mark() == 0
    with pytest.raises(NotApplicable, match="change-feed"):
        list(none.since(0))
