"""The attributes the service requires, indexes and searches, in one table (STOW-080, QIDO-036 to QIDO-049)."""

from dataclasses import dataclass
from enum import Enum

from systems.dicom_service.dicom import dictionary

STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_INSTANCE_UID = 0x00080018
SOP_CLASS_UID = 0x00080016
PATIENT_ID = 0x00100020
MODALITIES_IN_STUDY = 0x00080061
STUDY_RELATED_INSTANCES = 0x00201208
SERIES_RELATED_INSTANCES = 0x00201209


class Level(Enum):
    """A level of the DICOM hierarchy, ordered from the top."""

    STUDY = 0
    SERIES = 1
    INSTANCE = 2


@dataclass(frozen=True, slots=True)
class Indexed:
    """An attribute held in the index: its column there and how it is written in DICOM JSON."""

    tag: int
    level: Level
    vr: str
    column: str

    @property
    def keyword(self) -> str:
        """The DICOM keyword."""
        return dictionary.keyword(self.tag)


STUDY_ATTRIBUTES = (
    Indexed(0x00100020, Level.STUDY, "LO", "patient_id"),
    Indexed(0x00100010, Level.STUDY, "PN", "patient_name"),
    Indexed(0x00100030, Level.STUDY, "DA", "patient_birth_date"),
    Indexed(0x00080050, Level.STUDY, "SH", "accession_number"),
    Indexed(0x00080090, Level.STUDY, "PN", "referring_physician_name"),
    Indexed(0x00080020, Level.STUDY, "DA", "study_date"),
    Indexed(0x00081030, Level.STUDY, "LO", "study_description"),
)
SERIES_ATTRIBUTES = (
    Indexed(0x00080060, Level.SERIES, "CS", "modality"),
    Indexed(0x00400244, Level.SERIES, "DA", "performed_start_date"),
    Indexed(0x00081090, Level.SERIES, "LO", "model_name"),
)
UIDS = (
    Indexed(STUDY_INSTANCE_UID, Level.STUDY, "UI", "study_uid"),
    Indexed(SERIES_INSTANCE_UID, Level.SERIES, "UI", "series_uid"),
    Indexed(SOP_INSTANCE_UID, Level.INSTANCE, "UI", "sop_uid"),
)
SEARCHABLE = {attribute.tag: attribute for attribute in (*UIDS, *STUDY_ATTRIBUTES, *SERIES_ATTRIBUTES)}

V1_CHECKED = tuple(sorted({*SEARCHABLE, MODALITIES_IN_STUDY}))
"""What a v1 store checks beyond presence (STOW-080)."""


def shown(tag: int, creator: str = "") -> str:
    """Return a tag as reasons write it: (gggg,eeee) in lower case, with a private creator when known (STOW-043)."""
    suffix = f":{creator}" if creator else ""
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x}{suffix})"
