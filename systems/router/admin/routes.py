"""The routes of the admin interface; their names are part of the project's contract."""

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import orjson
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from systems.router import connection_tests
from systems.router.admin.answers import Json, Route, problem
from systems.router.admin.metrics import render
from systems.router.config import export
from systems.router.errors import ConfigError, DamagedError, ResourceError
from systems.router.migration.model import Selection
from systems.router.reconcile.model import Request as Reconciliation
from systems.router.status import status
from systems.router.store.audit import read_since
from systems.router.store.completion import study as study_completion

if TYPE_CHECKING:
    from systems.router.runtime import Router

_MOST_ROWS = 10_000


class Routes:
    """The endpoints, over one running router."""

    def __init__(self, router: "Router") -> None:
        self._router = router

    def table(self) -> list[Route]:
        """Every route, in the order of the description."""
        return [
            Route("GET", "/health/live", "Is the process alive?", self.live, anonymous=True),
            Route("GET", "/health/ready", "Can it take objects?", self.ready, anonymous=True),
            Route("GET", "/status", "One snapshot of paths and destinations", self.status),
            Route("POST", "/paths/{name}/start", "Start a path", self.start_path),
            Route("POST", "/paths/{name}/stop", "Stop a path; running operations finish", self.stop_path),
            Route("GET", "/queues/{destination}", "Open tasks of a destination, oldest first", self.queue),
            Route(
                "POST", "/queues/{destination}/{action}", "pause, resume or wake a queue", self.queue_action
            ),
            Route(
                "GET", "/dead-letters", "Objects that could not be delivered, with reasons", self.dead_letters
            ),
            Route(
                "GET", "/dead-letters/{id}/object", "The object of a dead letter, as received", self.export
            ),
            Route("POST", "/dead-letters/{id}/retry", "Put a dead letter back into its queue", self.retry),
            Route("GET", "/instances/{sop_instance_uid}", "What became of an instance", self.instance),
            Route(
                "GET",
                "/studies/{study_instance_uid}",
                "What arrived of a study, and is it complete?",
                self.study,
            ),
            Route(
                "POST", "/connection-tests", "Test identity service, cloud and peers", self.connection_tests
            ),
            Route("GET", "/config", "The configuration in force, without secrets", self.config),
            Route(
                "POST",
                "/config/load",
                "Load the file anew; with ?dry_run=true only say what would change",
                self.load_config,
            ),
            Route("GET", "/audit", "Audit lines after `since`, hash-chained", self.audit),
            Route("POST", "/migrations", "Start a migration", self.start_migration),
            Route("GET", "/migrations/{id}", "State and manifest of a migration", self.migration),
            Route(
                "POST",
                "/reconciliations",
                "Compare the ledger with PACS and cloud",
                self.start_reconciliation,
            ),
            Route("GET", "/reconciliations/{id}", "The report, or how far it is", self.reconciliation),
            Route(
                "POST",
                "/reconciliations/{id}/resume",
                "Ask again what was not compared",
                self.resume_reconciliation,
            ),
            Route(
                "GET", "/reconciliations/{id}/findings", "Findings after `since`, JSON lines", self.findings
            ),
            Route("GET", "/metrics", "Prometheus metrics", self.metrics),
        ]

    async def live(self, _: Request) -> Response:
        """The loop answers."""
        return Json({"alive": True})

    async def ready(self, _: Request) -> Response:
        """Enabled listeners are up and the spool takes objects (ROUTER-156); `waiting_for`: destinations that are away."""
        missing = self._router.not_ready()
        away = sorted(name for name, group in self._router.groups.items() if group.gate.down_since)
        body = {"ready": not missing, "missing": missing, "waiting_for": away}
        return Json(body, status_code=503 if missing else 200)

    async def status(self, _: Request) -> Response:
        """See `systems.router.status`."""
        return Json(await status(self._router))

    async def start_path(self, request: Request) -> Response:
        """Start a path."""
        return await self._switch(request, start=True)

    async def stop_path(self, request: Request) -> Response:
        """Stop a path."""
        return await self._switch(request, start=False)

    async def _switch(self, request: Request, *, start: bool) -> Response:
        name = request.path_params["name"]
        if name not in self._router.paths:
            return problem(404, f"there is no path {name}; paths: {', '.join(self._router.paths)}")
        try:
            await self._router.switch_path(name, start=start)
        except ResourceError as error:
            return problem(409, str(error))
        path = self._router.paths[name]
        return Json({"name": name, "state": "running" if path.running else "stopped", "port": path.port})

    async def queue(self, request: Request) -> Response:
        """Open tasks."""
        name = request.path_params["destination"]
        if name not in self._router.groups:
            return self._no_destination(name)
        rows = await self._router.queue.waiting(name, _limit(request))
        return Json({"destination": name, "state": self._router.groups[name].gate.state, "tasks": rows})

    async def queue_action(self, request: Request) -> Response:
        """Pause, resume, wake."""
        name, action = request.path_params["destination"], request.path_params["action"]
        if name not in self._router.groups:
            return self._no_destination(name)
        if action not in ("pause", "resume", "wake"):
            return problem(404, f"there is no action {action}; actions: pause, resume, wake")
        await self._router.queue_action(name, action)
        return Json({"destination": name, "state": self._router.groups[name].gate.state})

    def _no_destination(self, name: str) -> Response:
        return problem(404, f"there is no destination {name}; destinations: {', '.join(self._router.groups)}")

    async def dead_letters(self, request: Request) -> Response:
        """Dead letters; `id` is what `retry` takes."""
        return Json(await self._router.queue.dead_letters(_limit(request)))

    async def retry(self, request: Request) -> Response:
        """Put a dead letter back."""
        number = request.path_params["id"]
        if not number.isdigit() or not await self._router.queue.retry(int(number)):
            return problem(404, f"there is no dead letter {number}; see GET /dead-letters")
        return Json({"id": int(number), "state": "waiting"})

    async def instance(self, request: Request) -> Response:
        """Everything known of one instance."""
        uid = request.path_params["sop_instance_uid"]
        found = await self._router.queue.instance(uid)
        if not found:
            return problem(
                404, f"no instance {uid} is known; it was never received, or its record has expired"
            )
        return Json({"sop_instance_uid": uid, "objects": found})

    async def study(self, request: Request) -> Response:
        """Completeness by quiet (ROUTER-107)."""
        uid = request.path_params["study_instance_uid"]
        router = self._router
        operation = functools.partial(
            study_completion, study_instance_uid=uid, completion=router.config.completion
        )
        found = await router.queue.perform(operation)
        return problem(404, f"nothing of study {uid} is known") if found is None else Json(found)

    async def connection_tests(self, _: Request) -> Response:
        """Run the tests."""
        router = self._router
        return Json(await connection_tests.run_all(router.config, router.tokens, router.http))

    async def config(self, _: Request) -> Response:
        """The export."""
        return Json(export(self._router.config))

    async def load_config(self, request: Request) -> Response:
        """Load the configuration file anew (ROUTER-008)."""
        dry_run = request.query_params.get("dry_run", "false").lower() == "true"
        try:
            return Json(await self._router.reloading.load(dry_run=dry_run))
        except ConfigError as error:
            return problem(400, str(error))

    async def audit(self, request: Request) -> Response:
        """JSON lines, streamed."""
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            return problem(400, f"since is {since!r}; give the last sequence number you have")
        lines: AsyncIterator[bytes] = iterate_in_threadpool(
            read_since(self._router.queue.audit_folder, int(since))
        )
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def start_migration(self, request: Request) -> Response:
        """Start a job."""
        try:
            selection = Selection.from_json(orjson.loads(await request.body()))
            number = await self._router.start_migration(selection)
        except orjson.JSONDecodeError:
            return problem(400, "the body is not JSON")
        except ConfigError as error:
            return problem(400, str(error))
        return Json({"id": number}, status_code=202)

    async def migration(self, request: Request) -> Response:
        """State and manifest."""
        number = request.path_params["id"]
        found = await self._router.migration(number)
        return problem(404, f"there is no migration {number}") if found is None else Json(found)

    async def start_reconciliation(self, request: Request) -> Response:
        """Start a job (ROUTER-197)."""
        try:
            wanted = Reconciliation.from_json(orjson.loads(await request.body() or b"{}"))
        except orjson.JSONDecodeError:
            return problem(400, "the body is not JSON")
        except ConfigError as error:
            return problem(400, str(error))
        return Json({"id": await self._router.reconciliations.start(wanted)}, status_code=202)

    async def resume_reconciliation(self, request: Request) -> Response:
        """Go on with a job."""
        try:
            await self._router.reconciliations.go_on(request.path_params["id"])
        except ConfigError as error:
            return problem(404, str(error))
        return Json({"id": request.path_params["id"]}, status_code=202)

    async def reconciliation(self, request: Request) -> Response:
        """The report."""
        number = request.path_params["id"]
        found = await self._router.reconciliations.report(number)
        return problem(404, f"there is no reconciliation {number}") if found is None else Json(found)

    async def findings(self, request: Request) -> Response:
        """JSON lines, streamed; `number` of the last one is the next `since`."""
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            return problem(400, f"since is {since!r}; give the number of the last finding you have")
        rows = self._router.reconciliations.finding_lines(request.path_params["id"], int(since))
        return StreamingResponse(rows, media_type="application/x-ndjson")

    async def export(self, request: Request) -> Response:
        """The Part 10 file of a dead letter (ROUTER-109), also where its digest does not hold any more."""
        number = request.path_params["id"]
        found = await self._router.queue.dead_letter(int(number)) if number.isdigit() else None
        if found is None:
            return problem(404, f"there is no dead letter {number} with an object; see GET /dead-letters")
        location, uid = found
        chunks = self._router.queue.spool.chunks(location, uid)
        try:
            first = await asyncio.to_thread(next, chunks)
        except DamagedError as error:
            return problem(410, str(error))
        headers = {"Content-Disposition": f'attachment; filename="{uid}.dcm"'}
        rest = iterate_in_threadpool(itertools.chain([first], chunks))
        return StreamingResponse(rest, media_type="application/dicom", headers=headers)

    async def metrics(self, _: Request) -> Response:
        """Prometheus text."""
        text = render(await status(self._router), self._router)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "1000")
    return min(int(text), _MOST_ROWS) if text.isdigit() else 1000
