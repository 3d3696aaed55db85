"""What is migrated and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from systems.router.errors import ConfigError

_KEYS = ("select", "delete", "dry_run")


@dataclass(frozen=True, slots=True)
class Selection:
    """Exactly one of `oldest` (a number), `bytes`, `before` (YYYYMMDD, exclusive) and `studies` (Study Instance UIDs).

    `bytes` takes the oldest studies that together are not larger on the PACS's disk (ROUTER-195).
    """

    oldest: int | None = None
    before: str | None = None
    studies: tuple[str, ...] = ()
    delete: bool = False
    dry_run: bool = False
    bytes: int | None = None

    @classmethod
    def from_json(cls, body: object) -> "Selection":
        """Read a request.

        Raises:
            ConfigError: the message names the key.

        """
        if not isinstance(body, Mapping):
            raise ConfigError(
                'the body must be an object such as {"select": {"oldest": 10}, "delete": false}'
            )
        for key in body:
            if key not in _KEYS:
                raise ConfigError(f"{key}: is not known here; keys: {', '.join(_KEYS)}")
        for key in ("delete", "dry_run"):
            if not isinstance(body.get(key, False), bool):
                raise ConfigError(f"{key}: must be true or false")
        select = body.get("select")
        if not isinstance(select, Mapping) or len(select) != 1:
            raise ConfigError("select: give exactly one of oldest, bytes, before and studies")
        ((key, value),) = select.items()
        return cls(
            **_chosen(key, value), delete=body.get("delete", False), dry_run=body.get("dry_run", False)
        )

    def to_json(self) -> dict[str, Any]:
        """The request again."""
        if self.oldest is not None:
            select: dict[str, Any] = {"oldest": self.oldest}
        elif self.bytes is not None:
            select = {"bytes": self.bytes}
        elif self.before is not None:
            select = {"before": self.before}
        else:
            select = {"studies": list(self.studies)}
        return {"select": select, "delete": self.delete, "dry_run": self.dry_run}


def _chosen(key: str, value: object) -> dict[str, Any]:
    if key in ("oldest", "bytes"):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            what = "studies" if key == "oldest" else "bytes"
            raise ConfigError(f"select.{key}: must be a whole number of {what}, at least 1")
        return {key: value}
    if key == "before":
        if not isinstance(value, str) or not usable_date(value):
            raise ConfigError("select.before: must be a date as YYYYMMDD")
        return {"before": value}
    if key == "studies":
        if not isinstance(value, list) or not value or any(not isinstance(uid, str) for uid in value):
            raise ConfigError("select.studies: must be a list of Study Instance UIDs")
        return {"studies": tuple(dict.fromkeys(value))}
    raise ConfigError(f"select.{key}: is not known here; give one of oldest, bytes, before and studies")


@dataclass(frozen=True, slots=True)
class PacsStudy:
    """A study as the PACS lists it."""

    pacs_id: str
    study_instance_uid: str
    date: str
    time: str

    @property
    def age_key(self) -> tuple[str, str, str]:
        """Oldest first: StudyDate, then StudyTime, then UID."""
        return self.date, self.time, self.study_instance_uid


@dataclass(frozen=True, slots=True)
class Plan:
    """The studies to migrate, in order, and those that cannot be judged by age."""

    chosen: tuple[PacsStudy, ...]
    undated: tuple[PacsStudy, ...]
    absent: tuple[str, ...] = ()


def plan(selection: Selection, studies: list[PacsStudy]) -> Plan:
    """Apply a selection. By age, a study without a usable date is listed and never chosen (CLAIM-MIGRATE-02)."""
    ordered = sorted(studies, key=lambda study: study.age_key)
    if selection.studies:
        wanted = set(selection.studies)
        chosen = tuple(study for study in ordered if study.study_instance_uid in wanted)
        there = {study.study_instance_uid for study in chosen}
        return Plan(chosen, (), tuple(uid for uid in selection.studies if uid not in there))
    dated = [study for study in ordered if usable_date(study.date)]
    undated = tuple(study for study in ordered if not usable_date(study.date))
    if selection.before is not None:
        return Plan(tuple(study for study in dated if study.date < selection.before), undated)
    return Plan(tuple(dated[: selection.oldest]), undated)


def usable_date(value: str) -> bool:
    """Whether `value` is a calendar date as YYYYMMDD."""
    if len(value) != 8 or not value.isascii() or not value.isdigit():
        return False
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return year > 0 and 1 <= month <= 12 and 1 <= day <= days[month - 1]
