"""The fast ways answer as the slow ones: elements as pydicom reads them, usual values as the rules judge them."""

import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.uid import DeflatedExplicitVRLittleEndian

from systems.dicom_service.dicom import dictionary, rules_v1, rules_v2
from systems.dicom_service.dicom.elements import DataSet, open_part10
from systems.dicom_service.dicom.json_model import to_json
from systems.shared.header_errors import HeaderError

_FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm"))
_TAGS = {"AE": 0x00080054, "AS": 0x00101010, "CS": 0x00080060, "DA": 0x00080020, "DS": 0x00101030, "DT": 0x0008002A,
         "IS": 0x00200013, "LO": 0x00081030, "LT": 0x00104000, "PN": 0x00100010, "SH": 0x00080050, "ST": 0x00080081,
         "TM": 0x00080030, "UI": 0x0020000D}  # fmt: skip
_LETTERS = st.text(alphabet="AZaz019 .-+_^=\\\0\x1bDWMYE:\t", max_size=20) | st.text(
    alphabet="0123456789.DY\\ ", max_size=70
)


def _read(path: Path) -> DataSet | None:
    try:
        return open_part10(path.read_bytes())[1]
    except HeaderError:
        return None


def test_elements_are_those_pydicom_reads() -> None:
    compared = 0
    for path in _FILES:
        data_set = _read(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = pydicom.dcmread(path)
            except pydicom.errors.InvalidDicomError:
                continue
        if data_set is None or expected.file_meta.get("TransferSyntaxUID") in (
            None,
            DeflatedExplicitVRLittleEndian,
        ):
            continue
        if "truncated" in path.name:
            continue
        assert set(data_set.by_tag) == {int(tag) for tag in expected.keys()}, path.name  # noqa: SIM118 - values stay raw
        for tag, element in data_set.by_tag.items():
            raw: object = expected.get_item(tag)
            if isinstance(raw, RawDataElement) and raw.value is not None:
                assert data_set.value(element) == raw.value, f"{path.name} {tag:08X}"
        compared += 1
    assert compared > 60


def test_nested_items_are_those_pydicom_reads() -> None:
    compared = 0
    for path in _FILES:
        data_set = _read(path)
        if data_set is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = pydicom.dcmread(path, force=True)
            for tag, element in data_set.by_tag.items():
                if element.items is None or tag not in expected or expected[tag].VR != "SQ":
                    continue
                shape = [[int(inner) for inner in item.keys()] for item in expected[tag].value]  # noqa: SIM118
                assert [[inner.tag for inner in item] for item in element.items] == shape, (
                    f"{path.name} {tag:08X}"
                )
                compared += 1
    assert compared > 80


@settings(max_examples=1500, deadline=None)
@given(vr=st.sampled_from(sorted(_TAGS)), text=_LETTERS)
def test_a_usual_value_breaks_no_rule(vr: str, text: str) -> None:
    """What the expression over the bytes lets pass must be what the rules let pass."""
    matches, low, high = rules_v2._USUAL_OF[vr][_TAGS[vr]]
    value = text.encode()
    if value and matches(value) and low <= value.count(b"\\") + 1 <= high:
        assert rules_v2._cause(_TAGS[vr], vr, text) is None


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("AE", b"STORE-SCP "), ("AS", b"052Y"), ("CS", b"ORIGINAL"), ("DA", b"20200101"), ("DS", b"-1.5e-3 "),
        ("DT", b"20200101101112.000000+0100 "), ("IS", b"-12 "), ("LO", b"Head & neck "), ("LT", b"a\r\nb"),
        ("PN", b"Doe^Jane^^Dr."), ("SH", b"A-1"), ("ST", b"x"), ("TM", b"101112.123 "), ("UI", b"1.2.840\0"),
    ],
)  # fmt: skip
def test_usual_values_take_the_fast_way(vr: str, value: bytes) -> None:
    assert rules_v2._USUAL_OF[vr][_TAGS[vr]][0](value)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for prefix in (b"", b"\0" * 128 + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"):
        try:
            _, data_set = open_part10(prefix + data)
        except HeaderError:
            continue
        to_json(data_set)


def test_metadata_of_every_file_is_json_in_tag_order() -> None:
    for path in _FILES:
        data_set = _read(path)
        if data_set is not None:
            described = to_json(data_set)
            assert list(described) == sorted(described)


def test_dictionary_is_pydicoms() -> None:
    for keyword in ("PatientName", "PixelData", "SmallestImagePixelValue", "OverlayData", "SOPClassUID"):
        tag = pydicom.datadict.tag_for_keyword(keyword) or 0x60003000
        assert dictionary.vr(tag) == pydicom.datadict.dictionary_VR(tag)
        assert dictionary.keyword(tag) == pydicom.datadict.keyword_for_tag(tag)
    assert dictionary.vr(0x60023000) == "OB or OW"
    assert dictionary.vr(0x00090010) == "LO"
    assert dictionary.vr(0x00091001) == "UN"
    assert dictionary.multiplicity(0x00280030) == (2, 2, "2")
    assert dictionary.tag_of("patientName") is None


@pytest.mark.parametrize(
    ("value", "valid"), [("20200229", True), ("20210229", False), ("00000101", False), ("2020010", False)]
)
def test_dates_are_calendar_dates(value: str, valid: bool) -> None:
    assert rules_v1.is_date(value) is valid


def test_deflated_file_is_described() -> None:
    made = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm")
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    out = BytesIO()
    made.save_as(out)
    described = to_json(open_part10(out.getvalue())[1])
    assert described["0020000D"]["Value"] == [made.StudyInstanceUID]
