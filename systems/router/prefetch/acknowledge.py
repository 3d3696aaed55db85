"""The answer to an HL7 v2 message: MSH, MSA and, for a refusal, ERR with the place (ROUTER-136)."""

import uuid
from datetime import UTC, datetime

from systems.router.prefetch.hl7_text import Header, RefusedMessageError

_EARLY_ERR = frozenset({"2.1", "2.2", "2.3", "2.3.1", "2.4"})


def acknowledge(header: Header, refused: RefusedMessageError | None = None) -> bytes:
    """An acknowledgement in original mode: AA, or what `refused` says. MSA-2 echoes MSH-10."""
    segments = [_msh(header), _msa(header, refused)]
    if refused is not None:
        segments.append(_err(header, refused))
    return "".join(f"{segment}\r" for segment in segments).encode("latin-1", "replace")


def _msh(header: Header) -> str:
    kind = f"ACK^{header.event}" if header.event else "ACK"
    if header.event and header.version not in _EARLY_ERR - {"2.4"}:
        kind += "^ACK"
    moment = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    fields = [
        "MSH",
        "^~\\&",
        *header.receiving,
        *header.sending,
        moment,
        "",
        kind,
        uuid.uuid4().hex[:20],
        header.processing_id or "P",
        header.version or "2.5",
    ]
    return "|".join(fields)


def _msa(header: Header, refused: RefusedMessageError | None) -> str:
    fields = ["MSA", refused.code if refused else "AA", header.control_id]
    return "|".join([*fields, _escaped(str(refused))] if refused else fields)


def _err(header: Header, refused: RefusedMessageError) -> str:
    number, text = refused.error
    if header.version in _EARLY_ERR:
        place = [*refused.place.split("^"), "", "", ""][:3]
        return f"ERR|{'^'.join(place)}^{number}&{text}&HL70357"
    return f"ERR||{refused.place}|{number}^{text}^HL70357|E||||{_escaped(str(refused))}"


def _escaped(text: str) -> str:
    """A text as a field: its separators as escape sequences."""
    for sign, code in (("\\", "E"), ("|", "F"), ("^", "S"), ("&", "T"), ("~", "R")):
        text = text.replace(sign, f"\\{code}\\")
    return text
