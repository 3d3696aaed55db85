"""Instances made to measure: a small image with any attribute changed, removed or written wrongly."""

import struct
import zlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.config import IGNORE, settings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fixtures.data import Run
from fixtures.data.encode import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from fixtures.data.encode import part10 as encoded
from fixtures.evidence.elements import SHORT_VRS

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
_UIDS = (0x0020000D, 0x0020000E, 0x00080018)
_SCENE = 0  # scenes from 1 on are the demo's

Raw = Mapping[int, tuple[str, bytes | str]]
"""Tag to VR and the very bytes of the value (a text is UTF-8 and padded): what a library would refuse to write."""


@dataclass(frozen=True)
class Made:
    """One instance that was made; `dataset` is a copy, the UIDs are as asked for."""

    dataset: Dataset
    part10: bytes
    study: str
    series: str
    instance: str

    def path(self, level: str = "instance") -> str:
        """The resource of its `study`, `series` or itself (`instance`), below the version segment."""
        path = f"/studies/{self.study}"
        if level != "study":
            path += f"/series/{self.series}"
        return path + (f"/instances/{self.instance}" if level == "instance" else "")

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, series and instance, as the methods of the client take them."""
        return self.study, self.series, self.instance


class Maker:
    """Makes instances under the names of the run, and remembers their studies for the clean-up."""

    def __init__(self, run: Run, numbers: "count[int]") -> None:
        self.run = run
        self.studies: dict[str, None] = {}
        self._numbers = numbers

    def uid(self) -> str:
        """A UID nobody has had before. What is stored under it as a study has to be given to `register`."""
        return self.run.uid(_SCENE, next(self._numbers))

    def study_uid(self) -> str:
        """A new Study Instance UID; the study is deleted when the module ends."""
        return self.register(self.uid())

    def register(self, study_instance_uid: str) -> str:
        """Have a study deleted when the module ends, and return its UID."""
        self.studies[study_instance_uid] = None
        return study_instance_uid

    def patient_id(self) -> str:
        """A Patient ID nobody has had before, for searches that shall find nothing else."""
        return self.run.patient_id(_SCENE, next(self._numbers))

    def __call__(
        self,
        *,
        like: "Made | None" = None,
        syntax: str = ExplicitVRLittleEndian,
        raw: Raw | None = None,
        meta: Mapping[str, Any] | None = None,
        **attributes: Any,
    ) -> Made:
        """Make a CT image of 32 x 32 pixels of 16 bits.

        `attributes` replace by keyword or, when None, remove; `raw` does so by tag and takes any bytes. `like` puts it into
        that instance's series, `StudyInstanceUID=` and `SeriesInstanceUID=` where you like. `meta` replaces or (None)
        removes attributes of the File Meta Information. `syntax` may be any of `fixtures.data.encode.TRANSFER_SYNTAXES`;
        `raw` and `meta` go with the uncompressed little-endian ones.

        Raises:
            ValueError: the pixels cannot be written in that transfer syntax.

        """
        dataset = _image()
        dataset.StudyInstanceUID = like.study if like else self.uid()
        dataset.SeriesInstanceUID = like.series if like else self.uid()
        dataset.SOPInstanceUID = self.uid()
        if like and "PatientID" in like.dataset:
            dataset.PatientID = like.dataset.PatientID
        else:
            dataset.PatientID = self.patient_id()
        with _without_manners():
            _change(dataset, attributes)
            content = (
                written(dataset, syntax, meta, raw or {}) if syntax in _NATIVE else encoded(dataset, syntax)
            )
            study, series, instance = (_uid(dataset, tag, raw or {}) for tag in _UIDS)
        if study:
            self.register(study)
        return Made(dataset, content, study, series, instance)

    def series(self, number: int, *, like: Made | None = None, **attributes: Any) -> list[Made]:
        """`number` instances of one series, with Instance Number 1, 2, ..."""
        first = self(like=like, InstanceNumber=1, **attributes)
        rest = [self(like=first, InstanceNumber=place, **attributes) for place in range(2, number + 1)]
        return [first, *rest]


def written(
    dataset: Dataset, syntax: str, meta: Mapping[str, Any] | None = None, raw: Raw | None = None
) -> bytes:
    """The file of a data set whose pixels already suit the transfer syntax, whatever it lacks."""
    whole: dict[str, Any] = {
        "FileMetaInformationGroupLength": 0,
        "FileMetaInformationVersion": b"\0\1",
        "MediaStorageSOPClassUID": dataset.get("SOPClassUID") or CT,
        "MediaStorageSOPInstanceUID": dataset.get("SOPInstanceUID") or "1.2.3",
        "TransferSyntaxUID": UID(syntax),
        "ImplementationClassUID": UID(IMPLEMENTATION_CLASS_UID),
        "ImplementationVersionName": IMPLEMENTATION_VERSION_NAME,
        **(meta or {}),
    }
    information = FileMetaDataset()
    for keyword, value in whole.items():
        if value is not None:
            setattr(information, keyword, value)
    out = BytesIO()
    out.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(out, information, enforce_standard=False)  # type: ignore[arg-type]
    body = _body(dataset, raw or {}, implicit=syntax == ImplicitVRLittleEndian)
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
        body += b"\0" * (len(body) % 2)
    return out.getvalue() + body


def _body(dataset: Dataset, raw: Raw, *, implicit: bool) -> bytes:
    """The elements one by one: a library that writes a whole data set tidies up the raw ones."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, implicit
    named = correct_ambiguous_vr(Dataset(dataset), is_little_endian=True)
    for tag in sorted({*map(int, named.keys()), *raw}):
        if tag in raw:
            out.write(_plain(element(tag, *raw[tag]), implicit=implicit))
        else:
            write_data_element(out, named[tag], convert_encodings(named.get("SpecificCharacterSet")))
    return out.getvalue()


def _plain(one: RawDataElement, *, implicit: bool) -> bytes:
    tag, value = Tag(one.tag), one.value or b""
    head = struct.pack("<HH", tag.group, tag.element)
    if implicit:
        return head + struct.pack("<I", len(value)) + value
    vr = (one.VR or "UN").encode()
    if vr in SHORT_VRS:
        return head + vr + struct.pack("<H", len(value)) + value
    return head + vr + struct.pack("<HI", 0, len(value)) + value


def element(tag: int, vr: str, value: bytes | str) -> RawDataElement:
    """An element with this very value, also for the items of sequences."""
    if isinstance(value, str):
        value = value.encode()
        value += (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(value) % 2)
    return RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)


def _uid(dataset: Dataset, tag: int, raw: Raw) -> str:
    if tag in raw:
        value = raw[tag][1]
        text = value if isinstance(value, str) else value.decode("latin-1")
    else:
        text = str(dataset[tag].value or "") if tag in dataset else ""
    return text.rstrip(" \0")


def _image() -> Dataset:
    dataset = Dataset()
    for keyword, value in _IMAGE.items():
        setattr(dataset, keyword, deepcopy(value))
    return dataset


_IMAGE: Mapping[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SOPClassUID": CT,
    "StudyDate": "20230405",
    "StudyTime": "101112",
    "AccessionNumber": "ACC-1",
    "Modality": "CT",
    "Manufacturer": "Maker",
    "ManufacturerModelName": "Model A",
    "StudyDescription": "Head without contrast",
    "SeriesDescription": "Axial",
    "ReferringPhysicianName": "Referrer^Rita",
    "PatientName": "Conformance^Test",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "StudyID": "1",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": 32,
    "Columns": 32,
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 0,
    "PixelData": b"".join(value.to_bytes(2, "little") for value in range(0, 32 * 32 * 7, 7)),
}


def _change(dataset: Dataset, attributes: Mapping[str, Any]) -> None:
    for keyword, value in attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)


class _without_manners:  # noqa: N801 - a context manager
    """Let pydicom write values that the standard does not allow."""

    def __enter__(self) -> None:
        self._before = settings.reading_validation_mode, settings.writing_validation_mode
        settings.reading_validation_mode = settings.writing_validation_mode = IGNORE

    def __exit__(self, *_: object) -> None:
        settings.reading_validation_mode, settings.writing_validation_mode = self._before


Make = Callable[..., Made]
