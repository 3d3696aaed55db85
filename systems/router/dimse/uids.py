"""The SOP classes and transfer syntaxes the router negotiates (ROUTER-021, ROUTER-022, ROUTER-025)."""

from typing import Final

# An implementation UID of our own under the 2.25 root, fixed so that stored files can be told apart by writer.
IMPLEMENTATION_CLASS_UID: Final = "2.25.302842183187429830918224137250863412903"
IMPLEMENTATION_VERSION_NAME: Final = "DICOM_ROUTER_1"

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"

PATIENT_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
MODALITY_WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"

FIND_CLASSES: Final = frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND})
MOVE_CLASSES: Final = frozenset({PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE})
GET_CLASSES: Final = frozenset({PATIENT_ROOT_GET, STUDY_ROOT_GET})
PATIENT_ROOT_CLASSES: Final = frozenset({PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET})
QUERY_RETRIEVE_CLASSES: Final = FIND_CLASSES | MOVE_CLASSES | GET_CLASSES

IMPLICIT_VR_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LE: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BE: Final = "1.2.840.10008.1.2.2"

UNCOMPRESSED_LE: Final = (EXPLICIT_VR_LE, IMPLICIT_VR_LE)

_JPEG: Final = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
_JPEG_LS: Final = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81))
_JPEG_2000: Final = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93))
_MPEG: Final = tuple(
    f"1.2.840.10008.1.2.4.{n}{tail}" for n in range(100, 107) for tail in ("", ".1")
) + tuple(f"1.2.840.10008.1.2.4.{n}" for n in (107, 108))
_HTJ2K: Final = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
_RLE: Final = "1.2.840.10008.1.2.5"

STORAGE_TRANSFER_SYNTAXES: Final = (
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    DEFLATED_EXPLICIT_VR_LE,
    EXPLICIT_VR_BE,
    *_JPEG,
    *_JPEG_LS,
    *_JPEG_2000,
    *_HTJ2K,
    *_MPEG,
    _RLE,
)
