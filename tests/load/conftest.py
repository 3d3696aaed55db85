from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fixtures.load.sink import Received, listen, serve_association, serve_http


class Sink:
    def __init__(self) -> None:
        self.received = Received()
        self._listeners = ExitStack()
        self.http, self.dimse = (self._open(serve) for serve in (serve_http, serve_association))

    def _open(self, serve: object) -> int:
        listener = self._listeners.enter_context(listen(0, serve, self.received))  # type: ignore[arg-type]
        return int(listener.getsockname()[1])

    def close(self) -> None:
        self._listeners.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()
