"""Finding what a path names: UIDs checked, instances looked up, 404s that say which level is missing."""

from dataclasses import dataclass

from systems.dicom_service.dicom.uids import path_uid
from systems.dicom_service.services.context import Context
from systems.dicom_service.storage import catalog
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.web.problems import NotFound
from systems.dicom_service.web.request import Request


@dataclass(frozen=True, slots=True)
class Resource:
    """The study, series or instance of a path."""

    study: str
    series: str | None
    instance: str | None
    partition: int = 1

    @property
    def level(self) -> str:
        """The kind of resource, as messages name it."""
        if self.instance is not None:
            return "instance"
        return "series" if self.series is not None else "study"

    def missing(self) -> NotFound:
        """Return the 404 of this resource (ERR-004)."""
        return NotFound(f"The specified {self.level} cannot be found.")

    def instances(self, context: Context) -> list[Stored]:
        """Return the stored instances, oldest first; raises the 404 when there are none."""
        found = catalog.instances(
            context.store.connection, self.study, self.series, self.instance, partition=self.partition
        )
        if not found:
            raise self.missing()
        return found


def resource(request: Request) -> Resource:
    """Return the resource of the path; raises the 400 of a bad UID (WADO-036, ERR-013)."""
    names = request.route.variables
    series, instance = names.get("series"), names.get("instance")
    return Resource(
        path_uid(names["study"], "StudyInstanceUid"),
        path_uid(series, "SeriesInstanceUid") if series is not None else None,
        path_uid(instance, "SopInstanceUid") if instance is not None else None,
        request.partition.key,
    )
