"""Which Accept headers retrieval takes, and which of several it follows."""

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import requirement
from suites.azure.data import Made, Maker
from suites.azure.wado import (
    AS_STORED,
    DICOM,
    DICOM_PARTS,
    EXPLICIT_LE,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    bodies,
    get,
    keep,
    only_part,
    read,
)

J2K = f"; transfer-syntax={JPEG_2000_LOSSLESS}"
ANYTHING = 'multipart/related; type="*/*"'
LEVELS = ("study", "series", "instance")


@pytest.fixture(scope="module")
def lossless(v2: DicomWeb, make: Maker) -> Made:
    """One instance in JPEG Lossless, alone in its study: as stored, Explicit VR and JPEG 2000 are three things."""
    made = make(syntax=JPEG_LOSSLESS)
    keep(v2, made)
    return made


def _syntax(web: DicomWeb, path: str, *accept: str) -> str:
    """The transfer syntax of the file that is sent; a header that names one names that (WADO-028 wants it there)."""
    answer = get(web, path, *accept)
    assert answer.status == 200, f"Accept {accept}: {answer.describe()}"
    multipart = answer.content_type.startswith("multipart/related")
    part = only_part(answer) if multipart else answer
    sent = str(read(part.body).file_meta.TransferSyntaxUID)
    named = part.content_type.partition("transfer-syntax=")[2]
    assert named in ("", sent), "the label is that of the file"
    return sent


@requirement("WADO-004")
@pytest.mark.parametrize("level", ["study", "series"])
def test_studies_and_series_are_multipart_only(web: DicomWeb, lossless: Made, level: str) -> None:
    """Single-part application/dicom is 406 on studies and series, even of one instance (WADO-004)."""
    for accept in (DICOM, DICOM + AS_STORED, DICOM + J2K):
        assert get(web, lossless.path(level), accept).status == 406, accept
        assert get(web, lossless.path(), accept).status == 200, accept
    assert bodies(get(web, lossless.path(level), DICOM_PARTS + AS_STORED)) == [lossless.part10]


@requirement("WADO-007")
def test_no_accept(web: DicomWeb, lossless: Made) -> None:
    """Nothing is retrieved without an Accept header (WADO-007: no default applies, whatever the documents say)."""
    for path in (*(lossless.path(level) for level in LEVELS), f"{lossless.path()}/frames/1"):
        assert get(web, path).status == 406, path
        assert get(web, path, f'multipart/related; type="*/*"{AS_STORED}').status == 200, path


@requirement("WADO-008")
def test_wildcard_on_an_instance(web: DicomWeb, lossless: Made) -> None:
    """*/* on an instance is one part in the stored syntax (WADO-008)."""
    part = only_part(get(web, lossless.path(), "*/*"))
    assert part.body == lossless.part10
    assert part.content_type == f"application/dicom; transfer-syntax={JPEG_LOSSLESS}"


@requirement("WADO-009")
@pytest.mark.parametrize("level", ["study", "series"])
def test_wildcard_on_study_and_series(web: DicomWeb, lossless: Made, level: str) -> None:
    """*/* is 406 by the code and supported by the documents; what is sent has to be right (WADO-009 allows both)."""
    answer = get(web, lossless.path(level), "*/*")
    assert answer.status in (200, 406), f"WADO-009: a suite fails neither 200 nor 406: {answer.describe()}"
    sent = bodies(answer) if answer.status == 200 else None
    assert sent in (None, [lossless.part10])


@requirement("WADO-010")
@pytest.mark.parametrize("level", LEVELS)
def test_other_media_types(web: DicomWeb, lossless: Made, level: str) -> None:
    """Media types of other resources are 406 (WADO-010)."""
    others = (
        "application/octet-stream",
        "application/dicom+json",
        "image/jpeg",
        "text/plain",
        "application/json",
    )
    for other in others:
        for accept in (other, f'multipart/related; type="{other}"', f"{other}; transfer-syntax=*"):
            assert get(web, lossless.path(level), accept).status == 406, accept
    assert get(web, lossless.path(level), DICOM_PARTS).status == 200


@requirement("WADO-011")
@pytest.mark.parametrize("level", LEVELS)
def test_multipart_without_type(web: DicomWeb, lossless: Made, level: str) -> None:
    """multipart/related without type is 406 (WADO-011)."""
    assert get(web, lossless.path(level), "multipart/related").status == 406
    assert get(web, lossless.path(level), f"multipart/related{AS_STORED}").status == 406
    assert get(web, lossless.path(level), DICOM_PARTS + AS_STORED).status == 200


@requirement("WADO-012", "WADO-013")
@pytest.mark.parametrize("level", LEVELS)
def test_quotes_do_not_matter(web: DicomWeb, lossless: Made, level: str) -> None:
    """Type and transfer-syntax are understood with and without quotes (WADO-012, WADO-013)."""
    for syntax, expected in (("*", JPEG_LOSSLESS), (JPEG_2000_LOSSLESS,) * 2, (EXPLICIT_LE,) * 2):
        for kind in (DICOM, f'"{DICOM}"'):
            for written in (syntax, f'"{syntax}"'):
                accept = f"multipart/related; type={kind}; transfer-syntax={written}; q=0.9"
                assert _syntax(web, lossless.path(level), accept) == expected, accept


@requirement("WADO-014", "WADO-015")
@pytest.mark.parametrize("level", LEVELS)
def test_acceptable_transfer_syntaxes(web: DicomWeb, lossless: Made, level: str) -> None:
    """Only *, Explicit VR Little Endian and JPEG 2000 Lossless can be asked for, not even the stored one (WADO-014, WADO-015)."""
    for syntax, expected in (("*", JPEG_LOSSLESS), (EXPLICIT_LE,) * 2, (JPEG_2000_LOSSLESS,) * 2):
        assert _syntax(web, lossless.path(level), f"{DICOM_PARTS}; transfer-syntax={syntax}") == expected
    for syntax in (
        JPEG_LOSSLESS,
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.5",
        "1.2.3",
    ):
        answer = get(web, lossless.path(level), f"{DICOM_PARTS}; transfer-syntax={syntax}")
        assert answer.status == 406, f"{syntax}: {answer.describe()}"


@requirement("WADO-016")
def test_default_transfer_syntax(web: DicomWeb, lossless: Made) -> None:
    """application/dicom alone means Explicit VR Little Endian (WADO-016)."""
    for accept in (DICOM, DICOM_PARTS):
        assert _syntax(web, lossless.path(), accept) == EXPLICIT_LE, accept


@requirement("WADO-031")
def test_the_best_quality_is_used(web: DicomWeb, lossless: Made) -> None:
    """The highest q decides, no q is 1, and unsupported entries are skipped (WADO-031)."""
    unsupported = f"{DICOM}; transfer-syntax={JPEG_LOSSLESS}; q=1.0"
    path = lossless.path()
    assert _syntax(web, path, f"{DICOM}{AS_STORED}; q=0.5", f"{DICOM}{J2K}; q=0.8") == JPEG_2000_LOSSLESS
    assert _syntax(web, path, f"{DICOM}{AS_STORED}; q=0.8", f"{DICOM}{J2K}; q=0.5") == JPEG_LOSSLESS
    assert _syntax(web, path, f"{DICOM}{AS_STORED}; q=0.9", DICOM + J2K) == JPEG_2000_LOSSLESS
    assert _syntax(web, path, unsupported, f"{DICOM}{J2K}; q=0.1") == JPEG_2000_LOSSLESS
    assert _syntax(web, path, f"{unsupported}, {DICOM}{AS_STORED}; q=0.5, {DICOM}; q=0.7") == EXPLICIT_LE


@requirement("WADO-032")
def test_a_tie_goes_to_the_original(web: DicomWeb, lossless: Made) -> None:
    """Of equal q an explicit * wins wherever it stands, else the first (WADO-032)."""
    path = lossless.path()
    for order in ((DICOM + AS_STORED, DICOM + J2K), (DICOM + J2K, DICOM + AS_STORED)):
        assert _syntax(web, path, *order) == JPEG_LOSSLESS, order
        assert _syntax(web, path, ", ".join(order)) == JPEG_LOSSLESS, order
    assert _syntax(web, path, DICOM + J2K, DICOM) == JPEG_2000_LOSSLESS
    assert _syntax(web, path, DICOM, DICOM + J2K) == EXPLICIT_LE


@requirement("WADO-032")
def test_several_originals_and_the_bare_wildcard(web: DicomWeb, lossless: Made) -> None:
    """Of several explicit * the last is used; */* is not one of them (WADO-032)."""
    path = lossless.path()
    last_single = get(web, path, DICOM_PARTS + AS_STORED, DICOM + AS_STORED)
    assert last_single.content_type.startswith("application/dicom"), last_single.describe()
    last_multipart = get(web, path, DICOM + AS_STORED, DICOM_PARTS + AS_STORED)
    assert last_multipart.content_type.startswith("multipart/related"), last_multipart.describe()
    assert _syntax(web, path, DICOM + J2K, "*/*") == JPEG_2000_LOSSLESS
    assert _syntax(web, path, "*/*", DICOM + J2K) == JPEG_LOSSLESS


@requirement("WADO-047")
@pytest.mark.parametrize("level", LEVELS)
def test_wildcard_inside_multipart(web: DicomWeb, lossless: Made, level: str) -> None:
    """multipart/related; type="*/*" means application/dicom as stored (WADO-047)."""
    part = only_part(get(web, lossless.path(level), ANYTHING))
    assert (part.body, part.content_type) == (
        lossless.part10,
        f"application/dicom; transfer-syntax={JPEG_LOSSLESS}",
    )


@requirement("WADO-048")
def test_separate_lines_are_judged_one_by_one(web: DicomWeb, lossless: Made) -> None:
    """Only entries of one line that starts with multipart/related count as multipart; its form is left open (WADO-048)."""
    mixed = get(web, lossless.path(), f"{DICOM_PARTS}; q=0.5, {DICOM}")
    assert mixed.status == 200, mixed.describe()
    lines = get(web, lossless.path(), f"{DICOM_PARTS}; q=0.5", DICOM)
    assert lines.content_type == f"application/dicom; transfer-syntax={EXPLICIT_LE}", lines.describe()
    # The only entry a study takes is not the single-part one of the second line.
    assert get(web, lossless.path("study"), "text/plain", DICOM + AS_STORED).status == 406
    assert get(web, lossless.path("study"), "text/plain", DICOM_PARTS + AS_STORED).status == 200


@requirement("WADO-049")
def test_entries_that_do_not_parse_are_skipped(web: DicomWeb, lossless: Made) -> None:
    """What does not parse does not count, alone it is as no Accept, and letter case does not matter (WADO-049)."""
    path = lossless.path()
    for good in (DICOM, DICOM_PARTS):
        assert get(web, path, "nonsense", good).status == 200, good
    assert get(web, path, "nonsense").status == 406
    assert get(web, f"{path}/frames/1", "nonsense").status == 406
    assert get(web, f"{path}/frames/1", "nonsense", "Application/Octet-Stream").status == 200
    rendered = get(web, f"{path}/rendered", "nonsense")
    assert (rendered.status, rendered.content_type) == (200, "image/jpeg"), rendered.describe()
    assert _syntax(web, path, f"APPLICATION/DICOM{AS_STORED}") == JPEG_LOSSLESS
    assert get(web, f"{path}/rendered", "IMAGE/PNG").content_type == "image/png"


@requirement("WADO-037")
def test_order_of_checks(web: DicomWeb, make: Maker, lossless: Made) -> None:
    """UID before Accept before existence before the number of instances (WADO-037)."""
    bad_accept, good = DICOM_PARTS + "; transfer-syntax=1.2.3", DICOM_PARTS
    unknown = f"/studies/{make.uid()}"
    assert get(web, "/studies/abc", bad_accept).status == 400
    assert get(web, unknown, bad_accept).status == 406
    assert get(web, unknown, good).status == 404
    assert get(web, lossless.path("study"), bad_accept).status == 406
    assert get(web, lossless.path("study"), good).status == 200


@requirement("WADO-037")
def test_order_of_checks_of_frames(web: DicomWeb, make: Maker, lossless: Made) -> None:
    """List, UID, number, Accept, form, existence, frame: the first that applies decides (WADO-037)."""
    here, nowhere = lossless.path(), f"/studies/{make.uid()}/series/{make.uid()}/instances/{make.uid()}"
    bad, single = "image/gif", "application/octet-stream"
    unreadable = get(web, "/studies/x/series/x/instances/x/frames/y", bad)
    assert (unreadable.status, b"frames" in unreadable.body) == (400, True), unreadable.describe()
    malformed = get(web, "/studies/x/series/1/instances/1/frames/0", bad)
    assert (malformed.status, b"StudyInstanceUid" in malformed.body) == (400, True), malformed.describe()
    assert get(web, f"{nowhere}/frames/0", bad).status == 400
    assert get(web, f"{nowhere}/frames/1,2", bad).status == 406
    assert get(web, f"{nowhere}/frames/1,2", single).status == 400
    assert get(web, f"{nowhere}/frames/9", single).status == 404
    assert get(web, f"{here}/frames/9", single).status == 404
    assert get(web, f"{here}/frames/1", single).status == 200
