"""What each kind of operation does."""

from collections.abc import Mapping

from systems.dicom_service.operations.records import Kind
from systems.dicom_service.operations.runner import Work

WORK: Mapping[Kind, Work] = {}
