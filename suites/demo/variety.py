"""The encodings and kinds of objects that the demo's claims are checked with."""

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

SYNTAXES = {
    "implicit": str(ImplicitVRLittleEndian),
    "explicit": str(ExplicitVRLittleEndian),
    "deflated": str(DeflatedExplicitVRLittleEndian),
    "jpeg-lossless": str(JPEGLosslessSV1),
    "jpeg-2000": str(JPEG2000Lossless),
}
"""The encodings of CLAIM-PUSH-01, by name."""

CODEC_FAMILIES = {
    "native": str(ExplicitVRLittleEndian),
    "deflated": str(DeflatedExplicitVRLittleEndian),
    "rle": str(RLELossless),
    "jpeg": str(JPEGLosslessSV1),
    "jpeg-ls": str(JPEGLSLossless),
    "jpeg-2000": str(JPEG2000Lossless),
}
"""One transfer syntax of each codec family (CLAIM-INTEGRITY-01)."""

SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US multi-frame": "1.2.840.10008.5.1.4.1.1.3.1",
    "secondary capture": "1.2.840.10008.5.1.4.1.1.7",
    "ophthalmic photography": "1.2.840.10008.5.1.4.1.1.77.1.5.1",
    "ophthalmic tomography": "1.2.840.10008.5.1.4.1.1.77.1.5.4",
}
"""The classes of the demo's PACS connection (ROUTER-021)."""
