"""From the bytes of an HL7 v2 message to its parsed segments, and what is wrong with it where that fails."""

import re
from dataclasses import dataclass
from typing import Any, Final

import hl7

from systems.router.errors import RouterError

MISSING: Final = (101, "Required field missing")
DATA_TYPE: Final = (102, "Data type error")
NOT_IN_TABLE: Final = (103, "Table value not found")
SEQUENCE: Final = (100, "Segment sequence error")
WRONG_TYPE: Final = (200, "Unsupported message type")
WRONG_EVENT: Final = (201, "Unsupported event code")
WRONG_PROCESSING: Final = (202, "Unsupported processing id")
WRONG_VERSION: Final = (203, "Unsupported version id")
INTERNAL: Final = (207, "Application internal error")

_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_JAPANESE: Final = "iso2022_jp_2"
# HL7 table 0211. What is not in it, or no Python codec reads, is refused and not guessed.
_CODECS: Final = {
    "": "utf-8",
    "ASCII": "ascii",
    "ISO IR6": "ascii",
    **{f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "ISO IR14": _JAPANESE,
    "ISO IR87": _JAPANESE,
    "ISO IR159": _JAPANESE,
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE UTF-8": "utf-8",
}


class RefusedMessageError(RouterError):
    """The message is not taken: `code` AE or AR, `error` of HL7 table 0357, `place` such as PID^1^3; no patient data."""

    def __init__(self, code: str, error: tuple[int, str], place: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.error = error
        self.place = place


@dataclass(frozen=True, slots=True)
class Header:
    """What an acknowledgement needs to know of a message, as far as its MSH segment can be read."""

    sending: tuple[str, str] = ("", "")
    receiving: tuple[str, str] = ("", "")
    message_type: str = ""
    event: str = ""
    control_id: str = ""
    processing_id: str = ""
    version: str = ""
    character_set: str = ""


def read_header(payload: bytes) -> Header:
    """The MSH segment, read leniently; an empty header where there is none.

    Identifiers in it are ASCII by their tables, so it is read before the character set is known.
    """
    line = re.split(rb"[\r\n]", payload, maxsplit=1)[0].decode("latin-1")
    if not line.startswith("MSH") or len(line) < 8:
        return Header()
    fields = [line[:3], line[3], *line[4:].split(line[3])]
    fields += [""] * (19 - len(fields))
    component, repetition = fields[2][0], fields[2][1:2] or "~"
    kind = [*fields[9].split(component), "", ""]
    return Header(
        sending=(fields[3], fields[4]),
        receiving=(fields[5], fields[6]),
        message_type=kind[0].strip(),
        event=kind[1].strip(),
        control_id=fields[10],
        processing_id=fields[11].split(component)[0].strip(),
        version=fields[12].split(component)[0].strip(),
        character_set="~".join(part.strip() for part in fields[18].split(repetition)),
    )


def parse(payload: bytes, header: Header) -> "Segments":
    """Parse a whole message.

    Raises:
        RefusedMessageError: a segment is damaged or the text is not in its character set; the place is named.

    """
    text = _decoded(payload, header).replace("\r\n", "\r").replace("\n", "\r").strip("\r")
    lines = text.split("\r")
    first = lines[0]
    encoding = first[4:].split(first[3:4] or "|", 1)[0] if first.startswith("MSH") else ""
    if len(set(encoding)) not in (4, 5) or len(set(encoding)) != len(encoding) or encoding.isalnum():
        raise RefusedMessageError(
            "AE", DATA_TYPE, "MSH^1^2", "MSH-2: the separators of the message cannot be read"
        )
    for number, line in enumerate(lines, 1):
        if not _SEGMENT.fullmatch(line[:3]) or line[3:4] not in ("", first[3]):
            raise RefusedMessageError(
                "AE", SEQUENCE, "", f"line {number} of the message is not a segment: it is damaged or cut"
            )
    try:
        return Segments(hl7.parse(text))
    except (hl7.HL7Exception, LookupError, ValueError) as error:
        raise RefusedMessageError(
            "AE", DATA_TYPE, "", f"the message cannot be parsed ({type(error).__name__})"
        ) from error


def _decoded(payload: bytes, header: Header) -> str:
    names = header.character_set.split("~")
    unknown = [name for name in names if name not in _CODECS]
    if unknown:
        raise RefusedMessageError(
            "AE", NOT_IN_TABLE, "MSH^1^18", "MSH-18: the character set is not supported"
        )
    codecs = [_CODECS[name] for name in names]
    codec = _JAPANESE if _JAPANESE in codecs else codecs[0]
    try:
        return payload.decode(codec)
    except UnicodeDecodeError as error:
        if not header.character_set:
            # Many senders leave the field out and write Latin-1.
            return payload.decode("latin-1")
        place = _place(payload, error.start)
        raise RefusedMessageError(
            "AE",
            DATA_TYPE,
            place,
            f"{place.partition('^')[0] or 'the message'}: the text is not in the character set that MSH-18 names",
        ) from error


def _place(payload: bytes, offset: int) -> str:
    """The segment in which an offset lies."""
    line = re.split(rb"[\r\n]", payload[:offset])[-1] + payload[offset : offset + 3]
    name = line[:3].decode("latin-1")
    return f"{name}^1" if _SEGMENT.fullmatch(name) else ""


class Segments:
    """The segments of one message; absent fields and components are empty texts."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def has(self, name: str) -> bool:
        """Whether there is a segment of that name."""
        return any(str(segment[0]) == name for segment in self._message)

    def repetitions(self, name: str, field: int) -> list[tuple[tuple[str, ...], ...]]:
        """A field of the first segment of that name: its repetitions, each with components of subcomponents."""
        segment = next((one for one in self._message if str(one[0]) == name), None)
        if segment is None or len(segment) <= field:
            return []
        return [tuple(self._component(part) for part in _parts(one)) for one in _parts(segment[field])]

    def text(self, name: str, field: int, component: int = 1) -> str:
        """The first subcomponent of a component of the first repetition."""
        found = self.repetitions(name, field)
        return part_of(found[0], component) if found else ""

    def _component(self, component: Any) -> tuple[str, ...]:
        return tuple(self._plain(part) for part in _parts(component))

    def _plain(self, part: Any) -> str:
        text = str(self._message.unescape(str(part)))
        # Two quotation marks mean "delete this", which is no value (HL7 v2.5 section 2.5.3).
        return "" if text == '""' else text


def _parts(container: Any) -> list[Any]:
    return [container] if isinstance(container, str) else list(container)


def part_of(repetition: tuple[tuple[str, ...], ...], component: int, subcomponent: int = 1) -> str:
    """A subcomponent by HL7's numbering, from 1; empty where it is absent."""
    if len(repetition) < component or len(repetition[component - 1]) < subcomponent:
        return ""
    return repetition[component - 1][subcomponent - 1]
