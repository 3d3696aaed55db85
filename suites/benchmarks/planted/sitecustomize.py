"""A slowdown put into the emulator on purpose, so that the gate can be seen to find it: its folder goes on PYTHONPATH.

Before an answer is complete, as much CPU is used up again as brings the rate of a busy server down by
PLANTED_SLOWDOWN_PERCENT.
"""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class Slowed:
    """An ASGI application at whose every answer CPU is used in proportion to what its process used since the last one."""

    def __init__(self, application: Application, percent: float) -> None:
        self._application = application
        self._extra = 1 / (1 - percent / 100) - 1
        self._seen = time.process_time()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer, later."""

        async def slowly(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._use_up()
            await send(message)

        await self._application(scope, receive, slowly)

    def _use_up(self) -> None:
        end = time.thread_time() + self._extra * (time.process_time() - self._seen)
        while time.thread_time() < end:
            pass
        self._seen = time.process_time()


def _plant(percent: float) -> None:
    load = uvicorn.Config.load

    def and_slow(config: uvicorn.Config) -> None:
        load(config)
        config.loaded_app = Slowed(config.loaded_app, percent)

    uvicorn.Config.load = and_slow  # type: ignore[method-assign,assignment]


if asked := float(os.environ.get("PLANTED_SLOWDOWN_PERCENT") or 0):
    _plant(asked)
