"""People who have signed in, and the viewer's requests as OHIF makes them, seen at the link."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fixtures.clients.answers import UnexpectedStatus, expect
from fixtures.clients.dicomweb import DicomWeb, parts
from fixtures.clients.http import HttpClient
from fixtures.clients.sign_in import PersonsSignIn
from fixtures.data import Study
from fixtures.deployment.endpoints import SignIn
from fixtures.traceability import not_applicable
from fixtures.world import World

STUDY_UID = "0020000D"


@dataclass(frozen=True)
class SignedIn:
    """A person's token and the registration it was got through."""

    token: str
    client_id: str

    @property
    def claims(self) -> dict[str, Any]:
        """What the token says."""
        return claims_of(self.token)


def claims_of(token: str) -> dict[str, Any]:
    """The payload of a token, unverified."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def sign_in_of(world: World) -> SignIn:
    """How people sign in; not applicable where the deployment has nobody who could."""
    found = world.deployment.identity.sign_in
    if found is None:
        not_applicable(
            "nobody can sign in here without a browser", probe="the profile names no people of its own"
        )
    return found


def signed_in(world: World, person: str, way: str = "code") -> SignedIn:
    """Sign in the `reader` or the `writer` by `code` or by `device`."""
    at = sign_in_of(world)
    identity, audience = world.deployment.identity, world.deployment.cloud.audience
    ways = PersonsSignIn(world.identity_http, identity, at, audience=audience)
    try:
        answer = (ways.by_code if way == "code" else ways.by_device)(at.people[person])
        token = str(expect("the token endpoint", answer, 200).json()["access_token"])
    except UnexpectedStatus as refused:
        message = f"the {person} cannot sign in by {way}: {refused}"
        raise AssertionError(message) from None
    return SignedIn(token, at.client_id)


@dataclass(frozen=True)
class ViewerRequests:
    """The requests of a viewer, which pass the link so that it is on record whose token they carry."""

    web: DicomWeb

    def lists(self, wanted: set[str]) -> bool:
        """Whether the list, page by page, has all of these studies."""
        found: set[str] = set()
        while True:
            query = f"limit=101&offset={len(found)}&fuzzymatching=false&includefield=00081030,00080060"
            answer = self.web.get("/studies", accept="application/dicom+json", query=query)
            assert answer.status in (200, 204), f"the viewer's list: {answer.describe()}"
            page = answer.json() if answer.status == 200 else []
            if not page:
                return wanted <= found
            found |= {str(row[STUDY_UID]["Value"][0]) for row in page}

    def opens(self, studies: Sequence[Study]) -> None:
        """Read the metadata and the first frame of each study; the frame must be as it was sent."""
        for study in studies:
            answer = self.web.metadata(study.study_instance_uid)
            assert answer.status == 200, f"metadata: {answer.describe()}"
            first = study.instances[0]
            own = first.fingerprint
            frame = self.web.frames(
                own.study_instance_uid, own.series_instance_uid, own.sop_instance_uid, "1"
            )
            assert frame.status == 200, f"frame: {frame.describe()}"
            (part,) = parts(frame)
            assert part.body == first.dataset().PixelData, f"{own.sop_instance_uid} has other pixels"

    def store_status(self, study: Study) -> int:
        """What a store is answered."""
        return self.web.store(study.instances).status


def viewer_through_link(world: World, token: str) -> ViewerRequests:
    """A viewer with this token."""
    return ViewerRequests(
        DicomWeb(link_http(world).with_token(lambda: token), world.deployment.cloud.version)
    )


def link_http(world: World, *, user_agent: str | None = "imaging-cloud-conformance") -> HttpClient:
    """The DICOM service through the link."""
    entry = world.link_endpoint.routes["cloud"]
    return world.http(
        f"https://{entry}", ca_file=world.deployment.cloud.ca_file, timeout=30.0, user_agent=user_agent
    )
