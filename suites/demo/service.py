"""The cloud's DICOM service as the suite for Azure sees it, in the world of a demo test."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from fixtures.world import World
from suites.azure.data import Maker
from suites.azure.service import Service

_NAMES_OF_A_TEST = 10_000


def service_of(world: World) -> Service:
    """The service of the world's deployment, past the link."""
    return Service(world.deployment, world.recorder, world.bounds.settle)


@contextmanager
def maker_in(world: World) -> Iterator[Maker]:
    """Makes instances to measure under names no other test has; the world deletes their studies with its own."""
    maker = Maker(world.run, count(world.scene * _NAMES_OF_A_TEST + 1))
    try:
        yield maker
    finally:
        world.made.update(maker.studies)
