"""What the retrieval tests share: Accept headers, instances kept by the service, and reading what comes back."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DicomWeb, parts
from fixtures.clients.multipart import Part
from fixtures.evidence.pixels import decoded_frames
from fixtures.waiting import eventually
from suites.azure.data import Made, Maker

EXPLICIT_LE = "1.2.840.10008.1.2.1"
IMPLICIT_LE = "1.2.840.10008.1.2"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
MPEG2 = "1.2.840.10008.1.2.4.100"

DICOM = "application/dicom"
DICOM_PARTS = f'multipart/related; type="{DICOM}"'
FRAME = "application/octet-stream"
FRAME_PARTS = f'multipart/related; type="{FRAME}"'
AS_STORED = "; transfer-syntax=*"
ORIGINAL = "msdicom-request-original"
UNDECODABLE = b"\0\0\1\xba" + bytes(range(60))


def keep(web: DicomWeb, *made: Made) -> None:
    """Store instances; every one has to be kept, with or without warnings."""
    answer = web.store([one.part10 for one in made])
    assert set(answer.stored) == {one.instance for one in made}, answer.describe()


def get(web: DicomWeb, path: str, *accept: str, query: str = "", **headers: str) -> Response:
    """GET with one Accept line for each `accept`, none for none; `headers` with _ for -."""
    lines = [("Accept", line) for line in accept]
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return web.request("GET", path, query=query, headers=lines)


def only_part(answer: Response) -> Part:
    """The one part of a multipart answer."""
    assert answer.status == 200, answer.describe()
    (part,) = parts(answer)
    return part


def bodies(answer: Response) -> list[bytes]:
    """The parts' contents; the order says nothing (WADO-030)."""
    assert answer.status == 200, answer.describe()
    return sorted(part.body for part in parts(answer))


def renamed(web: DicomWeb, made: Made, name: str) -> None:
    """Update Patient's Name of a study, by v2, and wait until that is done."""
    changes = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}
    content = json.dumps({"studyInstanceUids": [made.study], "changeDataset": changes}).encode()
    headers = [("Content-Type", "application/json")]

    def accepted() -> str:
        answer = web.request("POST", "/studies/$bulkUpdate", headers=headers, body=content)
        # 409: somebody else's update is running, and the service takes one at a time.
        assert answer.status == 202, answer.describe()
        return str(answer.json()["id"])

    identifier = eventually(accepted, within=60, because="the update should be accepted")

    def done() -> bool:
        answer = web.request("GET", f"/operations/{identifier}")
        return answer.status == 200 and answer.json()["status"] == "succeeded"

    eventually(done, within=60, because=f"update {identifier} should succeed")


def read(part10: bytes) -> Dataset:
    """A DICOM file as a data set."""
    return dcmread(BytesIO(part10))


def samples(part10: bytes) -> list[NDArray[Any]]:
    """The decoded frames of a file, colour as the codec gives it."""
    return list(decoded_frames(memoryview(part10)))


def same_samples(one: bytes, other: bytes, *, within: int = 0) -> bool:
    """Whether two files decode to the same frames, no sample further off than `within`."""
    first, second = samples(one), samples(other)
    return len(first) == len(second) and all(
        a.shape == b.shape and int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max()) <= within
        for a, b in zip(first, second, strict=True)
    )


def changed(before: bytes, after: bytes) -> set[str]:
    """The keywords (or tags) of the elements that one of two data sets lacks or has with another value."""
    one, other = read(before), read(after)
    tags = {element.tag for element in one} | {element.tag for element in other}
    return {
        (one.get(tag) or other[tag]).keyword or str(tag)
        for tag in tags
        if tag not in one or tag not in other or one[tag].value != other[tag].value
    }


def undecodable(make: Maker) -> Made:
    """An instance of MPEG-2 video that is none: no server can decode it, every server can keep it."""
    made = make(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.1.1",
        NumberOfFrames=1,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    return with_pixels(made, encapsulate([UNDECODABLE]), MPEG2)


def with_pixels(made: Made, pixel_data: bytes, transfer_syntax_uid: str) -> Made:
    """The same instance with encapsulated pixel data that was made elsewhere."""
    dataset = read(made.part10)
    dataset.PixelData = pixel_data
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    out = BytesIO()
    dcmwrite(out, dataset, implicit_vr=False, little_endian=True)
    return replace(made, dataset=dataset, part10=out.getvalue())


def without_pixels(make: Maker, **attributes: Any) -> Made:
    """An image object that lacks its pixel data."""
    return make(PixelData=None, **attributes)


def clip(make: Maker, frames: int = 3, *, rows: int = 5, columns: int = 5, **attributes: Any) -> Made:
    """A grey multi-frame image of 8 bits, each frame different; 3 frames of 5 x 5 make an odd number of bytes."""
    count = frames * rows * columns
    values = bytes((7 * place) % 251 for place in range(count))
    return make(
        NumberOfFrames=frames,
        Rows=rows,
        Columns=columns,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=values + b"\0" * (count % 2),
        **attributes,
    )


def colour(make: Maker, frames: int = 1, **attributes: Any) -> Made:
    """An RGB image of 40 x 36 pixels whose channels differ."""
    grid = np.indices((frames, 36, 40)).sum(axis=0)
    pixels = np.stack([grid * 3 % 256, grid * 2 % 200 + 30, 255 - grid], axis=-1).astype("u1")
    return make(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        NumberOfFrames=frames,
        Rows=36,
        Columns=40,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=pixels.tobytes(),
        **attributes,
    )
