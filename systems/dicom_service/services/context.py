"""What every service needs: the settings, the store and the descriptions of instances."""

import asyncio
from dataclasses import dataclass

from systems.dicom_service.operations.runner import Runner
from systems.dicom_service.services.descriptions import Descriptions
from systems.dicom_service.settings import Settings
from systems.dicom_service.storage.store import Store
from systems.dicom_service.tags.definitions import Tags


@dataclass(frozen=True, slots=True)
class Context:
    """One worker's parts."""

    settings: Settings
    store: Store
    descriptions: Descriptions
    image_work: asyncio.Semaphore
    """Bounds how many images are decoded at a time: each may take several times its size in memory."""
    operations: Runner
    """Runs what answers 202 in the background."""
    tags: Tags
    """The extended query tags."""
