"""The router's configuration as immutable values (ROUTER-008). Times are seconds, sizes bytes."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from systems.router.config.change_feed import ChangeFeed
from systems.router.config.file_drop import FILE_DROP, FileDrop
from systems.router.config.limit_values import (
    Alarms,
    Backoff,
    Commitment,
    Completion,
    Delivery,
    Migration,
    QueryLimits,
    SpoolLimits,
    Timers,
    Worklist,
)
from systems.router.config.prefetch import Prefetch
from systems.router.errors import SecretMissingError

CLOUD_BRIDGE = "cloud-bridge"
PACS_BRIDGE = "pacs-bridge"
MODALITY_INTAKE = "modality-intake"
PATHS = (CLOUD_BRIDGE, PACS_BRIDGE, MODALITY_INTAKE)


@dataclass(frozen=True)
class SecretSource:
    """Where a secret comes from; never the secret itself (ROUTER-123)."""

    env: str | None = None
    file: Path | None = None

    def read(self) -> str:
        """The secret, read anew each time so that a corrected file works without a restart.

        Raises:
            SecretMissingError: the file or variable is absent or empty.

        """
        if self.file is not None:
            try:
                secret = self.file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SecretMissingError.file(self.file, f"cannot be read ({error.strerror})") from error
            if not secret:
                raise SecretMissingError.file(self.file, "is empty")
            return secret
        secret = os.environ.get(self.env or "", "").strip()
        if not secret:
            raise SecretMissingError.env(self.env or "")
        return secret


@dataclass(frozen=True)
class Admin:
    """The admin interface (ROUTER-199)."""

    host: str
    port: int
    token: SecretSource


@dataclass(frozen=True)
class Credential:
    """Client credentials (ROUTER-120): `form` v1 asks for a resource, v2 for a scope."""

    form: str
    token_url: str
    client_id: str
    secret: SecretSource
    audience: str
    ca_file: Path | None


@dataclass(frozen=True)
class Cloud:
    """The DICOMweb origin server."""

    base_url: str
    version: str
    ca_file: Path | None
    verify_tls: bool
    proxy: str | None
    store_form: str
    batch_instances: int
    batch_bytes: int
    max_request_bytes: int
    connect_seconds: float
    read_idle_seconds: float
    bytes_per_second: int
    credential: Credential | None

    @property
    def service_url(self) -> str:
        """Base URL with the version segment, without a trailing slash."""
        base = self.base_url.rstrip("/")
        return f"{base}/{self.version}" if self.version else base


@dataclass(frozen=True)
class TlsIdentity:
    """Certificate and key of one side of DICOM TLS (ROUTER-126); a listener with `client_ca_file` wants certificates too."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True)
class Peer:
    """One row of the peer and move-destination table (ROUTER-005)."""

    ae_title: str
    host: str
    port: int
    tls: bool
    tls_ca_file: Path | None
    timer_seconds: float
    bound_seconds: float
    relational_queries: bool
    tls_identity: "TlsIdentity | None" = None


@dataclass(frozen=True)
class Listener:
    """A listening path: AE title, address, who may call and how many."""

    name: str
    enabled: bool
    ae_title: str
    host: str
    port: int
    check_called_ae: bool
    allowed_calling_aes: tuple[str, ...]
    allowed_networks: tuple[str, ...]
    max_associations: int
    private_sop_classes: tuple[str, ...]
    mode: str
    destinations: tuple[str, ...]
    tls: TlsIdentity | None = None


class Source(Protocol):
    """A path by which objects come in, as far as their routing needs it."""

    @property
    def name(self) -> str:
        """The path's name."""
        ...

    @property
    def destinations(self) -> tuple[str, ...]:
        """Where its objects go when there are no rules."""
        ...


@dataclass(frozen=True)
class PacsBridge:
    """The path to and from the PACS: its peer and how the router calls there (ROUTER-006)."""

    enabled: bool
    peer: str
    calling_ae_title: str
    keep_calling_ae: bool


@dataclass(frozen=True)
class Destination:
    """One queue: where its objects go and how hard it tries (ROUTER-101)."""

    name: str
    kind: str
    peer: str
    concurrency: int
    rate_per_second: float
    max_failures: int
    mandatory: bool


@dataclass(frozen=True)
class Rule:
    """Selects destinations for objects that match every given criterion (ROUTER-191)."""

    name: str
    destinations: tuple[str, ...]
    calling_aes: tuple[str, ...]
    called_aes: tuple[str, ...]
    sop_classes: tuple[str, ...]
    modalities: tuple[str, ...]
    tags: tuple[tuple[int, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class PacsRest:
    """Orthanc's REST interface, used by the migration job only (ROUTER-195)."""

    url: str
    username: str | None
    password: SecretSource | None
    ca_file: Path | None


@dataclass(frozen=True)
class SpoolKeys:
    """Where the keys of the spool come from (ROUTER-111): `key` for what arrives, `old_keys` for what lies there."""

    key: SecretSource | None = None
    old_keys: tuple[SecretSource, ...] = ()


@dataclass(frozen=True)
class Config:
    """Everything the router was told."""

    data: Path
    log_level: str
    admin: Admin
    cloud: Cloud
    peers: tuple[Peer, ...]
    cloud_bridge: Listener
    modality_intake: Listener
    pacs_bridge: PacsBridge
    destinations: tuple[Destination, ...]
    rules: tuple[Rule, ...]
    backoff: Backoff
    spool: SpoolLimits
    timers: Timers
    query: QueryLimits
    pacs_rest: PacsRest | None
    migration: Migration
    alarms: Alarms
    worklist: Worklist = field(default=Worklist())
    commitment: Commitment = field(default=Commitment())
    completion: Completion = field(default=Completion())
    delivery: Delivery = field(default=Delivery())
    warnings: tuple[str, ...] = field(default=())
    prefetch: Prefetch | None = None
    file_drop: FileDrop | None = None
    change_feed: ChangeFeed = field(default=ChangeFeed())
    spool_keys: SpoolKeys = field(default=SpoolKeys())

    def peer(self, ae_title: str) -> Peer | None:
        """The peer of that AE title, or None."""
        return next((peer for peer in self.peers if peer.ae_title == ae_title), None)

    def listener(self, name: str) -> Listener:
        """The listening path of that name."""
        return {CLOUD_BRIDGE: self.cloud_bridge, MODALITY_INTAKE: self.modality_intake}[name]

    def source(self, name: str) -> Source:
        """The path of that name by which objects come in."""
        if name == FILE_DROP and self.file_drop is not None:
            return self.file_drop
        return self.listener(name)

    def destination(self, name: str) -> Destination | None:
        """The destination of that name, or None."""
        return next((destination for destination in self.destinations if destination.name == name), None)

    def bound_for(self, calling_ae: str) -> float:
        """Seconds within which a request of `calling_ae` must be answered (ROUTER-048)."""
        peer = self.peer(calling_ae)
        return peer.bound_seconds if peer else self.timers.default_bound_seconds
