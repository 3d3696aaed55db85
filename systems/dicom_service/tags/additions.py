"""What a request may add: members first, then what each tag has to be (TAG-003 to TAG-024, TAG-069, TAG-070)."""

from dataclasses import dataclass
from typing import Any

from systems.dicom_service.dicom import dictionary
from systems.dicom_service.dicom.attributes import MODALITIES_IN_STUDY, SEARCHABLE, Level
from systems.dicom_service.dicom.rules_v1 import has_control
from systems.dicom_service.tags.paths import is_private, is_reservation, parse_path
from systems.dicom_service.web.json_body import member
from systems.dicom_service.web.problems import BadRequest

SUPPORTED_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DT", "FD", "FL", "IS", "LO", "PN", "SH", "SL", "SS", "TM", "UI", "UL", "US"}
)
_UNSUPPORTED_VRS = frozenset(
    {"AT", "DS", "LT", "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "ST", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_LEVELS = {"instance": Level.INSTANCE, "series": Level.SERIES, "study": Level.STUDY}
_LONGEST_CREATOR = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """One element of the request, members as given."""

    path: str
    level: Level
    vr: str | None
    creator: str | None


@dataclass(frozen=True, slots=True)
class NewTag:
    """A tag that may be added."""

    path: str
    vr: str
    level: Level
    creator: str | None


def wanted(body: Any) -> list[Wanted]:
    """Return the elements of the body; raises the 400s of TAG-004 to TAG-008."""
    if not isinstance(body, list):
        raise BadRequest(
            "The field '$' in request body is invalid: an array of extended query tags is expected."
        )
    if not body:
        raise BadRequest("The extended query tag(s) is missing.")
    return [_element(element, number) for number, element in enumerate(body)]


def _element(element: Any, number: int) -> Wanted:
    if not isinstance(element, dict):
        raise BadRequest(f"The field '$[{number}]' in request body is invalid: an object is expected.")
    level = _level(element, number)
    path, vr, creator = (_text(element, name, number) for name in ("path", "vr", "privateCreator"))
    if path is None:
        raise _unspecified("Path", number)
    if level is None:
        raise _unspecified("Level", number)
    return Wanted(path, level, vr, creator)


def _unspecified(name: str, number: int) -> BadRequest:
    return BadRequest(
        f"The field '[{number}].{name}' in request body is invalid: The Dicom Tag Property {name} must be specified "
        "and must not be null, empty or whitespace."
    )


def _text(element: dict[str, Any], name: str, number: int) -> str | None:
    """Return a member, None for a blank one (TAG-069)."""
    key, value = member(element, name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"The field '$[{number}].{key}' in request body is invalid: a string is expected.")
    return value if value and value.strip() else None


def _level(element: dict[str, Any], number: int) -> Level | None:
    key, value = member(element, "level")
    if value is None:
        return None
    level = _LEVELS.get(value.lower()) if isinstance(value, str) else None
    if level is None:
        raise BadRequest(
            f"The field '$[{number}].{key}' in request body is invalid: Expected value '{value}' to be one of the "
            "following values: ['Instance', 'Series', 'Study']"
        )
    return level


def checked(elements: list[Wanted]) -> list[NewTag]:
    """Return the tags of a request; raises the 400 of the first that cannot be one, so that all or none are added."""
    tags: dict[str, NewTag] = {}
    for element in elements:
        tag = _checked(element)
        if tag.path in tags:
            raise BadRequest(f"The extended query tag '{element.path[:64]}' has been specified before.")
        tags[tag.path] = tag
    return list(tags.values())


def _checked(element: Wanted) -> NewTag:
    number = parse_path(element.path)
    shown = f"{number:08X}"
    if number in SEARCHABLE or number == MODALITIES_IN_STUDY:
        raise BadRequest(f"The query tag '{shown}' is already supported.")
    _check_creator(number, element.creator)
    return NewTag(shown, _vr(number, element.vr), element.level, element.creator)


def _check_creator(number: int, creator: str | None) -> None:
    shown = f"{number:08X}"
    if not is_private(number):
        if creator is not None:
            raise BadRequest(f"The private creator of standard tag '{shown}' is not empty.")
    elif is_reservation(number):
        if creator is not None:
            raise BadRequest(
                f"The private creator of tag '{shown}' is not empty: a private creator element has none itself."
            )
    elif creator is None:
        raise BadRequest(f"The private creator of private tag '{shown}' is missing.")
    elif len(creator) > _LONGEST_CREATOR or has_control(creator) or "\\" in creator:
        raise BadRequest(f"The private creator of tag '{shown}' is no valid value of VR LO.")


def _vr(number: int, given: str | None) -> str:
    shown = f"{number:08X}"
    if given is None:
        if is_private(number):
            raise BadRequest(f"The vr of private tag '{shown}' is missing.")
        vr = dictionary.vr(number).partition(" ")[0]
    else:
        vr = given.strip().upper()
        if vr not in SUPPORTED_VRS | _UNSUPPORTED_VRS:
            raise BadRequest(f"The VR code '{given[:16]}' of tag '{shown}' is invalid.")
    if vr not in SUPPORTED_VRS:
        raise BadRequest(f"The VR code '{vr}' of tag '{shown}' is not supported.")
    if not is_private(number) and vr not in dictionary.vr(number).split(" or "):
        expected = dictionary.vr(number)
        raise BadRequest(
            f"The VR code '{vr}' is incorrectly specified for '{shown}'. The expected VR is {expected}."
        )
    return vr
