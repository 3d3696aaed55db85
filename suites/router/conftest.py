"""One deployment for the session, as in the demo; routers with other settings come up once, when first asked for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from fixtures.data import Run
from fixtures.deployment.deployment import Deployment
from fixtures.reporting.run import RunRecord
from fixtures.traceability import Profile
from fixtures.world import World
from fixtures.world.stage import (
    MakeWorld,
    cast_of,
    make_world,
    own_world,
    this_run,
    turn,
    world,
)
from suites.router.clients import WITNESSES, Witness, witness
from suites.router.deployed import deployed
from suites.router.settings import Variant

__all__ = [
    "cast_of",
    "make_world",
    "own_world",
    "this_run",
    "turn",
    "world",
]

WitnessBy = Callable[..., Witness]
"""A witness by the AE title it calls with."""
Deployments = Callable[[Variant], Deployment]
VariantWorld = Callable[[Variant], AbstractContextManager[World]]


@pytest.fixture(scope="session")
def deployment(
    pytestconfig: pytest.Config, profile: Profile, run_record: RunRecord, this_run: Run
) -> Iterator[Deployment]:
    """The systems under test, up for the whole session."""
    with deployed(pytestconfig, profile, this_run, "router") as up:
        run_record.version("runner", up.runner)
        yield up


@pytest.fixture(params=WITNESSES)
def by(request: pytest.FixtureRequest, world: World) -> WitnessBy:
    """Each witness in turn, by the AE title it calls with."""

    def of(ae_title: str = "GDCM") -> Witness:
        return witness(world, request.param, ae_title)

    return of


@pytest.fixture(scope="session")
def variants(pytestconfig: pytest.Config, profile: Profile, this_run: Run) -> Iterator[Deployments]:
    """Deployments whose router has other settings, one for each variant; the test carries `@needs("control")`."""
    up: dict[str, Deployment] = {}
    with ExitStack() as stack:

        def of(variant: Variant) -> Deployment:
            if variant.name not in up:
                up[variant.name] = stack.enter_context(
                    deployed(pytestconfig, profile, this_run, variant.name, variant.overrides())
                )
            return up[variant.name]

        yield of


@pytest.fixture
def variant_world(variants: Deployments, make_world: MakeWorld) -> VariantWorld:
    """The test's world on the deployment of a variant; mended and cleaned when the block ends."""

    @contextmanager
    def enter(variant: Variant) -> Iterator[World]:
        made = make_world(variants(variant))
        made.begin()
        try:
            yield made
        finally:
            made.mend()
            made.clean()

    return enter
