"""The forms of tag values in the index, and bodies as the original reads them."""

import asyncio
from typing import Any

import pytest

from systems.dicom_service.tags.values import date_time, key_of, time_of_day
from systems.dicom_service.web.json_body import read_json
from systems.dicom_service.web.problems import BadRequest, TooLarge

HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("vr", "text", "key"),
    [
        ("LO", "Some Text ", "some text"),
        ("PN", "MÜLLER^Jörg", "muller^jorg"),
        ("UI", "1.2.3\0", "1.2.3"),
        ("DA", "20200229", "20200229"),
        ("DA", "20210229", None),
        ("TM", "10", 10 * HOUR),
        ("TM", "000000", None),
        ("TM", "2500", None),
        ("IS", " 0003 ", 3),
        ("IS", "", 0),
        ("LO", "  ", None),
    ],
)
def test_key(vr: str, text: str, key: object) -> None:
    """Searches compare values in this form (QIDO-053 to QIDO-070, QIDO-127, QIDO-129)."""
    assert key_of(vr, text) == key


def test_times_are_ordered() -> None:
    """Missing parts are the first instant, and later times are larger (QIDO-068, QIDO-069)."""
    moments = ["2019", "2020", "202001010000", "20200102", "20200102030405.000001", "20200102030405.1"]
    found = [date_time(text) for text in moments]
    assert None not in found
    assert found[1] == found[2]
    assert sorted(found, key=lambda one: one or 0) == found
    assert date_time("20200101000000") == date_time("2020")
    assert date_time("20201301") is None
    assert time_of_day("10.5") is None
    assert time_of_day("235959.999999") == 24 * HOUR - 1


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def body_part(self) -> tuple[bytes, bool]:
        return self._body, False


def read(body: bytes) -> Any:
    return asyncio.run(read_json(_Body(body)))  # type: ignore[arg-type]


def test_tolerated_json() -> None:
    """Comments and trailing commas pass, and what looks like them inside strings stays (API-007)."""
    assert read(b'{"a": [1, 2, ], /* x */ "b": "//no, ]", // y\n }') == {"a": [1, 2], "b": "//no, ]"}
    assert read(b"\xef\xbb\xbf[]") == []
    for broken in (b"", b" ", b"{", b"[,]", b'{"a"}'):
        with pytest.raises(BadRequest):
            read(broken)
    with pytest.raises(TooLarge):
        read(b" " * (5 << 20))
