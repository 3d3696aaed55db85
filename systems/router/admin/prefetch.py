"""The routes of the prefetch."""

from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from systems.router.admin.answers import Json, Route, problem

if TYPE_CHECKING:
    from systems.router.prefetch.service import PrefetchService


_MOST_ROWS: Final = 1000


class PrefetchRoutes:
    """What operators see and do; nothing here names a patient."""

    def __init__(self, prefetch: "PrefetchService") -> None:
        self._prefetch = prefetch

    def table(self) -> list[Route]:
        """Every route, in the order of the description."""
        return [
            Route("GET", "/prefetch", "Prefetch triggers, newest first", self.triggers),
            Route("GET", "/prefetch/{id}", "One trigger and what became of each study", self.trigger),
            Route("POST", "/prefetch/{id}/retry", "Run a failed or stopped trigger again", self.retry),
        ]

    async def triggers(self, _: Request) -> Response:
        """The newest triggers."""
        return Json(await self._prefetch.list(_MOST_ROWS))

    async def trigger(self, request: Request) -> Response:
        """One trigger."""
        number = request.path_params["id"]
        found = await self._prefetch.report(int(number)) if number.isdigit() else None
        return (
            problem(404, f"there is no trigger {number}; see GET /prefetch") if found is None else Json(found)
        )

    async def retry(self, request: Request) -> Response:
        """Put a trigger back."""
        number = request.path_params["id"]
        if not number.isdigit() or not await self._prefetch.retry(int(number)):
            return problem(404, f"there is no failed or stopped trigger {number}; see GET /prefetch")
        return Json({"id": int(number), "state": "waiting"})
