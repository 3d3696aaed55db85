"""The scanner finds the instances of a store however its bytes arrive."""

import pytest

from systems.link.alter import flip_place
from systems.link.messages import made_head
from systems.link.stored import StoreScanner, scanner_for
from tests.link.dicom import SERIES, STUDY, multipart, part10

TYPE = 'multipart/related; type="application/dicom"; boundary=b-1'


def scanned(content_type: str, body: bytes, step: int) -> list[str]:
    scanner = StoreScanner(content_type)
    for start in range(0, len(body), step):
        scanner.feed(body[start : start + step])
    scanner.finish()
    return [instance.sop_instance_uid for instance in scanner.instances]


@pytest.mark.parametrize("step", [1, 7, 1000, 10**9])
def test_every_part_is_found_whatever_the_pieces(step: int) -> None:
    body = multipart(part10("2.25.1"), part10("2.25.2", pixels=b"\0" * 100_000), part10("2.25.3"))
    assert scanned(TYPE, body, step) == ["2.25.1", "2.25.2", "2.25.3"]


def test_preamble_and_leading_line_end() -> None:
    assert scanned(TYPE, b"to be ignored\r\n" + multipart(part10("2.25.1")), 50) == ["2.25.1"]
    assert scanned(TYPE, b"\r\n" + multipart(part10("2.25.1")), 50) == ["2.25.1"]


def test_single_part() -> None:
    assert scanned("application/dicom", part10("2.25.1"), 100) == ["2.25.1"]


def test_what_is_no_dicom_is_no_instance() -> None:
    assert scanned(TYPE, multipart(b"rubbish", part10("2.25.1"), b""), 64) == ["2.25.1"]
    assert scanned(TYPE, multipart(part10("2.25.1"), content_type="application/json"), 64) == []
    assert scanned("application/json", b"{}", 64) == []
    assert scanned("multipart/related", multipart(part10("2.25.1")), 64) == []


def test_body_that_breaks_off_still_names_what_came() -> None:
    body = multipart(part10("2.25.1"), part10("2.25.2"))
    assert scanned(TYPE, body[:-400], 64) == ["2.25.1", "2.25.2"]


def test_study_and_series() -> None:
    scanner = StoreScanner("application/dicom")
    scanner.feed(part10("2.25.1"))
    scanner.finish()
    instance = scanner.instances[0]
    assert (instance.study_instance_uid, instance.series_instance_uid) == (STUDY, SERIES)


@pytest.mark.parametrize(
    ("start", "store"),
    [
        (b"POST /v2/studies HTTP/1.1", True),
        (b"POST /v2/studies/1.2.3?x=1 HTTP/1.1", True),
        (b"POST /v2/partitions/p/studies HTTP/1.1", True),
        (b"POST /v2/workitems HTTP/1.1", False),
        (b"GET /v2/studies HTTP/1.1", False),
        (b"POST /v2/studies/1/series HTTP/1.1", False),
    ],
)
def test_only_stores_are_scanned(start: bytes, store: bool) -> None:
    assert (scanner_for(made_head(start, [])) is not None) is store


def test_place_to_alter_lies_inside_the_first_part() -> None:
    first = part10("2.25.1")
    body = multipart(first, part10("2.25.2"), part10("2.25.3"))
    start = body.index(first)
    assert start + len(first) // 2 < flip_place(body, TYPE) < start + len(first)
    assert flip_place(b"0123", "application/json") == 3
    assert flip_place(b"0", "") == 0
