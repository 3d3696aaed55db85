"""Storing: multipart bodies, good, odd and broken (PS3.18 section 8.6, RFC 2046)."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure import stow
from suites.azure.conftest import SpecialService
from suites.azure.data import Made, Maker
from suites.azure.service import VERSIONS
from suites.azure.stow import BOUNDARY, DICOM, RELATED, body, dicom_part, kept, part, post

_DELIMITER = f"--{BOUNDARY}\r\n".encode()
_END = f"--{BOUNDARY}--".encode()
_UNTYPED = f"multipart/related; boundary={BOUNDARY}"


@requirement("STOW-018")
@pytest.mark.parametrize(
    "part_type", ["text/plain", "application/dicom; transfer-syntax=*", "application/json"]
)
def test_part_with_a_wrong_content_type(web: DicomWeb, make: Maker, part_type: str) -> None:
    """One part of another type makes the whole request 415, good parts before it included (STOW-018)."""
    good, bad = make(), make()
    content = body([dicom_part(good.part10), part(bad.part10, f"Content-Type: {part_type}")])
    answer = post(web, content, RELATED)
    assert answer.status == 415, answer.describe()
    assert (kept(web, good), kept(web, bad)) == (None, None)
    twin = body([dicom_part(good.part10), part(bad.part10, "Content-Type: Application/DICOM")])
    assert post(web, twin, RELATED).status == 200, "the type compares without regard to case"


@requirement("STOW-019", "STOW-020")
def test_part_without_a_content_type(web: DicomWeb, make: Maker) -> None:
    """The first part may leave its type to the request's `type`, later ones and untyped ones 415 (STOW-019, STOW-020)."""
    first, second = make(), make()
    alone = body([part(first.part10, "Content-ID: <1>")])
    untyped = post(web, alone, _UNTYPED)
    assert (untyped.status, kept(web, first)) == (415, None), "STOW-020: no type anywhere"
    later = post(web, body([dicom_part(first.part10), part(second.part10)]), RELATED)
    assert (later.status, kept(web, first)) == (415, None), "STOW-020: a later part without a type"
    assert post(web, alone, RELATED).status == 200, "STOW-019"
    assert kept(web, first) == first.part10


@requirement("STOW-021")
@pytest.mark.parametrize(
    "content_type", [_UNTYPED, f'multipart/related; type="text/plain"; boundary={BOUNDARY}']
)
def test_type_parameter_is_not_enforced(web: DicomWeb, make: Maker, content_type: str) -> None:
    """When the parts state their type the request's parameter has no effect (STOW-021)."""
    made = make()
    answer = post(web, body([dicom_part(made.part10)]), content_type)
    assert answer.status == 200, answer.describe()
    assert kept(web, made) == made.part10


@requirement("STOW-022", "STOW-036")
@pytest.mark.parametrize("content", [_END + b"\r\n", _DELIMITER + b"\r\n" + _END + b"\r\n"])
def test_multipart_without_parts(web: DicomWeb, content: bytes) -> None:
    """A multipart body with no part answers 204 without a body (STOW-022, STOW-036)."""
    answer = post(web, content, RELATED)
    assert (answer.status, answer.body) == (204, b""), answer.describe()


@requirement("STOW-023", "STOW-024")
def test_empty_file(web: DicomWeb) -> None:
    """An empty single part and an empty multipart part answer 409, not 204 (STOW-023, STOW-024)."""
    assert stow.refused(post(web, b"")) == (409, [43264])
    assert stow.refused(post(web, body([dicom_part(b"")]), RELATED)) == (409, [43264])


@requirement("STOW-025", "STOW-026")
def test_broken_parts_among_good_ones(web: DicomWeb, make: Maker) -> None:
    """Parts that are no DICOM fail with 43264 and nothing else said; the good one is stored (STOW-025, STOW-026)."""
    good = make()
    cut_in_meta = good.part10[:150]
    broken = [b"", b"DICM", b"\0" * 131, b"This is a text, not an image. " * 20, cut_in_meta]
    parts = [dicom_part(one) for one in (*broken, good.part10)]
    answer = post(web, body(parts), RELATED)
    assert answer.status == 202, answer.describe()
    assert [item["00081155"]["Value"] for item in stow.items(answer, "00081199")] == [[good.instance]]
    nameless = {"00081197": {"vr": "US", "Value": [43264]}}
    assert stow.items(answer, "00081198") == [nameless] * len(broken), "STOW-026: a reason code and no more"
    assert kept(web, good) == good.part10


@requirement("STOW-027")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no boundary line at all",
        b"--another\r\nContent-Type: application/dicom\r\n\r\nx\r\n--another--",
        _DELIMITER + b"X-Long: " + b"y" * 40000 + b"\r\n\r\nx\r\n" + _END,
        _DELIMITER + b"Content-Type: application/dicom\r\n",
    ],
    ids=["empty", "text", "another boundary", "long header", "cut in the headers"],
)
def test_malformed_multipart(web: DicomWeb, content: bytes) -> None:
    """A multipart body that breaks outside a part answers 400 (STOW-027)."""
    answer = post(web, content, RELATED)
    assert answer.status == 400, answer.describe()


@requirement("STOW-028")
def test_truncated_last_part(web: DicomWeb, make: Maker) -> None:
    """A part that the end of the body cuts is dropped silently, complete ones before it are stored (STOW-028)."""
    first, second = make(), make()
    cut = dicom_part(second.part10)[:-200]
    answer = stow.as_store(post(web, dicom_part(first.part10) + cut, RELATED))
    assert (answer.status, answer.stored, answer.accounted) == (200, (first.instance,), 1), answer.describe()
    assert kept(web, second) is None
    assert post(web, cut, RELATED).status == 204, "STOW-028: no complete part"
    assert kept(web, second) is None


def _limited(web: DicomWeb, small: Made, large: Made) -> None:
    single = post(web, large.part10)
    assert single.status == 413, f"STOW-030: {single.describe()}"
    several = post(web, body([dicom_part(small.part10), dicom_part(large.part10)]), RELATED)
    assert several.status == 413, f"STOW-029: {several.describe()}"
    assert (kept(web, small), kept(web, large)) == (None, None)
    assert stow.stored(web, small).status == 200


@needs("control")
@requirement("STOW-029", "STOW-030")
def test_file_above_the_size_limit(special_service: SpecialService, make: Maker) -> None:
    """A file above the limit answers 413 for the whole request, single-part and multipart (STOW-029, STOW-030)."""
    with special_service("--max-file-size", "4000") as own:
        for version in VERSIONS:
            small, large = make(), make(PixelData=bytes(4000), Rows=50, Columns=40)
            assert len(small.part10) <= 4000 < len(large.part10)
            _limited(own.web(version=version), small, large)


@requirement("STOW-137")
@pytest.mark.parametrize(
    ("content_type", "before", "after"),
    [
        (f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"', b"", b""),
        (f"multipart/related; type={DICOM}; boundary={BOUNDARY}", b"\r\n", b""),
        (RELATED, b"This text is not for you.\r\n", b"\r\n\r\nnor this"),
    ],
    ids=["quoted boundary", "line break first", "texts around"],
)
def test_bodies_of_common_clients(
    web: DicomWeb, make: Maker, content_type: str, before: bytes, after: bytes
) -> None:
    """Other part headers, quoted boundaries and text around the parts do no harm (STOW-137)."""
    made, second = make(), make()
    form = 'Content-Disposition: form-data; name="file"; filename="one.dcm"'
    parts = part(made.part10, form, f"content-type: {DICOM}") + dicom_part(second.part10)
    answer = stow.as_store(post(web, before + parts + _END + after, content_type))
    assert (answer.status, answer.stored) == (200, (made.instance, second.instance)), answer.describe()
    assert (kept(web, made), kept(web, second)) == (made.part10, second.part10)


@requirement("STOW-118", "STOW-031")
def test_a_bigger_request(web: DicomWeb, make: Maker) -> None:
    """60 files and one of 3 MB in one request come back byte for byte (STOW-118, STOW-031)."""
    made = make.series(60)
    big = make(like=made[0], Rows=1024, Columns=1500, PixelData=bytes(range(256)) * 12000)
    answer = web.store([one.part10 for one in (*made, big)])
    assert answer.status == 200, answer.describe()
    assert answer.stored == tuple(one.instance for one in (*made, big)), (
        "STOW-048: in the order of the request"
    )
    back = web.retrieve(big.study)
    assert sorted(back) == sorted(one.part10 for one in (*made, big))
