"""Single frames out of Part 10 bytes, as stored, decompressed or as JPEG 2000 (FRAME-001 to FRAME-024)."""

from collections.abc import Sequence
from io import BytesIO

from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames

from systems.dicom_service.imaging.codecs import is_compressed
from systems.dicom_service.imaging.errors import CannotTranscode, NoPixelData, NoSuchFrame
from systems.dicom_service.imaging.reading import codec_failures, open_dataset
from systems.dicom_service.imaging.transcoding import convert, has_pixels


def stored_frames(part10: bytes, numbers: Sequence[int]) -> list[bytes]:
    """Return frames (numbered from 1) as they are stored, in the order asked for.

    Raises `NoPixelData`, `NoSuchFrame`, or `CannotTranscode` when the file cannot be read.
    """
    return _frames(open_dataset(part10), numbers)


def transcoded_frames(part10: bytes, numbers: Sequence[int], transfer_syntax_uid: str) -> list[bytes]:
    """Return frames in Explicit VR Little Endian or as bare JPEG 2000 Lossless codestreams; raises as `stored_frames`."""
    dataset = open_dataset(part10)
    check_frames(dataset, numbers)
    if dataset.file_meta.TransferSyntaxUID == transfer_syntax_uid:
        return _frames(dataset, numbers)
    wanted = sorted(set(numbers))
    keep_only(dataset, wanted)
    convert(dataset, transfer_syntax_uid)
    converted = dict(zip(wanted, _frames(dataset, range(1, len(wanted) + 1)), strict=True))
    return [converted[number] for number in numbers]


def keep_only(dataset: FileDataset, numbers: Sequence[int]) -> None:
    """Leave other frames out, so that only the wanted ones are decoded and encoded; raises as `stored_frames`."""
    if len(numbers) == frame_count(dataset):
        return
    frames = _frames(dataset, numbers)
    encapsulated = is_compressed(dataset.file_meta.TransferSyntaxUID)
    dataset["PixelData"].value = encapsulate(frames) if encapsulated else b"".join(frames)
    dataset.NumberOfFrames = len(numbers)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            del dataset[keyword]


def check_frames(dataset: FileDataset, numbers: Sequence[int]) -> None:
    """Raise `NoPixelData` or `NoSuchFrame`."""
    if not has_pixels(dataset):
        raise NoPixelData("the instance has no pixel data")
    if max(numbers) > frame_count(dataset):
        raise NoSuchFrame(f"the instance has {frame_count(dataset)} frames")


def frame_count(dataset: FileDataset) -> int:
    """Return the number of frames; one when the attribute is absent."""
    with codec_failures():
        return max(1, int(dataset.get("NumberOfFrames") or 1))


def _frames(dataset: FileDataset, numbers: Sequence[int]) -> list[bytes]:
    check_frames(dataset, numbers)
    with codec_failures():
        if is_compressed(dataset.file_meta.TransferSyntaxUID):
            return _encapsulated(dataset, numbers)
        return _native(dataset, numbers)


def _native(dataset: FileDataset, numbers: Sequence[int]) -> list[bytes]:
    samples = int(dataset.get("SamplesPerPixel") or 1)
    bits = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated)
    if bits % 8:
        raise CannotTranscode("frames that do not end at a byte cannot be told apart")
    size, pixels = bits // 8, dataset.PixelData
    if max(numbers) * size > len(pixels):
        raise NoSuchFrame("the pixel data ends before the frame")
    return [pixels[(number - 1) * size : number * size] for number in numbers]


def _encapsulated(dataset: FileDataset, numbers: Sequence[int]) -> list[bytes]:
    count, last = frame_count(dataset), max(numbers)
    wanted = set(numbers)
    found: dict[int, bytes] = {}
    offsets = dataset.get("ExtendedOffsetTable")
    extended = (offsets, dataset.ExtendedOffsetTableLengths) if offsets else None
    frames = generate_frames(BytesIO(dataset.PixelData), number_of_frames=count, extended_offsets=extended)
    for number, frame in enumerate(frames, 1):
        if number in wanted:
            found[number] = frame
        if number >= last:
            break
    if len(found) < len(wanted):
        raise NoSuchFrame("the pixel data ends before the frame")
    return [found[number] for number in numbers]
