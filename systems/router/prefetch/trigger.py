"""What starts a prefetch: a patient, and what is known of the study that is to come."""

import hashlib
import hmac
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Patient:
    """Whose studies are meant. Never logged, never audited.

    `issuers` are the names the authority that gave the ID is known by, none where it is not named; `names` are
    the patient's names as (family, given).
    """

    patient_id: str
    issuers: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """One request. `source` is "hl7" or "arrival", `reference` the message's control ID or the instance's UID.

    What is not known of the ordered or arriving study is empty.
    """

    source: str
    reference: str
    message_type: str
    patient: Patient = field(repr=False)
    study_instance_uid: str = ""
    accession_number: str = ""
    modality: str = ""
    body_part: str = ""

    def to_json(self) -> str:
        """As text, to be kept."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> "Trigger":
        """From the text of `to_json`."""
        values: dict[str, Any] = orjson.loads(text)
        patient = values.pop("patient")
        names = tuple((family, given) for family, given in patient["names"])
        return cls(**values, patient=Patient(patient["patient_id"], tuple(patient["issuers"]), names))


def significant(text: str) -> str:
    """An identifier without the spaces around it, which mean nothing in DICOM (PS3.5 section 6.2, LO and SH)."""
    return text.strip(" \0")


def plain_name(family: str, given: str) -> tuple[str, str]:
    """Family and given name as they are compared: without case, width and surplus spaces."""
    return _plain(family), _plain(given)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def keys_of(trigger: Trigger, salt: bytes, *, by_order: bool) -> tuple[str, str]:
    """Digests by which triggers of one patient are known without naming the patient.

    The first is the same for every trigger of a patient ID; the second only for those that ask for the same: also the
    same authority and name and, `by_order`, the same ordered study.
    """
    patient = trigger.patient
    asked: list[Any] = [
        patient.patient_id,
        sorted(patient.issuers),
        sorted(plain_name(*name) for name in patient.names),
    ]
    if by_order:
        asked += [
            trigger.study_instance_uid,
            trigger.accession_number,
            trigger.modality,
            trigger.body_part,
        ]
    return _keyed(salt, [patient.patient_id]), _keyed(salt, asked)


def _keyed(salt: bytes, values: list[Any]) -> str:
    return hmac.new(salt, orjson.dumps(values), hashlib.sha256).hexdigest()
