"""The running router: what is built from the configuration, started and stopped as one."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import orjson

from systems.router.bridge_store import BridgeStore
from systems.router.bridges import Bridges
from systems.router.certificates import Certificates
from systems.router.cloud.http import CloudHttp
from systems.router.cloud.tokens import ClientCredentials, NoToken, TokenSource
from systems.router.cloud.uploader import Uploader
from systems.router.commitment.service import Commitments
from systems.router.config.file_drop import FILE_DROP
from systems.router.config.model import CLOUD_BRIDGE, MODALITY_INTAKE, PACS_BRIDGE, Config, Listener
from systems.router.config.spool_keys import keyring
from systems.router.delivery.attempt import Carrier
from systems.router.delivery.cloud import CloudCarrier
from systems.router.delivery.group import WorkerGroup
from systems.router.delivery.pacs import PacsCarrier
from systems.router.delivery.precedence import Arriving, StepBack
from systems.router.dimse.server import DimseServer
from systems.router.drop.path import FileDropPath
from systems.router.errors import ConfigError, SecretMissingError
from systems.router.handlers import PathHandler, Stores
from systems.router.intake import Intake
from systems.router.listeners import dimse_settings, listener_tls
from systems.router.migration.model import Selection
from systems.router.migrations import Migrations
from systems.router.paths import ListeningPath, PacsPath, Path
from systems.router.prefetch.courtesy import Courtesy, LiveStores
from systems.router.prefetch.service import PrefetchService
from systems.router.reconcile.service import Reconciliations
from systems.router.reloading import Reloading
from systems.router.store.queue import SqliteQueue
from systems.router.worklist import WorklistRelay

if TYPE_CHECKING:
    from systems.router.admin.server import AdminServer

log = logging.getLogger(__name__)
_EXPIRE_SECONDS = 60.0
_TICK_SECONDS = 1.0
_AUDITED_AT_ONCE = 200


def distribution_version() -> str:
    """The installed version, or `unknown` when run from a plain checkout."""
    try:
        return version("imaging-cloud-conformance")
    except PackageNotFoundError:
        return "unknown"


def make_tokens(config: Config) -> TokenSource:
    """The token source the configuration asks for."""
    credential = config.cloud.credential
    return NoToken() if credential is None else ClientCredentials(credential)


class Router:
    """Everything of one router; to be made inside the running loop."""

    def __init__(self, config: Config, file: FilePath | None = None, *, keep_log_level: bool = False) -> None:
        self.config = config
        self.reloading = Reloading(self, file, keep_log_level=keep_log_level)
        self.version = distribution_version()
        self.started = time.time()
        self.queue = SqliteQueue(config.data, config.spool, keyring(config.spool_keys))
        self.tokens = make_tokens(config)
        self.http = CloudHttp(config.cloud, self.tokens)
        self.uploader = Uploader(self.http, config.cloud)
        self.arriving = Arriving()
        self.groups = {
            item.name: WorkerGroup(
                item, self.queue, self._carrier(item.name), config.backoff, self._step_back()
            )
            for item in config.destinations
        }
        self.bridge = BridgeStore(config, config.cloud_bridge, self.queue, self.uploader)
        self.courtesy = Courtesy.of(config.prefetch)
        self.bridges = Bridges(
            config, self.tokens, self._may_move, self.courtesy, self._remember, self._record_retrieval
        )
        self.prefetch = PrefetchService(config, self.queue, self.bridges, self.courtesy, self._may_move)
        self.reconciliations = Reconciliations(config, self.queue, self.http, self.version)
        self.commitments = Commitments(config, self.queue, self.reconciliations.sides)
        self.worklist = WorklistRelay(config)
        self.intakes: list[Intake] = []
        self.certificates = Certificates()
        self.servers = {listener.name: self._server(listener) for listener in self._listeners()}
        peer = config.peer(config.pacs_bridge.peer)
        assert peer is not None  # noqa: S101 - checked when the configuration was loaded
        dimse_groups = [group for group in self.groups.values() if group.destination.kind == "dimse"]
        self.paths: dict[str, Path] = {
            CLOUD_BRIDGE: ListeningPath(config.cloud_bridge, self.servers[CLOUD_BRIDGE]),
            PACS_BRIDGE: PacsPath(PACS_BRIDGE, peer, dimse_groups),
            MODALITY_INTAKE: ListeningPath(config.modality_intake, self.servers[MODALITY_INTAKE]),
        }
        if self.prefetch.path is not None:
            self.paths[self.prefetch.path.name] = self.prefetch.path
        self.file_drop = self._file_drop()
        if self.file_drop is not None:
            self.paths[self.file_drop.name] = self.file_drop
        self.modes = {CLOUD_BRIDGE: config.cloud_bridge.mode, MODALITY_INTAKE: "queued", FILE_DROP: "queued"}
        self.migrations = Migrations(config, self.uploader, self.queue.note)
        self.admin: AdminServer | None = None
        self._housekeeping: asyncio.Task[None] | None = None

    def _step_back(self) -> StepBack:
        return StepBack(self.arriving, self.config.delivery)

    def _may_move(self) -> bool:
        return self.paths[PACS_BRIDGE].running

    async def _remember(self, ae_title: str, sop_instance_uids: Sequence[str]) -> None:
        await self.prefetch.returns.remember(ae_title, sop_instance_uids)

    async def _record_retrieval(self, calling_ae: str, receiver: str, taken: Sequence[str]) -> None:
        try:
            for start in range(0, len(taken), _AUDITED_AT_ONCE):
                await self.queue.note(
                    "retrieved",
                    calling_ae=calling_ae,
                    destination=receiver,
                    sop_instance_uids=list(taken[start : start + _AUDITED_AT_ONCE]),
                )
        except (OSError, sqlite3.Error):
            log.exception("a retrieval for %s could not be recorded in the audit trail", calling_ae)

    def _listeners(self) -> tuple[Listener, Listener]:
        return self.config.cloud_bridge, self.config.modality_intake

    def _carrier(self, name: str) -> Carrier:
        destination = self.config.destination(name)
        assert destination is not None  # noqa: S101 - named by the configuration itself
        if destination.kind == "dicomweb":
            return CloudCarrier(self.uploader, self.queue.spool)
        peer = self.config.peer(destination.peer)
        assert peer is not None  # noqa: S101 - checked when the configuration was loaded
        return PacsCarrier(peer, self.config.pacs_bridge, self.config.timers, self.queue.spool)

    def _server(self, listener: Listener) -> DimseServer:
        settings = dimse_settings(self.config, listener, listener_tls(listener))
        bridges = self.bridges if listener.name == CLOUD_BRIDGE else None
        if bridges is not None and listener.mode == "synchronous":
            return DimseServer(
                settings, PathHandler(self._live(self.bridge), self.commitments, bridges, bridges)
            )
        prefetch = self.prefetch if listener.name == MODALITY_INTAKE else None
        intake = Intake(self.config, listener, self.queue, self.uploader, self.arriving, prefetch)
        self.intakes.append(intake)
        finds = bridges or self.worklist
        return DimseServer(settings, PathHandler(self._live(intake), self.commitments, finds, bridges))

    def _file_drop(self) -> FileDropPath | None:
        settings = self.config.file_drop
        if settings is None:
            return None
        intake = Intake(self.config, settings, self.queue, self.uploader, self.arriving)
        self.intakes.append(intake)
        return FileDropPath(self.config, settings, intake, self.queue)

    def _live(self, stores: Stores) -> Stores:
        return LiveStores(stores, self.courtesy)

    async def start(self) -> None:
        """Start the admin interface, the workers and the enabled paths. Peers and cloud may be absent (ROUTER-189).

        Raises:
            ResourceError: a port cannot be had.
            ConfigError: the admin token cannot be read.

        """
        try:
            token = self.config.admin.token.read()
        except SecretMissingError as error:
            raise ConfigError(f"admin.token_file: {error}") from error
        await self.prefetch.start()
        for name, path in self.paths.items():
            if self._is_enabled(name):
                await path.start()
            elif isinstance(path, PacsPath):
                await path.stop(0)
        for group in self.groups.values():
            group.start()
        # Objects are taken and delivered already while the rest is loaded.
        admin_server = await asyncio.to_thread(import_module, "systems.router.admin.server")
        self.admin = admin_server.AdminServer(self, token)
        self.admin.start()
        await self.migrations.resume()
        await self.reconciliations.resume()
        self.commitments.start()
        self._housekeeping = asyncio.create_task(self._expire())
        await asyncio.to_thread(self._publish_ports)

    def _is_enabled(self, name: str) -> bool:
        enabled = {listener.name: listener.enabled for listener in self._listeners()}
        enabled[PACS_BRIDGE] = self.config.pacs_bridge.enabled
        if self.config.file_drop is not None:
            enabled[FILE_DROP] = self.config.file_drop.enabled
        return enabled.get(name, True)

    def _publish_ports(self) -> None:
        """Say where it listens: in the log and in `ports.json` of the data folder (ROUTER-002)."""
        assert self.admin is not None  # noqa: S101 - started just before
        ports = {name: path.port for name, path in self.paths.items() if path.port}
        ports["admin"] = self.admin.port
        temporary = self.config.data / "ports.json.new"
        temporary.write_bytes(orjson.dumps(ports))
        temporary.replace(self.config.data / "ports.json")
        log.info("listening: %s", ", ".join(f"{name} on {port}" for name, port in ports.items()))
        for warning in self.config.warnings:
            log.warning("%s", warning)

    async def stop(self) -> None:
        """Stop the intake, finish what runs within the grace period, keep the rest queued (ROUTER-190)."""
        grace = self.config.timers.grace_seconds
        listening = [path.stop(grace) for path in self.paths.values() if not isinstance(path, PacsPath)]
        await asyncio.gather(
            *listening, self.prefetch.stop(grace), *(group.stop(grace) for group in self.groups.values())
        )
        await self.bridge.close(grace)
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        await self.migrations.close()
        await self.commitments.close()
        await self.reconciliations.close()
        await self.bridges.close()
        if self.admin is not None:
            await self.admin.stop()
        await self.http.close()
        await self.prefetch.close()
        if self.file_drop is not None:
            await self.file_drop.close()
        await self.queue.close()

    async def _expire(self) -> None:
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            # A short retention is kept, too; it may have been loaded a moment ago.
            kept = self.config.spool.keep_delivered_seconds
            if clock() - last < (min(_EXPIRE_SECONDS, kept / 2) if kept else _EXPIRE_SECONDS):
                continue
            last = clock()
            try:
                await self.queue.expire()
                await self.prefetch.expire()
            except (OSError, sqlite3.Error):
                log.exception("retention could not be applied")

    def not_ready(self) -> list[str]:
        """What keeps the router from taking objects: stopped listeners that should run, a full spool."""
        missing = [
            f"path {listener.name} is stopped"
            for listener in self._listeners()
            if listener.enabled and not self.paths[listener.name].running
        ]
        spool = self.queue.spool
        if not spool.is_writable():
            missing.append("the spool cannot be written")
        elif spool.is_full():
            missing.append("the spool is full")
        return missing

    async def switch_path(self, name: str, *, start: bool) -> None:
        """Start or stop one path and record it (ROUTER-007)."""
        path = self.paths[name]
        if start:
            await path.start()
        else:
            await path.stop(self.config.timers.grace_seconds)
        await self.queue.note("operator path start" if start else "operator path stop", path=name)

    async def queue_action(self, name: str, action: str) -> None:
        """Pause, resume or wake a queue and record it (ROUTER-101, ROUTER-102)."""
        gate = self.groups[name].gate
        if action == "wake":
            await self.queue.release(name, everything=True)
            gate.wake()
        else:
            gate.hold(paused=action == "pause")
        await self.queue.note(f"operator {action}", destination=name)

    async def start_migration(self, selection: Selection) -> str:
        """Start a migration and record it. Raises `ConfigError` where [pacs.rest] is missing."""
        job = await self.migrations.start(selection)
        await self.queue.note("operator migration", migration=job, **selection.to_json())
        return job

    async def migration(self, job: str) -> dict[str, Any] | None:
        """State and manifest of a migration; None for an unknown one."""
        return await self.migrations.report(job)
