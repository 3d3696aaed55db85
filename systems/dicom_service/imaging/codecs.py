"""Which library decodes and encodes each transfer syntax.

Named, because pydicom would otherwise try every plug-in it finds: GDCM ends the process on some images, so it only
gets the JPEG lossless processes, which no other library at hand reads, and that in a process of its own (`isolated`).
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, JPEG2000Lossless

from systems.dicom_service.imaging.errors import CannotTranscode

ISOLATED = "gdcm"
"""The plug-in that must not run in this process."""

_OPENJPEG = "pylibjpeg"
# OpenJPEG's default of six resolution levels needs 32 rows and columns.
_LEAST_OPENJPEG = 32
# Where a codestream says precision and sign of its first component (ISO/IEC 15444-1 A.5.1).
_SSIZ = 42
_DECODERS: Mapping[str, str] = {
    "1.2.840.10008.1.2.4.50": "pillow",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51": "pillow",  # JPEG Extended, 8 bit only
    "1.2.840.10008.1.2.4.57": ISOLATED,  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": ISOLATED,  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90": _OPENJPEG,  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91": _OPENJPEG,  # JPEG 2000
    "1.2.840.10008.1.2.4.201": _OPENJPEG,  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202": _OPENJPEG,  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203": _OPENJPEG,  # HTJ2K
    "1.2.840.10008.1.2.5": "pylibjpeg",  # RLE Lossless, by pylibjpeg-rle
}


def is_compressed(transfer_syntax_uid: str) -> bool:
    """Say whether pixel data in the transfer syntax needs a decoder; raises `CannotTranscode` for a private one."""
    try:
        return UID(transfer_syntax_uid).is_encapsulated
    except ValueError as error:
        raise CannotTranscode(f"{transfer_syntax_uid} is no known transfer syntax") from error


def decoder(transfer_syntax_uid: str) -> str:
    """Return the name of the plug-in that decodes the transfer syntax, "" for an uncompressed one.

    Raises `CannotTranscode` when there is none.
    """
    if not is_compressed(transfer_syntax_uid):
        return ""
    name = _DECODERS.get(transfer_syntax_uid)
    if name is None:
        raise CannotTranscode(f"there is no decoder for {transfer_syntax_uid}")
    return name


def compress(dataset: Dataset) -> None:
    """Encode the native pixel data of a data set as JPEG 2000 Lossless, in place."""
    if min(int(dataset.Rows), int(dataset.Columns)) < _LEAST_OPENJPEG:
        _compress_small(dataset)
    else:
        dataset.compress(JPEG2000Lossless, encoding_plugin=_OPENJPEG, generate_instance_uid=False)


def _compress_small(dataset: Dataset) -> None:
    """Encode with Pillow, which can be told to make one resolution level only."""
    if int(dataset.BitsAllocated) not in (8, 16):
        raise CannotTranscode("images this small are encoded from samples of 8 or 16 bits only")
    frames = [_small_frame(dataset, array) for array in iter_pixels(dataset, raw=True)]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _small_frame(dataset: Dataset, array: NDArray[Any]) -> bytes:
    signed = array.dtype.kind == "i"
    if signed:
        # Unsigned samples are coded less half their range (ISO/IEC 15444-1 G.1.2), so these are coded as they were.
        array = array.view(f"u{array.dtype.itemsize}") ^ (1 << (8 * array.dtype.itemsize - 1))
    out = BytesIO()
    # The multi-component transform is there for RGB alone (PS3.5 section 8.2.4).
    mct = int(dataset.PhotometricInterpretation == "YBR_RCT")
    Image.fromarray(array).save(out, "JPEG2000", num_resolutions=1, no_jp2=True, mct=mct)
    codestream = bytearray(out.getvalue())
    if signed:
        codestream[_SSIZ] |= 0x80
    return bytes(codestream)
