"""Errors that have an HTTP status and a sentence for the client (ERR-001 to ERR-009)."""

from collections.abc import Sequence


class Problem(Exception):  # noqa: N818 - it is an answer, not a fault of the program
    """Ends a request with `status`; `message` is its plain-text body, none leaves the body empty."""

    status = 500

    def __init__(
        self, message: str = "", *, status: int | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.headers = tuple(headers)
        if status is not None:
            self.status = status


class BadRequest(Problem):
    """400: the client's input is wrong."""

    status = 400


class Forbidden(Problem):
    """403: the caller's roles do not permit the action (AUTH-023)."""

    status = 403

    def __init__(self) -> None:
        super().__init__("Authorization failed.")


class NotFound(Problem):
    """404: no such study, series, instance or frame."""

    status = 404


class NotAcceptable(Problem):
    """406: none of the accepted media types can be produced."""

    status = 406


class TooLarge(Problem):
    """413: a body or part above the configured limit."""

    status = 413


class UnsupportedMediaType(Problem):
    """415: the request body has a content type that is not taken."""

    status = 415


class StoreUnavailable(Problem):
    """503: the index or blob store failed."""

    status = 503


class ClientGone(Exception):  # noqa: N818 - nobody is left to answer
    """The client closed the connection before its request or our answer was complete."""


def bad_parameter(name: str, reason: str) -> BadRequest:
    """Return the 400 of a query parameter that does not bind (ERR-012, API-006)."""
    return BadRequest(f"The query parameter '{name}' is invalid. {reason}")
