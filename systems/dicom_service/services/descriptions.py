"""Metadata of stored instances, made from the stored file when first asked for and kept while memory allows."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import cast

import orjson

from systems.dicom_service.dicom.elements import describe_part10
from systems.dicom_service.dicom.json_model import Json, to_json
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.storage.store import Store
from systems.dicom_service.web.problems import StoreUnavailable
from systems.shared.header_errors import HeaderError

_CACHE_BYTES = 64 << 20
_BATCH = 32


class Descriptions:
    """DICOM JSON of instances; a version never changes, so what was made once stays right."""

    def __init__(self, store: Store, cache_bytes: int = _CACHE_BYTES) -> None:
        self._store = store
        self._limit = cache_bytes
        self._size = 0
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    async def encoded(self, instances: Sequence[Stored]) -> AsyncIterator[bytes]:
        """Yield the metadata of each instance as JSON bytes, in order; raises `StoreUnavailable`."""
        with self._store.blobs.holding(instance.place for instance in instances):
            for start in range(0, len(instances), _BATCH):
                for document in await self._batch(instances[start : start + _BATCH]):
                    yield document

    async def _batch(self, batch: Sequence[Stored]) -> list[bytes]:
        documents = {instance.watermark: self._cached(instance) for instance in batch}
        missing = [instance for instance in batch if documents[instance.watermark] is None]
        if missing:
            made = await asyncio.to_thread(self._make, missing)
            documents |= made
            for watermark, document in made.items():
                self._keep(watermark, document)
        return [document for document in documents.values() if document is not None]

    async def parts(self, instances: Sequence[Stored], only: frozenset[int]) -> list[Json]:
        """Return, for each instance, its metadata reduced to the tags `only`."""
        cached = {instance.watermark: self._cached(instance) for instance in instances}
        keys = frozenset(f"{tag:08X}" for tag in only)

        def reduce() -> list[Json]:
            return [self._part(instance, cached[instance.watermark], only, keys) for instance in instances]

        return await asyncio.to_thread(reduce)

    def _part(
        self, instance: Stored, cached: bytes | None, only: frozenset[int], keys: frozenset[str]
    ) -> Json:
        if cached is not None:
            document = cast("Json", orjson.loads(cached))
            return {key: value for key, value in document.items() if key in keys}
        return self._describe(instance, only)

    def _make(self, instances: Sequence[Stored]) -> dict[int, bytes]:
        return {instance.watermark: orjson.dumps(self._describe(instance, None)) for instance in instances}

    def _describe(self, instance: Stored, only: frozenset[int] | None) -> Json:
        try:
            head = self._store.blobs.read(instance.place, 0, instance.head_stop)
            tail = self._store.blobs.read(instance.place, instance.tail_start)
            return to_json(describe_part10(head + tail), without=instance.dropped, only=only)
        except (OSError, HeaderError) as error:
            raise StoreUnavailable("The data store cannot be read.") from error

    def _cached(self, instance: Stored) -> bytes | None:
        document = self._cache.get(instance.watermark)
        if document is not None:
            self._cache.move_to_end(instance.watermark)
        return document

    def _keep(self, watermark: int, document: bytes) -> None:
        if len(document) > self._limit // 8 or watermark in self._cache:
            return
        self._cache[watermark] = document
        self._size += len(document)
        while self._size > self._limit:
            self._size -= len(self._cache.popitem(last=False)[1])
