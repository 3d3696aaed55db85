"""Deleting: UIDs in the path, headers, and what is no route."""

import json

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Maker
from suites.azure.stow import kept, stored

# WADO-036: what no UID in a path may be.
_BAD = ["abc", "1.2.3.", "1.2-3", "1" * 65]


@requirement("DEL-013", "DEL-014", "DEL-015", "DEL-023")
@pytest.mark.parametrize("bad", _BAD)
def test_bad_uids(web: DicomWeb, make: Maker, bad: str) -> None:
    """A UID that is none answers 400 at each level, also under unknown parents, and nothing goes (DEL-013 to 015, 023)."""
    made = make()
    assert stored(web, made).status == 200
    unknown = make.uid()
    paths = [
        f"/studies/{bad}",
        f"/studies/{made.study}/series/{bad}",
        f"/studies/{unknown}/series/{bad}",
        f"/studies/{bad}/series/{made.series}",
        f"/studies/{made.study}/series/{made.series}/instances/{bad}",
        f"/studies/{unknown}/series/{unknown}/instances/{bad}",
        f"/studies/{bad}/series/{made.series}/instances/{made.instance}",
        f"/studies/{made.study}/series/{bad}/instances/{made.instance}",
    ]
    seen = {path: web.request("DELETE", path).status for path in paths}
    assert seen == dict.fromkeys(paths, 400)
    assert kept(web, made) == made.part10
    assert web.delete(*made.uids).status == 204, "the good UIDs delete it"


@requirement("DEL-016")
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Accept", "image/png")],
        [("Accept", "nonsense"), ("Content-Type", "text/plain")],
        [("Content-Type", "no/such-type; x=")],
    ],
)
def test_headers_and_body_do_not_matter(web: DicomWeb, make: Maker, headers: list[tuple[str, str]]) -> None:
    """Accept, Content-Type and a body are ignored (DEL-016)."""
    made = make()
    assert stored(web, made).status == 200
    body = json.dumps({"keep": True}).encode() if headers else b""
    answer = web.request("DELETE", made.path(), headers=headers, body=body)
    assert answer.status == 204, answer.describe()
    assert kept(web, made) is None


@requirement("DEL-017")
def test_collections_are_no_routes(web: DicomWeb, make: Maker) -> None:
    """DELETE of all studies, all series or all instances answers 405 and deletes nothing (DEL-017)."""
    made = make()
    assert stored(web, made).status == 200
    for path in ("/studies", made.path("study") + "/series", made.path("series") + "/instances"):
        answer = web.request("DELETE", path)
        assert answer.status == 405, f"{path}: {answer.describe()}"
    assert kept(web, made) == made.part10


@requirement("DEL-023")
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_trailing_spaces_in_the_path(web: DicomWeb, make: Maker, level: str) -> None:
    """A UID in the path matches with trailing percent-encoded spaces, stored with or without them (DEL-023)."""
    plain = make()
    tag, uid = {
        "study": (0x0020000D, make.uid()),
        "series": (0x0020000E, make.uid()),
        "instance": (0x00080018, make.uid()),
    }[level]
    padded = make(raw={tag: ("UI", (uid + " " * (2 - len(uid) % 2)).encode())})
    assert stored(web, plain, padded).status == 200
    for made, path in ((plain, plain.path(level) + "%20"), (padded, padded.path(level))):
        answer = web.request("DELETE", path)
        assert answer.status == 204, answer.describe()
        assert kept(web, made) is None
