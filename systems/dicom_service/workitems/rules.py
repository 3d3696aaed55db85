"""What a work item must hold: rules for attributes and, below a sequence, for its items (PS3.4 CC.2.5)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from systems.dicom_service.dicom.attributes import shown
from systems.dicom_service.workitems.items import Item, is_empty, members
from systems.dicom_service.workitems.tags import tag_of


class Need(Enum):
    """How an attribute must be there."""

    VALUE = "1"
    """Present with a value."""
    PRESENT = "2"
    """Present, with or without a value."""
    NOT_EMPTY = "3"
    """May be absent; when present it has a value (types 3 and 1C)."""
    FREE = "2C"
    """May be absent or empty."""
    ABSENT = "0"
    """Must not be present."""
    BLANK = "2-"
    """Present without a value."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute, its need, and the rules of its items."""

    tag: int
    need: Need
    below: "tuple[Rule, ...]" = ()

    @property
    def key(self) -> str:
        """The DICOM JSON key."""
        return f"{self.tag:08X}"


class Broken(Exception):  # noqa: N818 - an answer, no fault of the program
    """A work item breaks a rule; the text names the tag."""


Rules = tuple[Rule, ...]


def rules(*lines: str, below: Mapping[str, Rules] | None = None) -> Rules:
    """Return the rules of lines such as "1 CodeMeaning": a need, then keywords; `below` has the rules of items.

    Raises `KeyError` for a keyword that the data dictionary does not have.
    """
    items = dict(below or {})
    made = []
    for line in lines:
        need, *keywords = line.split()
        made += [Rule(tag_of(word), Need(need), items.pop(word, ())) for word in keywords]
    if items:
        raise KeyError(f"rules for the items of {', '.join(items)}, which no line names")
    return tuple(made)


def check(item: Item, wanted: Iterable[Rule]) -> None:
    """Raise `Broken` for the first rule that does not hold, at any depth."""
    for rule in wanted:
        _check_one(item, rule)
        for member in members(item, rule.key) if rule.below else ():
            check(member, rule.below)


def _check_one(item: Item, rule: Rule) -> None:
    entry, need = item.get(rule.key), rule.need
    if entry is None:
        if need in (Need.VALUE, Need.PRESENT, Need.BLANK):
            raise Broken(f"The required attribute {shown(rule.tag)} is missing.")
    elif need is Need.ABSENT:
        raise Broken(f"The attribute {shown(rule.tag)} cannot be present.")
    elif need in (Need.VALUE, Need.NOT_EMPTY) and is_empty(entry):
        raise Broken(f"The attribute {shown(rule.tag)} must not be empty.")
    elif need is Need.BLANK and not is_empty(entry):
        raise Broken(f"The attribute {shown(rule.tag)} must be empty.")
