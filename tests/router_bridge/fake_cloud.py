"""A small DICOMweb service in memory that searches as the hosted one documents: exact, without case, prefix for names."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pydicom import Dataset

from systems.router.bridge.cloud import CloudError, CloudRefused, JsonDataset

_LEVELS = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}
_CONTROL = {"fuzzymatching", "includefield"}


class FakeCloud:
    """Holds data sets and Part 10 files; fails as told by `failure(call number)` and `damage(bytes)`."""

    def __init__(self, *instances: Dataset, files: dict[str, bytes] | None = None) -> None:
        self.instances = list(instances)
        self._of_study: dict[str, list[Dataset]] = {}
        for instance in instances:
            self._of_study.setdefault(str(instance.StudyInstanceUID), []).append(instance)
        self.files = files or {}
        self.searches: list[tuple[str, dict[str, str]]] = []
        self.retrieved: list[str] = []
        self.failure: Callable[[int], CloudError | None] = lambda _: None
        self.retrieve_failure: Callable[[str], CloudError | None] = lambda _: None
        self.gate: asyncio.Event | None = None

    async def search(
        self, resource: str, params: Sequence[tuple[str, str]], *, limit: int, offset: int
    ) -> list[JsonDataset]:
        self.searches.append((resource, {name: value for name, value in params if name != "includefield"}))
        error = self.failure(len(self.searches))
        if error is not None:
            raise error
        await asyncio.sleep(0)
        found = self._found(resource, params)
        kind = resource.rpartition("/")[2]
        return [self._result(one, kind).to_json_dict() for one in found[offset : offset + limit]]

    def _found(self, resource: str, params: Sequence[tuple[str, str]]) -> list[Dataset]:
        parts = resource.strip("/").split("/")
        parents = {_LEVELS[parts[n]]: parts[n + 1] for n in range(0, len(parts) - 1, 2)}
        fuzzy = ("fuzzymatching", "true") in params
        filters = [(name, value) for name, value in params if name not in _CONTROL]
        if any(value == "" or "<" in value for _, value in filters):
            raise CloudRefused(400)
        unique = _LEVELS[parts[-1]]
        results: dict[str, Dataset] = {}
        for instance in self.instances:
            if all(instance.get(k) == v for k, v in parents.items()) and all(
                self._matches(instance, name, value, fuzzy=fuzzy) for name, value in filters
            ):
                results.setdefault(str(instance.get(unique)), instance)
        return list(results.values())

    def _matches(self, instance: Dataset, name: str, wanted: str, *, fuzzy: bool) -> bool:
        if name == "ModalitiesInStudy":
            return wanted.upper() in self._modalities(instance)
        value = str(instance.get(name, ""))
        if fuzzy and name.endswith("Name"):
            return any(
                part.casefold().startswith(wanted.casefold()) for part in value.replace("=", "^").split("^")
            )
        if name.endswith("Date") and "-" in wanted:
            first, _, last = wanted.partition("-")
            return bool(value) and first <= value <= (last or "99999999")
        return value.casefold() == wanted.casefold()

    def _modalities(self, instance: Dataset) -> list[str]:
        own = self._of_study[str(instance.StudyInstanceUID)]
        return sorted({i.Modality for i in own})

    def _result(self, instance: Dataset, kind: str) -> Dataset:
        result = Dataset()
        result.update({element.tag: element for element in instance if element.tag.group < 0x7FE0})
        own = self._of_study[str(instance.StudyInstanceUID)]
        if kind == "studies":
            result.NumberOfStudyRelatedInstances = len(own)
            result.ModalitiesInStudy = self._modalities(instance)
        return result

    async def retrieve_instance(self, study: str, series: str, instance: str) -> AsyncIterator[bytes]:
        del study, series
        self.retrieved.append(instance)
        if self.gate is not None:
            await self.gate.wait()
        error = self.retrieve_failure(instance)
        if error is not None:
            raise error
        if instance not in self.files:
            raise CloudRefused(404)
        raw = self.files[instance]
        for start in range(0, len(raw), 65536):
            yield raw[start : start + 65536]


def study(uid: str, name: str, patient_id: str, **more: Any) -> Dataset:
    """The one instance of a study."""
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 192"
    found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID = uid, f"{uid}.1", f"{uid}.1.1"
    found.PatientName, found.PatientID, found.Modality = name, patient_id, "CT"
    found.StudyDate = "20200101"
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return found
