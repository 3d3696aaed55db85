"""Accept headers: the strict filter of JSON resources and the lenient choice of image resources."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from systems.dicom_service.web.problems import NotAcceptable
from systems.dicom_service.web.request import Request

EXPLICIT_VR_LE = "1.2.840.10008.1.2.1"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
ORIGINAL = "*"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar
_MEDIA_TYPE = re.compile(
    rf'\s*({_TOKEN}/{_TOKEN})\s*(;\s*{_TOKEN}\s*=\s*({_TOKEN}|"(?:[^"\\]|\\.)*")\s*)*;?\s*'
)
_COVERING_JSON = frozenset({"application/dicom+json", "application/json", "application/*", "*/*"})


def require_json(request: Request) -> None:
    """Raise an empty 406 unless DICOM JSON is accepted (STOW-006, STOW-007, META-005, META-006, QIDO-011 to QIDO-013)."""
    covered = False
    lines = request.header_lines("accept")
    for entry in (part for line in lines for part in split_outside_quotes(line, ",")):
        if not entry.strip():
            continue
        match = _MEDIA_TYPE.fullmatch(entry)
        if match is None:
            raise NotAcceptable
        covered = covered or match.group(1).lower() in _COVERING_JSON
    if not covered:
        raise NotAcceptable


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at a separator that is not inside double quotes."""
    if '"' not in text:
        return text.split(separator)
    parts, start, quoted = [], 0, False
    for position, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif letter == separator and not quoted:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an Accept header, in lower case; for multipart the type of its parts."""

    media_type: str
    multipart: bool
    transfer_syntax: str | None
    quality: float


def entries(request: Request) -> list[Entry]:
    """Return the entries of the Accept header; those that do not parse are skipped (WADO-049)."""
    parts = [part for line in request.header_lines("accept") for part in split_outside_quotes(line, ",")]
    return [entry for entry in map(_entry, parts) if entry is not None]


def _entry(text: str) -> Entry | None:
    media_type, *rest = (part.strip() for part in split_outside_quotes(text, ";"))
    media_type = media_type.lower()
    if not re.fullmatch(rf"{_TOKEN}/{_TOKEN}", media_type):
        return None
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters.setdefault(name.strip().lower(), value.strip().strip('"').strip().lower())
    try:
        quality = float(parameters.get("q", 1))
    except ValueError:
        return None
    multipart = media_type == "multipart/related"
    return Entry(
        parameters.get("type", "") if multipart else media_type,
        multipart,
        parameters.get("transfer-syntax") or None,
        quality,
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """A media type a resource can be had in: its transfer syntaxes and the one meant when none is named."""

    media_type: str
    syntaxes: frozenset[str]
    default: str
    single: bool = True
    multipart: bool = True
    answer_type: str = ""
    """The media type the answer has; differs from `media_type` for wildcards."""
    always_multipart: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What was negotiated."""

    media_type: str
    transfer_syntax: str
    multipart: bool


_FILE_SYNTAXES = frozenset({ORIGINAL, EXPLICIT_VR_LE, JPEG_2000_LOSSLESS})
_FRAME_SYNTAXES = frozenset({ORIGINAL, EXPLICIT_VR_LE})

SEVERAL_FILES = (
    Offer("application/dicom", _FILE_SYNTAXES, EXPLICIT_VR_LE, single=False),
    Offer("*/*", _FILE_SYNTAXES, ORIGINAL, single=False, answer_type="application/dicom"),
)
ONE_FILE = (
    Offer("application/dicom", _FILE_SYNTAXES, EXPLICIT_VR_LE),
    Offer("*/*", _FILE_SYNTAXES, ORIGINAL, answer_type="application/dicom", always_multipart=True),
)
FRAMES = (
    Offer("application/octet-stream", _FRAME_SYNTAXES, EXPLICIT_VR_LE),
    Offer("*/*", _FRAME_SYNTAXES, ORIGINAL, answer_type="application/octet-stream", always_multipart=True),
    Offer("image/jp2", frozenset({JPEG_2000_LOSSLESS}), JPEG_2000_LOSSLESS, single=False),
)


def negotiate(request: Request, offers: Sequence[Offer]) -> Choice:
    """Return the best acceptable offer by q; among equals an explicit * wins (WADO-031, WADO-032).

    Raises a 406 with a sentence when nothing is acceptable or no Accept was sent (WADO-007).
    """
    best: Choice | None = None
    rank = (-1.0, False)
    for entry in entries(request):
        offer = next((offer for offer in offers if offer.media_type == entry.media_type), None)
        if offer is None or not (offer.multipart if entry.multipart else offer.single):
            continue
        syntax = entry.transfer_syntax or offer.default
        if syntax not in offer.syntaxes:
            continue
        explicit_original = entry.transfer_syntax == ORIGINAL
        candidate = (entry.quality, explicit_original)
        if best is None or candidate > rank or (explicit_original and candidate == rank):
            rank = candidate
            best = Choice(
                offer.answer_type or offer.media_type, syntax, entry.multipart or offer.always_multipart
            )
    if best is None:
        raise NotAcceptable(
            "The request headers are not acceptable: none of the accepted media types and transfer syntaxes can be "
            "produced for this resource."
        )
    return best


def rendered_type(request: Request) -> str:
    """Return image/jpeg or image/png for a rendered resource (REND-003 to REND-007); raises a 406."""
    accepted = entries(request)
    if not accepted:
        return "image/jpeg"
    if len(accepted) > 1:
        raise NotAcceptable("The request headers are not acceptable: name one image type only.")
    if accepted[0].media_type not in ("image/jpeg", "image/png"):
        raise NotAcceptable("The request headers are not acceptable: images are image/jpeg or image/png.")
    return accepted[0].media_type
