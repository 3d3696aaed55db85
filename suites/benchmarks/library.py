"""The same load by dicomweb-client: what a benchmark would measure with a client made for people."""

from io import BytesIO

from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from fixtures.load.corpus import pattern
from fixtures.load.drive import drive, read_back
from fixtures.load.stow import Sent
from fixtures.measurement.cpu import Meter
from fixtures.measurement.samples import Sample, sample_of
from suites.benchmarks.measuring import Bench, with_client_cost
from suites.benchmarks.targets import Archive


class LibrarySender:
    """Stores data sets that pydicom has read; reading them is not counted, encoding them is the client's own work."""

    def __init__(self, bench: Bench, archive: Archive, batch: int, count: int) -> None:
        web = archive.web
        self._client = DICOMwebClient(f"http://{web.host}:{web.port}{web.prefix}")
        stream, one = bench.stream(), pattern("small")
        self._batches = []
        for first in range(0, count, batch):
            names = [stream.names(number) for number in range(first, first + batch)]
            sets = [dcmread(BytesIO(one.part10(name))) for name in names]
            self._batches.append((sets, [(one, name) for name in names]))

    def send(self) -> Sent:
        """Store the next batch."""
        sets, names = self._batches.pop(0)
        # What it returns is empty where the answer's media type has parameters; reading back shows what was stored.
        self._client.store_instances(sets)
        return Sent(tuple(names))

    def close(self) -> None:
        """Nothing is held open."""


def library_sample(bench: Bench, archive: Archive, *, batch: int) -> Sample:
    """Store by dicomweb-client over one connection, and read back."""
    count = 200
    sender = LibrarySender(bench, archive, batch, count)
    with Meter(archive.trees) as meter:
        driven = drive([sender], seconds=bench.settings.seconds, most=count // batch)
    void = read_back(archive.web, driven.acknowledged)
    return with_client_cost(sample_of(driven, meter.cores(driven.cpu_seconds), void=void), driven.cpu_seconds)
