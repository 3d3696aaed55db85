"""ROUTER-043, row by row."""

import orjson
import pytest

from systems.router.cloud.http import Answer
from systems.router.cloud.stow_table import Kind, classify
from tests.router.fakes import stow_body

UID = "1.2.3"


def failed(reason: int) -> bytes:
    return stow_body(failed={UID: reason})


ROWS = [
    (200, stow_body([UID]), Kind.STORED, 0x0000),
    (202, stow_body([UID], warning=45063), Kind.STORED, 0x0000),
    (202, stow_body([UID], warning=1), Kind.STORED_WITH_WARNING, 0xB007),
    (200, stow_body([UID], warning=45056), Kind.STORED_WITH_WARNING, 0xB000),
    (200, stow_body(["9.9"]), Kind.UNKNOWN, 0xA700),
    (200, b"<html>", Kind.UNKNOWN, 0xA700),
    (200, b"", Kind.UNKNOWN, 0xA700),
    (202, b"[]", Kind.UNKNOWN, 0xA700),
    (204, b"", Kind.NOTHING_STORED, 0xC000),
    *[(status, b"", Kind.DEFECT, 0xC000) for status in (400, 406, 413, 415)],
    (401, b"", Kind.UNAUTHORISED, 0x0124),
    (403, b"", Kind.UNAUTHORISED, 0x0124),
    *[(status, b"", Kind.TRANSIENT, 0xA700) for status in (408, 424, 429, 500, 502, 503, 504)],
    *[
        (status, failed(reason), kind, code)
        for status in (202, 409)
        for reason, kind, code in (
            (45070, Kind.ALREADY_THERE, 0xA700),
            (45071, Kind.IN_PROGRESS, 0xA700),
            (43264, Kind.REJECTED, 0xA900),
            (43265, Kind.REJECTED, 0xA900),
            (272, Kind.PROCESSING_FAILURE, 0xA700),
        )
    ],
    (409, b"", Kind.REFUSED, 0xC000),
    (409, b"not json", Kind.REFUSED, 0xC000),
    (409, stow_body([UID]), Kind.REFUSED, 0xC000),
    (409, failed(99), Kind.REFUSED, 0xC000),
    (302, b"", Kind.UNKNOWN, 0xA700),
    (501, b"", Kind.UNKNOWN, 0xA700),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), ROWS)
def test_row(status: int, body: bytes, kind: Kind, code: int) -> None:
    verdict = classify(Answer(status, {}, body), [UID])[UID]

    assert (verdict.kind, verdict.status) == (kind, code)
    assert len(verdict.comment) <= 64 or kind is Kind.STORED_WITH_WARNING


def test_409_is_never_a_warning_or_success() -> None:
    for body in (stow_body([UID]), stow_body([UID], warning=1), stow_body([UID], warning=45063)):
        assert classify(Answer(409, {}, body), [UID])[UID].status & 0xF000 == 0xC000


def test_failure_wins_over_success_and_each_instance_has_its_own_verdict() -> None:
    body = orjson.loads(stow_body(["1", "2"], {"2": 43264}))
    verdicts = classify(Answer(202, {}, orjson.dumps(body)), ["1", "2", "3"])

    assert [verdicts[uid].kind for uid in ("1", "2", "3")] == [Kind.STORED, Kind.REJECTED, Kind.UNKNOWN]


def test_retry_after_is_kept_for_transient_answers() -> None:
    assert classify(Answer(503, {"retry-after": "7"}, b""), [UID])[UID].retry_after == 7


def test_comment_of_the_warning_comes_from_the_failed_attributes() -> None:
    body = orjson.loads(stow_body([UID], warning=1))
    comment = {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": ["not indexed: StudyDate"]}}]}
    body["00081199"]["Value"][0]["00741048"] = comment

    assert classify(Answer(202, {}, orjson.dumps(body)), [UID])[UID].comment == "not indexed: StudyDate"


@pytest.mark.parametrize(
    "junk", [b"{", b'{"00081199": 5}', b'{"00081199": {"Value": [{}]}}', b'{"00081198": {"Value": "x"}}']
)
def test_unreadable_bodies_never_raise(junk: bytes) -> None:
    assert classify(Answer(200, {}, junk), [UID])[UID].kind is Kind.UNKNOWN
