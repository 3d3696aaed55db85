"""Examines one incoming instance: what it is, whether it may be stored and what is to be remarked about it."""

from dataclasses import dataclass, field

from systems.dicom_service.dicom import dictionary, rules_v1, rules_v2
from systems.dicom_service.dicom.attributes import (
    PATIENT_ID,
    SERIES_ATTRIBUTES,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_ATTRIBUTES,
    STUDY_INSTANCE_UID,
    V1_CHECKED,
    Indexed,
    shown,
)
from systems.dicom_service.dicom.elements import Buffer, DataSet, open_part10
from systems.dicom_service.dicom.quick import open_usual
from systems.dicom_service.dicom.text import TEXT_VRS, Decoder, unpadded
from systems.dicom_service.dicom.uids import is_uid
from systems.dicom_service.tags.definitions import NO_TAGS, TagSet
from systems.dicom_service.tags.index import Entry
from systems.dicom_service.tags.instances import found_in

FAILED_VALIDATION = 43264
WARNED = 1
IMPLICIT_VR = 45063

_UIDS = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
_REQUIRED_ORDER = (SOP_CLASS_UID, *_UIDS)
_KEPT_THOUGH_WARNED = frozenset(_UIDS)
MULTIPLE_VALUES = (
    "The store request contains attributes with several values; only the first value is indexed."
)


@dataclass(slots=True)
class Examined:
    """What a store does with one instance."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_uid: str = ""
    series_uid: str = ""
    transfer_syntax_uid: str = ""
    failed: bool = False
    reasons: list[str] = field(default_factory=list)
    warning: int | None = None
    dropped: tuple[int, ...] = ()
    """Root tags with a warning: kept in the file, absent from metadata and index (STOW-096)."""
    multiple_values: bool = False
    study_values: tuple[str | None, ...] = ()
    series_values: tuple[str | None, ...] = ()
    head_stop: int = 0
    tail_start: int = 0
    tag_generation: int = 0
    tag_entries: tuple[Entry, ...] = ()
    """Values of the extended query tags of that generation."""


def examine(
    data: Buffer, *, version: int, study: str | None, tags: TagSet = NO_TAGS, full: bool = False
) -> Examined:
    """Judge an incoming file by the rules of major `version`; `study` is the UID of the path, if any.

    With `full` every root element is validated and named, also under v1 (STOW-129).

    Raises `HeaderError` when the bytes cannot be parsed at all (STOW-026).
    """
    opened = open_usual(data) if version == 2 and not full and not tags.by_number else None
    meta, data_set = opened or open_part10(data)
    examination = _Examination(data_set, meta.transfer_syntax_uid, version, study, tags, full=full)
    return examination.run(len(data), usual=opened is not None)


class _Examination:
    def __init__(
        self,
        data_set: DataSet,
        transfer_syntax_uid: str,
        version: int,
        study: str | None,
        tags: TagSet,
        *,
        full: bool,
    ) -> None:
        self._data_set = data_set
        self._decoder = Decoder(data_set)
        self._version = version
        self._study = study
        self._tags = tags
        self._violations = rules_v2.root_violations if full else rules_v2.violations
        self._full = full
        self._syntax = transfer_syntax_uid
        self._reasons: dict[int, str] = {}
        self._fatal: dict[int, str] = {}
        self._multiple = False
        self._known: dict[int, list[str] | None] = {}

    def run(self, size: int, *, usual: bool) -> Examined:
        self._check_required()
        if self._version == 1:
            self._check_v1()
            self._check_v1_tags()
            if self._full:
                self._fatal = {**self._violations(self._data_set, self._decoder), **self._fatal}
        else:
            if not usual:
                self._reasons = self._violations(self._data_set, self._decoder)
            if not self._fatal:
                self._check_v2_patient_id()
        found = Examined(self._first(SOP_CLASS_UID), self._first(SOP_INSTANCE_UID))
        found.multiple_values = self._multiple
        found.failed = bool(self._fatal)
        found.reasons = list({**self._reasons, **self._fatal}.values())
        if not found.failed:
            self._describe(found, size)
        return found

    def _describe(self, found: Examined, size: int) -> None:
        found.study_uid = unpadded(self._first(STUDY_INSTANCE_UID) or "")
        found.series_uid = unpadded(self._first(SERIES_INSTANCE_UID) or "")
        found.transfer_syntax_uid = self._syntax
        found.dropped = tuple(tag for tag in self._reasons if tag not in _KEPT_THOUGH_WARNED)
        if self._version == 2 and SOP_CLASS_UID in self._reasons:
            found.sop_class_uid = None
        if not self._data_set.explicit:
            found.warning = IMPLICIT_VR
        elif self._reasons:
            found.warning = WARNED
        found.study_values = tuple(self._indexed(attribute) for attribute in STUDY_ATTRIBUTES)
        found.series_values = tuple(self._indexed(attribute) for attribute in SERIES_ATTRIBUTES)
        found.tag_generation = self._tags.generation
        if self._tags.by_number:
            tags = found_in(self._data_set, self._decoder, self._tags.indexed, found.dropped)
            found.tag_entries = tuple(tags.entries)
        inflated = self._data_set.pixels_start < 0
        found.head_stop = size if inflated else self._data_set.pixels_start
        found.tail_start = size if inflated else self._data_set.pixels_stop

    def _values(self, tag: int) -> list[str] | None:
        """Return the values of an element as text, [] for an empty one, None for an absent one."""
        if tag not in self._known:
            self._known[tag] = self._read_values(tag)
        return self._known[tag]

    def _read_values(self, tag: int) -> list[str] | None:
        element = self._data_set.by_tag.get(tag)
        if element is None:
            return None
        vr = element.vr if element.vr in TEXT_VRS else "LO"
        text = self._decoder.text(vr, self._data_set.value(element))
        text = text.rstrip("\0 ") if vr == "UI" else text.rstrip(" ")
        return text.split("\\") if text else []

    def _first(self, tag: int) -> str | None:
        values = self._values(tag)
        return values[0] if values and values[0] else None

    def _check_required(self) -> None:
        """Stop at the first failure, in the order of STOW-058."""
        for tag in _REQUIRED_ORDER:
            values = self._values(tag)
            if values is None or len(values) != 1 or not values[0]:
                self._multiple = values is not None and len(values) > 1
                self._fatal[tag] = _missing(tag)
                return
        if self._study is not None and unpadded(self._first(STUDY_INSTANCE_UID) or "") != self._study:
            self._fatal[STUDY_INSTANCE_UID] = (
                f"DICOM100: {shown(STUDY_INSTANCE_UID)} - The StudyInstanceUid in the payload does not match "
                "the specified StudyInstanceUid."
            )
            return
        self._check_patient_id()
        self._check_uid_values()

    def _check_patient_id(self) -> None:
        values = self._values(PATIENT_ID)
        count = len(values or [])
        self._multiple = self._multiple or count > 1
        if values is None or (self._version == 1 and count != 1):
            self._fatal[PATIENT_ID] = _missing(PATIENT_ID)

    def _check_uid_values(self) -> None:
        checked = _REQUIRED_ORDER if self._version == 2 else _UIDS
        for tag in checked:
            value = (self._first(tag) or "").rstrip(" ")
            element = self._data_set.by_tag[tag]
            if element.vr != "UI" and self._data_set.explicit:
                self._fatal.setdefault(tag, _wrong_vr(tag, "UI", element.vr))
            elif not is_uid(value):
                self._fatal.setdefault(tag, self._uid_reason(tag, value))

    def _uid_reason(self, tag: int, value: str) -> str:
        if self._version == 1:
            return rules_v1.reason(tag, "UI", rules_v1.check("UI", value) or "Value is not a valid UID.")
        cause = (
            "value exceeds maximum length of 64 characters"
            if len(value) > 64
            else "value contains invalid characters other than '0'-'9' and '.'"
        )
        return f'DICOM100: {shown(tag)} - Content "{value}" does not validate VR UI: {cause}'

    def _check_v1(self) -> None:
        for tag in V1_CHECKED:
            values = self._values(tag)
            if not values or tag in self._fatal:
                continue
            if len(values) > 1:
                self._multiple = True
            vr, seen = dictionary.vr(tag), self._data_set.by_tag[tag].vr
            cause = rules_v1.check(vr, values[0])
            if seen != vr:
                self._fatal[tag] = _wrong_vr(tag, vr, seen)
            elif cause is not None:
                self._fatal[tag] = rules_v1.reason(tag, vr, cause)

    def _check_v1_tags(self) -> None:
        """Refuse what an extended query tag cannot index (STOW-090, STOW-136)."""
        if not self._tags.by_number:
            return
        found = found_in(self._data_set, self._decoder, self._tags.indexed)
        self._multiple = self._multiple or found.several
        for tag, cause in found.faults:
            self._fatal.setdefault(tag.number, rules_v1.reason(tag.number, tag.vr, cause))

    def _indexed(self, attribute: Indexed) -> str | None:
        """Return the value for the index: None when there is none to search; an empty PatientID is kept."""
        values = self._values(attribute.tag)
        if attribute.tag in self._reasons:
            # An empty PatientID is remarked but indexed as empty: a study shows it so (QIDO-100).
            return "" if attribute.tag == PATIENT_ID and not any(map(unpadded, values or [])) else None
        if values is None:
            return None
        value = unpadded(values[0]) if values else ""
        if attribute.vr == "DA" and not rules_v1.is_date(value):
            return None
        return value if value or attribute.tag == PATIENT_ID else None

    def _check_v2_patient_id(self) -> None:
        """Apply the v2 rules of PatientID: an empty one warns, a wrong one fails (STOW-055, STOW-091, STOW-102)."""
        element = self._data_set.by_tag[PATIENT_ID]
        first = self._first(PATIENT_ID)
        if not (first or "").strip(" \0"):
            self._reasons[PATIENT_ID] = _missing(PATIENT_ID)
            return
        value = (first or "").rstrip("\0").rstrip(" ")
        if element.vr != "LO" and self._data_set.explicit:
            self._fatal[PATIENT_ID] = _wrong_vr(PATIENT_ID, "LO", element.vr)
        elif len(value) > 64 or rules_v1.has_control(value):
            cause = (
                "value exceeds maximum length of 64 characters"
                if len(value) > 64
                else "value contains invalid character"
            )
            self._fatal[PATIENT_ID] = (
                f'DICOM100: {shown(PATIENT_ID)} - Content "{value}" does not validate VR LO: {cause}'
            )


def _missing(tag: int) -> str:
    return f"DICOM100: {shown(tag)} - The required tag '{shown(tag)}' is missing."


def _wrong_vr(tag: int, expected: str, seen: str) -> str:
    return f"DICOM100: {shown(tag)} - The element has VR '{seen}' but '{expected}' is expected."
