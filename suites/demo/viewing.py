"""The cloud's viewer in a browser, for the demo: started when a test needs it, one browser for all that it looks at."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fixtures.clients.browser import browser
from fixtures.data import Study
from fixtures.traceability import blocked
from fixtures.viewer.ohif import Ohif, Row
from fixtures.viewer.ready import obstacle
from fixtures.viewer.rows import shown_as
from fixtures.world import World

_PAGE = (1600, 640)
"""Width and height in pixels: software draws, so that every pixel costs; a narrower list leaves columns out."""


@contextmanager
def viewing(world: World, home: Path) -> Iterator[Ohif]:
    """The viewer in a browser with an empty profile in `home`, nowhere yet; blocks the test where there is none."""
    why = obstacle(world.deployment.runner)
    if why:
        blocked(why)
    if not world.deployment.has("viewer"):
        blocked("this deployment has no viewer")
    if world.deployment.control is not None:
        world.start("viewer")
    try:
        endpoint = world.deployment.viewer
        with browser(home, endpoint.ca_file, size=_PAGE) as started:
            world.evidence.on_failure(
                "what the browser asked for", lambda: _asked(started.record.requests), "text/plain"
            )
            if world.profile.data == "synthetic":  # a screen shows whom it shows
                world.evidence.on_failure("the screen", started.page.screenshot, "image/png")
            yield Ohif(started, endpoint)
    finally:
        if world.deployment.control is not None:
            world.stop("viewer")


def _asked(requests: Sequence[object]) -> str:
    """Without queries: they name patients."""
    return "\n".join(
        f"{one.status or one.failure} {one.method} https://{one.host}{one.path}"  # type: ignore[attr-defined]
        for one in requests[-200:]
    )


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows in an order of their own, to be compared with others."""
    return sorted(rows, key=lambda row: row.accession_number)


def rows_of(studies: Sequence[Study]) -> list[Row]:
    """What the list has to show of the studies."""
    return in_order([shown_as(study) for study in studies])
