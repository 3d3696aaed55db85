"""The trigger in an arriving object (ROUTER-137)."""

from typing import Final

from systems.router.objects import Received
from systems.router.prefetch.trigger import Patient, Trigger, significant
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import read_file_meta, scan, scan_part10

_CHARACTER_SET: Final = 0x00080005
_ACCESSION: Final = 0x00080050
_NAME: Final = 0x00100010
_ID: Final = 0x00100020
_ISSUER: Final = 0x00100021
_BODY_PART: Final = 0x00180015
_WANTED: Final = frozenset({_CHARACTER_SET, _ACCESSION, _NAME, _ID, _ISSUER, _BODY_PART})
_HEAD_BYTES: Final = 256 * 1024


def trigger_of(received: Received) -> Trigger | None:
    """The trigger; None where the object names no patient or its head cannot be read."""
    try:
        found = _scan(received)
    except (HeaderError, OSError):
        return None
    texts = _decoded(found)
    patient_id = significant(texts.get(_ID, ""))
    if not patient_id:
        return None
    issuer = significant(texts.get(_ISSUER, ""))
    groups = [[*group.split("^"), ""] for group in texts.get(_NAME, "").split("=")]
    names = tuple((group[0], group[1]) for group in groups if group[0].strip() or group[1].strip())
    return Trigger(
        source="arrival",
        reference=received.identity.sop_instance_uid,
        message_type="",
        patient=Patient(patient_id, (issuer,) if issuer else (), names),
        study_instance_uid=received.identity.study_instance_uid,
        accession_number=significant(texts.get(_ACCESSION, "")),
        modality=received.identity.modality,
        body_part=significant(texts.get(_BODY_PART, "")),
    )


def _scan(received: Received) -> dict[int, bytes]:
    if received.file is None:
        return scan(b"".join(received.body), received.identity.transfer_syntax_uid, _WANTED)
    with received.opened() as file:
        head = file.read(_HEAD_BYTES)
    return scan_part10(head, read_file_meta(head), _WANTED)


def _decoded(found: dict[int, bytes]) -> dict[int, str]:
    """The texts, by the object's Specific Character Set."""
    from pydicom.charset import convert_encodings, decode_bytes  # noqa: PLC0415 - see dimse.identifier

    names = found.get(_CHARACTER_SET, b"").decode("ascii", "replace").strip(" \0")
    encodings = convert_encodings([name.strip() for name in names.split("\\")])
    return {
        tag: decode_bytes(value, encodings, {ord("^"), ord("=")}).strip(" \0") for tag, value in found.items()
    }
