"""What each kind of operation does."""

from collections.abc import Mapping

from systems.dicom_service.export.work import export
from systems.dicom_service.operations.records import Kind
from systems.dicom_service.operations.runner import Work
from systems.dicom_service.tags.reindex import reindex
from systems.dicom_service.update.work import bulk_update

WORK: Mapping[Kind, Work] = {Kind.REINDEX: reindex, Kind.UPDATE: bulk_update, Kind.EXPORT: export}
