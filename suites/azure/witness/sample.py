"""The study of Microsoft's tutorials in shape: two instances of one series, one of another."""

from collections.abc import Mapping
from dataclasses import dataclass

from fixtures.clients.dicomweb import DicomWeb
from suites.azure.data import Made, Maker

SIDE = 768
"""Rows and columns: a file of 1.2 MB, above the size from which curl asks before it sends (Expect: 100-continue)."""


@dataclass(frozen=True)
class Sample:
    """Three instances of one study; `triangle` and `square` share a series."""

    triangle: Made
    square: Made
    circle: Made

    @property
    def all(self) -> tuple[Made, ...]:
        """The whole study."""
        return self.triangle, self.square, self.circle

    def within(self, level: str) -> tuple[Made, ...]:
        """The instances of the `study`, of the `triangle`'s `series`, or that `instance`."""
        return {"study": self.all, "series": (self.triangle, self.square), "instance": (self.triangle,)}[
            level
        ]

    @property
    def names(self) -> Mapping[str, str]:
        """The UIDs as the templates of paths name them."""
        study, series, instance = self.triangle.uids
        return {"study": study, "series": series, "instance": instance}


def sample_of(make: Maker) -> Sample:
    """A new sample, not stored."""
    triangle = make(Rows=SIDE, Columns=SIDE, PixelData=bytes(range(256)) * (SIDE * SIDE * 2 // 256))
    square = make(like=triangle, PixelData=b"\x01\x02" * 1024)
    circle = make(StudyInstanceUID=triangle.study, PatientID=triangle.dataset.PatientID)
    return Sample(triangle, square, circle)


def stored_sample(web: DicomWeb, make: Maker) -> Sample:
    """A new sample which the suite's own client has stored."""
    sample = sample_of(make)
    answer = web.store([one.part10 for one in sample.all])
    assert answer.status == 200, answer.describe()
    return sample
