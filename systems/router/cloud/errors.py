"""What can go wrong between the router and the cloud."""

from systems.router.errors import RouterError


class CloudError(RouterError):
    """The cloud did not do what was asked."""


class CloudUnreachableError(CloudError):
    """No HTTP answer. `sent`: the request had left, so the cloud may have acted on it."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class CloudUnauthorisedError(CloudError):
    """The identity service or the cloud refuses this client; `status` is the HTTP status, 0 without one."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class CloudAnswerError(CloudError):
    """An HTTP answer that is no answer to the question."""

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
