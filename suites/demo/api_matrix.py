"""The calls of the DICOM service that read or change data, the tokens it must refuse, and what each role may do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json import dumps as json_text

from fixtures.clients import multipart
from fixtures.data import Study
from fixtures.world import World

Headers = Sequence[tuple[str, str]]

# What an allowed call may answer in the matrix: success, "nothing there" and refusals of the argument that come after the
# role check. 401 and 403 are never among them.
ACCEPTED = frozenset({200, 201, 202, 204, 400, 404, 409})

JSON: Headers = (("Accept", "application/dicom+json"),)

PERMISSIONS: Mapping[str, frozenset[str]] = {
    "norole": frozenset(),
    "reader": frozenset({"read"}),
    "writer": frozenset({"read", "write"}),
    "owner": frozenset({"read", "write", "delete", "manageExtendedQueryTags", "export"}),
}


@dataclass(frozen=True)
class Call:
    """One request of the matrix and the data action it needs (AUTH-018 to AUTH-022)."""

    name: str
    method: str
    path: str
    action: str
    headers: Headers = ()
    body: bytes = b""
    """What is sent where the call is allowed: it changes nothing that outlives the test."""
    sound: bytes = b""
    """What is sent where the call must be refused, if `body` would be refused for its content: only the role is wrong."""

    def body_for(self, application: str) -> bytes:
        """The body to send as this application."""
        return self.body if data_action_allowed(application, self) else self.sound or self.body


def data_action_allowed(application: str, call: Call) -> bool:
    """Whether the role of this application may do what the call does."""
    return call.action in PERMISSIONS[application]


def calls(world: World, study: Study, store: Study | None = None) -> list[Call]:
    """Every call of CLAIM-AUTH-02, aimed at `study`; `store` is what the store call sends. Deletes come last."""
    return [
        *_store_calls(world, store or study),
        *_read_calls(world, study),
        *_management_calls(world, study),
        *_delete_calls(world, study),
    ]


def _store_calls(world: World, study: Study) -> list[Call]:
    content_type, body = multipart.encode([i.part10 for i in study.instances])
    headers = (("Content-Type", content_type), ("Accept", "application/dicom+json"))
    path = _below(world)
    return [
        Call("store", "POST", path("/studies"), "write", headers, body),
        Call(
            "store into study", "POST", path(f"/studies/{study.study_instance_uid}"), "write", headers, body
        ),
    ]


def _read_calls(world: World, study: Study) -> list[Call]:
    path = _below(world)
    uids = study.instances[0].fingerprint
    at_study = f"/studies/{uids.study_instance_uid}"
    at_series = f"{at_study}/series/{uids.series_instance_uid}"
    at_instance = f"{at_series}/instances/{uids.sop_instance_uid}"
    json = JSON
    objects = (("Accept", 'multipart/related; type="application/dicom"; transfer-syntax=*'),)
    frames = (("Accept", 'multipart/related; type="application/octet-stream"; transfer-syntax=*'),)
    return [
        *(
            Call(f"search {resource}", "GET", path(f"/{resource}"), "read", json)
            for resource in ("studies", "series", "instances")
        ),
        Call("search series of study", "GET", path(f"{at_study}/series"), "read", json),
        Call("search instances of study", "GET", path(f"{at_study}/instances"), "read", json),
        Call("search instances of series", "GET", path(f"{at_series}/instances"), "read", json),
        Call("retrieve study", "GET", path(at_study), "read", objects),
        Call("retrieve series", "GET", path(at_series), "read", objects),
        Call("retrieve instance", "GET", path(at_instance), "read", objects),
        Call("metadata", "GET", path(f"{at_study}/metadata"), "read", json),
        Call("metadata of series", "GET", path(f"{at_series}/metadata"), "read", json),
        Call("metadata of instance", "GET", path(f"{at_instance}/metadata"), "read", json),
        Call("frames", "GET", path(f"{at_instance}/frames/1"), "read", frames),
        Call(
            "rendered instance", "GET", path(f"{at_instance}/rendered"), "read", (("Accept", "image/jpeg"),)
        ),
        Call(
            "rendered frame",
            "GET",
            path(f"{at_instance}/frames/1/rendered"),
            "read",
            (("Accept", "image/jpeg"),),
        ),
        Call("change feed", "GET", path("/changefeed"), "read"),
        Call("latest change", "GET", path("/changefeed/latest"), "read"),
    ]


def _management_calls(world: World, study: Study) -> list[Call]:
    path = _below(world)
    json = (("Content-Type", "application/json"), ("Accept", "application/json"))
    change = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Changed"}]}}
    update = json_text({"studyInstanceUids": [study.study_instance_uid], "changeDataset": change}).encode()
    return [
        Call("list extended query tags", "GET", path("/extendedquerytags"), "read"),
        Call(
            "add extended query tag",
            "POST",
            path("/extendedquerytags"),
            "manageExtendedQueryTags",
            json,
            b"[]",
            b'[{"path": "00101002", "vr": "SQ", "level": "study"}]',
        ),
        Call(
            "delete extended query tag",
            "DELETE",
            path("/extendedquerytags/77991001"),
            "manageExtendedQueryTags",
        ),
        Call("operation", "GET", path("/operations/00000000000000000000000000000001"), "read"),
        Call("search workitems", "GET", path("/workitems"), "read", (("Accept", "application/dicom+json"),)),
        Call("bulk update", "POST", path("/studies/$bulkUpdate"), "write", json, b"{}", update),
    ]


def _delete_calls(world: World, study: Study) -> list[Call]:
    path = _below(world)
    uids = study.instances[0].fingerprint
    at_study = f"/studies/{uids.study_instance_uid}"
    at_series = f"{at_study}/series/{uids.series_instance_uid}"
    return [
        Call("delete instance", "DELETE", path(f"{at_series}/instances/{uids.sop_instance_uid}"), "delete"),
        Call("delete series", "DELETE", path(at_series), "delete"),
        Call("delete study", "DELETE", path(at_study), "delete"),
    ]


def forged_tokens(world: World) -> dict[str, Headers]:
    """The Authorization headers of CLAIM-AUTH-02 that must be refused, by kind."""
    good = world.fresh_token("owner")
    head, payload, signature = good.split(".")
    mint = world.mint
    tokens = {
        "a malformed token": "not-a-token",
        "a token expired by 10 min": mint(expires_in=-600),
        "a token valid only in 10 min": mint(not_before=600, expires_in=4200),
        "a token signed with a foreign key": mint(sign_with="foreign"),
        "a token for another audience": mint(aud="https://other.example"),
        "a token of another issuer": mint(iss="https://issuer.example/"),
        "a token with changed payload": f"{head}.{_changed(payload)}.{signature}",
        "an unsigned token": mint(sign_with="none"),
    }
    return {
        "no token": (),
        "another scheme": (("Authorization", "Basic c3R1ZGVudDpzdHVkZW50"),),
        **{kind: (("Authorization", f"Bearer {token}"),) for kind, token in tokens.items()},
    }


def _changed(payload: str) -> str:
    swapped = "A" if payload[8] != "A" else "B"
    return payload[:8] + swapped + payload[9:]


def offered_by(world: World, call: Call) -> bool:
    """Whether the service routes this call at all: what routing decides (404, 405, 415) comes before the token (AUTH-027)."""
    answer = world.anonymous.request(call.method, call.path, headers=call.headers, body=call.body)
    return answer.status not in (404, 405, 415)


def answered_to_nobody(world: World, call: Call) -> bool:
    """Whether the call succeeds without a token."""
    answer = world.anonymous.request(call.method, call.path, headers=call.headers, body=call.body)
    return answer.status < 400


def studies_path(world: World) -> str:
    """The path of the search for studies."""
    return _below(world)("/studies")


def _below(world: World) -> Callable[[str], str]:
    version = world.deployment.cloud.version
    return lambda path: f"/{version}{path}"
