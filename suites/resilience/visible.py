"""What a service shows of an instance after a crash: by each of its resources, which have to agree."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from fixtures.clients.answers import expect
from fixtures.clients.dicomweb import DicomWeb
from fixtures.evidence.fingerprint import Fingerprint, fingerprint

_SOP_INSTANCE_UID = "00080018"


@dataclass
class Feed:
    """The change feed as far as it was read; `follow` reads on."""

    last: int = 0
    current: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def follow(self, v1: DicomWeb) -> None:
        """Read what is new and check that it continues what was read: numbers grow, nobody is created or deleted twice."""
        for entry in v1.change_feed_all(self.last):
            uid, action = entry["sopInstanceUid"], str(entry["action"]).lower()
            if entry["sequence"] <= self.last:
                self.problems.append(f"change {entry['sequence']} comes after {self.last}")
            self.last = entry["sequence"]
            if (action == "create") == (uid in self.current):
                self.problems.append(
                    f"change {self.last}: {action} of {uid} does not follow from those before"
                )
            (self.current.add if action == "create" else self.current.discard)(uid)


def retrieved(web: DicomWeb, studies: Collection[str]) -> Iterator[Fingerprint]:
    """The instances that come when the studies are retrieved; a study that is not there has none."""
    for study in studies:
        if web.metadata(study).status != 404:
            for part in web.retrieve_each(study):
                yield fingerprint(part)


def found(web: DicomWeb, studies: Collection[str]) -> set[str]:
    """The SOP Instance UIDs that a search for all instances of the studies finds."""
    return {_uid(row) for study in studies for row in web.search_pages("instances", study=study)}


def described(web: DicomWeb, studies: Collection[str]) -> set[str]:
    """The SOP Instance UIDs in the metadata of the studies."""
    documents: list[dict[str, Any]] = []
    for study in studies:
        answer = expect(f"metadata of {study}", web.metadata(study), 200, 404)
        documents += answer.json() if answer.status == 200 else []
    return {_uid(document) for document in documents}


def _uid(document: dict[str, Any]) -> str:
    return str(document[_SOP_INSTANCE_UID]["Value"][0])
