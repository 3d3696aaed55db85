"""What the bridge needs of a DICOMweb service, and the ways in which it can fail."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

JsonDataset = dict[str, Any]

_TRANSIENT: Final = frozenset({408, 424, 429, 500, 502, 503, 504})


class CloudError(Exception):
    """Base of what can go wrong with the cloud; messages hold no patient data and no token."""


class CloudUnreachable(CloudError):  # noqa: N818 - named for what happened
    """No HTTP answer: connection, TLS, DNS, a reset, or silence beyond the limit."""


class CloudGarbled(CloudError):  # noqa: N818 - named for what happened
    """An answer that cannot be read, or that ends before its end."""


class CloudRefused(CloudError):  # noqa: N818 - named for what happened
    """An HTTP status that is no success; `retry_after` is in seconds."""

    def __init__(self, status: int, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"the cloud answered {status}" + (f": {detail}" if detail else ""))
        self.status = status
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """Worth asking again (ROUTER-043)."""
        return self.status in _TRANSIENT or self.status > 504


class CloudUnauthorised(CloudError):  # noqa: N818 - named for what happened
    """401 after a fresh token, 403, or no token to be had for lack of rights."""


class CloudReader(Protocol):
    """Reads a DICOMweb service: QIDO-RS and WADO-RS (PS3.18 sections 10.4 and 10.6)."""

    async def search(
        self, resource: str, params: Sequence[tuple[str, str]], *, limit: int, offset: int
    ) -> list[JsonDataset]:
        """One page of matches of a search on `resource`, such as "/studies/1.2/series".

        Raises:
            CloudError: never an empty list in its place.

        """
        ...

    def retrieve_instance(self, study: str, series: str, instance: str) -> AsyncIterator[bytes]:
        """The stored Part 10 file of an instance in its own transfer syntax, in chunks (ROUTER-081).

        Raises:
            CloudError: also in the middle, when the body ends early.

        """
        ...
