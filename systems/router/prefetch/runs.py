"""Puts a run together from the router's bridges, and says of each failure whether it is worth another try.

Loaded with the first trigger: pydicom takes longer than all else.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from systems.router.bridge.cloud import CloudError, CloudRefused, CloudUnauthorised, CloudUnreachable
from systems.router.bridge.keys import BadIdentifier
from systems.router.bridge.search import TooManyMatches
from systems.router.bridges import Bridges
from systems.router.config.model import Config
from systems.router.config.prefetch import Prefetch
from systems.router.prefetch.cloud_side import CloudSide
from systems.router.prefetch.courtesy import Courtesy
from systems.router.prefetch.fetching import Fetcher
from systems.router.prefetch.ledger import Item
from systems.router.prefetch.pacs_side import PacsLookupError, PacsSide
from systems.router.prefetch.returns import Returns
from systems.router.prefetch.run import IncompleteError, Run, Sides, StoppedError
from systems.router.prefetch.work import ItemBooks, Trouble


class PatientRuns:
    """Runs triggers against the cloud and the PACS of the configuration."""

    def __init__(
        self,
        config: Config,
        settings: Prefetch,
        bridges: Bridges,
        returns: Returns,
        courtesy: Courtesy,
        on_their_way: Callable[[Sequence[str]], Awaitable[frozenset[str]]],
    ) -> None:
        destination = bridges.destination(config.pacs_bridge.peer)
        assert destination is not None  # noqa: S101 - checked when the configuration was loaded
        reader, pool = bridges.reader, bridges.pool
        self._settings = settings
        self._originator = config.cloud_bridge.ae_title
        self._sides = Sides(
            CloudSide(reader, bridges.search_limits), PacsSide(pool, destination), on_their_way
        )
        self._fetcher = Fetcher(
            reader, pool, destination, returns, courtesy, width=settings.width_per_patient
        )

    async def __call__(self, item: Item, books: ItemBooks) -> None:
        """See `work.Runs`."""
        run = Run(
            self._sides,
            lambda references: self._fetcher.fetch(references, self._originator, item.number),
            books,
            self._settings.priors,
            strict=self._settings.strict_name,
        )
        try:
            await run(item.trigger, datetime.now(UTC).date())
        except StoppedError as error:
            raise Trouble(str(error), state="stopped") from error
        except IncompleteError as error:
            raise Trouble(str(error), outage=error.because_of_a_side) from error
        except PacsLookupError as error:
            raise Trouble(f"nothing was fetched: {error}", outage=True) from error
        except CloudError as error:
            raise Trouble(f"the cloud could not be asked: {error}", outage=_is_outage(error)) from error
        except (TooManyMatches, BadIdentifier) as error:
            why = str(error) or "more matches than query.max_matches"
            raise Trouble(f"the cloud's answer cannot be used: {why}") from error


def _is_outage(error: CloudError) -> bool:
    return isinstance(error, CloudUnreachable | CloudUnauthorised) or (
        isinstance(error, CloudRefused) and error.is_transient
    )
