"""From an HL7 v2 message to a trigger (ROUTER-135, ROUTER-136, ROUTER-138)."""

from typing import Final

from systems.router.config.prefetch import Hl7Listener
from systems.router.prefetch.hl7_text import (
    MISSING,
    WRONG_EVENT,
    WRONG_PROCESSING,
    WRONG_TYPE,
    WRONG_VERSION,
    Header,
    RefusedMessageError,
    Segments,
    parse,
    part_of,
)
from systems.router.prefetch.trigger import Patient, Trigger, significant

# Diagnostic service sections of HL7 table 0074 that say one modality; its other codes say none or several.
_MODALITIES: Final = {
    "CT": "CT", "NMR": "MR", "RUS": "US", "CUS": "US", "VUS": "US", "OUS": "US", "NMS": "NM", "MR": "MR", "US": "US",
    "NM": "NM", "PT": "PT", "CR": "CR", "DX": "DX", "MG": "MG", "XA": "XA", "RF": "RF",
}  # fmt: skip


def read_order(payload: bytes, header: Header, settings: Hl7Listener, authority: str) -> Trigger:
    """The trigger in a message.

    Raises:
        RefusedMessageError: AR for a type, event, version or processing ID that is not supported, AE for content that
            cannot be used; the place is named.

    """
    if not (header.message_type or header.control_id or header.version):
        raise RefusedMessageError("AE", MISSING, "MSH^1", "the message has no readable MSH segment")
    _supported(header, settings)
    for field, value in ((10, header.control_id), (11, header.processing_id), (12, header.version)):
        if not value:
            raise RefusedMessageError("AE", MISSING, f"MSH^1^{field}", f"MSH-{field} is empty")
    segments = parse(payload, header)
    return Trigger(
        source="hl7",
        reference=header.control_id,
        message_type=f"{header.message_type}^{header.event}",
        patient=_patient(segments, authority),
        study_instance_uid=significant(segments.text("IPC", 3) or segments.text("ZDS", 1)),
        accession_number=significant(segments.text("IPC", 1) or segments.text("OBR", 18)),
        modality=significant(segments.text("IPC", 5))
        or _MODALITIES.get(segments.text("OBR", 24).strip().upper(), ""),
        body_part=_body_part(segments),
    )


def _supported(header: Header, settings: Hl7Listener) -> None:
    kind = f"{header.message_type}^{header.event}"
    if kind not in settings.message_types:
        known = {one.partition("^")[0] for one in settings.message_types}
        error = WRONG_EVENT if header.message_type in known else WRONG_TYPE
        raise RefusedMessageError(
            "AR", error, "MSH^1^9", "MSH-9: this message type or event is not taken here"
        )
    if header.version and header.version not in settings.versions:
        raise RefusedMessageError("AR", WRONG_VERSION, "MSH^1^12", "MSH-12: this version is not taken here")
    if header.processing_id and header.processing_id not in settings.processing_ids:
        raise RefusedMessageError(
            "AR", WRONG_PROCESSING, "MSH^1^11", "MSH-11: this processing ID is not taken here"
        )


def _patient(segments: Segments, authority: str) -> Patient:
    if not segments.has("PID"):
        raise RefusedMessageError("AE", MISSING, "PID^1", "the message has no PID segment")
    identifiers = [one for one in segments.repetitions("PID", 3) if significant(part_of(one, 1))]
    if not identifiers:
        raise RefusedMessageError("AE", MISSING, "PID^1^3", "PID-3.1 is empty: no patient is named")
    ours = [one for one in identifiers if authority and authority in _issuers(one)]
    chosen = (ours or identifiers)[0]
    names = [
        (part_of(one, 1), part_of(one, 2))
        for one in segments.repetitions("PID", 5)
        if part_of(one, 1) or part_of(one, 2)
    ]
    return Patient(significant(part_of(chosen, 1)), _issuers(chosen), tuple(names))


def _issuers(identifier: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Namespace and universal ID of the assigning authority, PID-3.4."""
    return tuple(name for name in (significant(part_of(identifier, 4, n)) for n in (1, 2)) if name)


def _body_part(segments: Segments) -> str:
    """The body site of the specimen source, OBR-15.4 (HL7 v2.5 section 4.5.3.15)."""
    return significant(segments.text("OBR", 15, 4)).upper()
