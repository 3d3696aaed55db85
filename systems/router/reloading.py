"""Loads the configuration file into the running router: all of it that may change, or nothing (ROUTER-008)."""

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from systems.router.config import load
from systems.router.config.changes import Changes, changes
from systems.router.config.model import Config
from systems.router.delivery.pacs import PacsCarrier
from systems.router.errors import ConfigError, SecretMissingError
from systems.router.listeners import dimse_settings, listener_tls, load_identity
from systems.router.paths import ListeningPath
from systems.router.peers import peer_tls

if TYPE_CHECKING:
    from systems.router.runtime import Router

log = logging.getLogger(__name__)


class _Part(Protocol):
    def reconfigure(self, config: Config) -> None: ...


class Reloading:
    """The file behind the configuration in force. An unusable file changes nothing and is remembered as an alarm."""

    def __init__(self, router: "Router", file: Path | None, *, keep_log_level: bool = False) -> None:
        self._router = router
        self._file = file
        self._keep_log_level = keep_log_level
        self._turn = asyncio.Lock()
        self.loaded_at = time.time()
        self.needs_restart: tuple[str, ...] = ()
        self.refused = ""

    async def load(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Load the file anew; `applied` are the keys that changed, `needs_restart` those that differ and wait.

        Raises:
            ConfigError: the file cannot be used; the message names the key, and the old configuration stays in force.

        """
        async with self._turn:
            try:
                found = await self._compare()
                if not dry_run:
                    self._apply(found.config)
            except ConfigError as error:
                if not dry_run:
                    self.refused = str(error)
                    log.warning("the configuration is kept, the file is refused: %s", error)
                raise
            if not dry_run:
                await self._record(found)
        return {
            "applied": list(found.applied),
            "needs_restart": list(found.needs_restart),
            "dry_run": dry_run,
        }

    async def on_signal(self) -> None:
        """As `load`, for SIGHUP: a refusal is in the log and in the alarms."""
        try:
            await self.load()
        except ConfigError:
            return

    async def _compare(self) -> Changes:
        if self._file is None:
            raise ConfigError(
                "this router was started without a configuration file; there is nothing to load"
            )
        loaded = await asyncio.to_thread(load, self._file)
        found = changes(self._router.config, loaded)
        await asyncio.to_thread(_try_out, found.config)
        return found

    async def _record(self, found: Changes) -> None:
        self.refused = ""
        self.loaded_at = time.time()
        self.needs_restart = found.needs_restart
        log.info(
            "configuration loaded: %s changed; %s waits for a restart",
            ", ".join(found.applied) or "nothing",
            ", ".join(found.needs_restart) or "nothing",
        )
        await self._router.queue.note(
            "operator configuration", applied=list(found.applied), needs_restart=list(found.needs_restart)
        )

    def _apply(self, config: Config) -> None:
        """Between two steps of the loop, so that no request sees half of it."""
        router = self._router
        if router.admin is not None:
            router.admin.use_token(config.admin.token.read())
        router.config = config
        if not self._keep_log_level:
            logging.getLogger().setLevel(config.log_level.upper())
        router.queue.reconfigure(config.spool)
        router.uploader.reconfigure(config.cloud)
        parts: list[_Part] = [
            router.bridge,
            router.bridges,
            router.migrations,
            router.reconciliations,
            router.commitments,
            router.worklist,
            router.prefetch,
            *router.intakes,
        ]
        if router.file_drop is not None:
            parts.append(router.file_drop)
        for part in parts:
            part.reconfigure(config)
        self._apply_to_groups(config)
        for name, server in router.servers.items():
            listener, path = config.listener(name), router.paths[name]
            if server.settings.tls is not None and listener.tls is not None:
                load_identity(server.settings.tls, listener.tls, f"paths.{name}")
            server.settings = dimse_settings(config, listener, server.settings.tls)
            if isinstance(path, ListeningPath):
                path.reconfigure(listener)

    def _apply_to_groups(self, config: Config) -> None:
        for name, group in self._router.groups.items():
            destination = config.destination(name)
            assert destination is not None  # noqa: S101 - destinations come and go with restarts only
            group.reconfigure(destination, config.backoff)
            group.step_back.reconfigure(config.delivery)
            peer = config.peer(destination.peer)
            if isinstance(group.carrier, PacsCarrier) and peer is not None:
                group.carrier.reconfigure(peer, config.pacs_bridge, config.timers)


def _try_out(config: Config) -> None:
    """What could fail while it is applied is tried before anything changes."""
    try:
        config.admin.token.read()
    except SecretMissingError as error:
        raise ConfigError(f"admin.token_file: {error}") from error
    for listener in (config.cloud_bridge, config.modality_intake):
        listener_tls(listener)
    for peer in config.peers:
        peer_tls(peer)
