"""Back-off, spool, timers and the other limits of the configuration as immutable values. Times are seconds, sizes bytes."""

from dataclasses import dataclass

from systems.router.digests import Algorithm


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off (ROUTER-102); `jitter` is the share by which a delay may vary."""

    first_seconds: float
    factor: float
    ceiling_seconds: float
    jitter: float


@dataclass(frozen=True)
class Delivery:
    """For how long at most deliveries step back while objects arrive; 0: they never do."""

    step_back_seconds: float = 3.0


@dataclass(frozen=True)
class SpoolLimits:
    """How much the spool may hold and for how long (ROUTER-185, ROUTER-111, ROUTER-105)."""

    hard_limit_bytes: int
    hard_limit_percent: float
    soft_limit_percent: float
    keep_delivered_seconds: float
    keep_digest_seconds: float
    memory_object_bytes: int
    digest: Algorithm = "blake3"


@dataclass(frozen=True)
class Timers:
    """DIMSE timers, the demo's own values (ROUTER-029), and the bound for peers not in the table."""

    association_request_seconds: float
    idle_seconds: float
    communication_seconds: float
    max_pdu_bytes: int
    default_bound_seconds: float
    grace_seconds: float


@dataclass(frozen=True)
class QueryLimits:
    """Bounds of C-FIND, C-MOVE and C-GET (ROUTER-065, 090, 091, 172)."""

    max_matches: int
    search_connect_seconds: float
    search_bound_seconds: float
    move_bound_seconds: float
    move_width: int
    c_get: bool


@dataclass(frozen=True)
class Migration:
    """How gently a migration treats the PACS (CLAIM-MIGRATE-05)."""

    width: int
    grace_seconds: float


@dataclass(frozen=True)
class Alarms:
    """When waiting becomes an alarm (ROUTER-161)."""

    destination_down_seconds: float
    oldest_task_seconds: float
    certificate_days: float = 30.0


@dataclass(frozen=True)
class Worklist:
    """The peer to which worklist queries of the modality intake are relayed (ROUTER-027); empty: none are taken."""

    peer: str = ""


@dataclass(frozen=True)
class Commitment:
    """Storage commitment (ROUTER-028): how many requests may wait, and for how long one that cannot be told is kept."""

    enabled: bool = True
    max_pending: int = 1000
    give_up_seconds: float = 7 * 86400.0


@dataclass(frozen=True)
class Completion:
    """How long nothing more must arrive until a series or study counts as complete (ROUTER-107)."""

    series_seconds: float = 60.0
    study_seconds: float = 900.0
