"""What a newly loaded configuration changes in a running router, and what has to wait for a restart (ROUTER-008)."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final

from systems.router.config.model import Config
from systems.router.config.references import check_references
from systems.router.config.timers import timer_warnings

_LIVE: Final = frozenset(
    {
        "log_level",
        "peers",
        "rules",
        "backoff",
        "delivery",
        "spool",
        "timers",
        "query",
        "migration",
        "alarms",
        "commitment",
        "completion",
        "worklist",
        "change_feed",
    }
)
_LISTENER: Final = frozenset(
    {
        "ae_title",
        "check_called_ae",
        "allowed_calling_aes",
        "allowed_networks",
        "max_associations",
        "private_sop_classes",
        "destinations",
    }
)
_LIVE_KEYS: Final = {
    "admin": frozenset({"token"}),
    "cloud": frozenset(
        {
            "store_form",
            "batch_instances",
            "batch_bytes",
            "max_request_bytes",
            "connect_seconds",
            "read_idle_seconds",
            "bytes_per_second",
        }
    ),
    "cloud_bridge": _LISTENER,
    "modality_intake": _LISTENER,
    "pacs_bridge": frozenset({"calling_ae_title", "keep_calling_ae"}),
    "file_drop": frozenset(
        {
            "ae_title",
            "calling_ae_title",
            "scan_seconds",
            "settle_seconds",
            "private_sop_classes",
            "destinations",
        }
    ),
    "prefetch": frozenset(
        {
            "priors",
            "on_arrival",
            "window_seconds",
            "strict_name",
            "assigning_authority",
            "width_per_patient",
            "max_waiting",
            "max_failures",
            "give_up_seconds",
            "keep_seconds",
        }
    ),
}
_LIVE_OF_DESTINATIONS: Final = ("rate_per_second", "max_failures", "mandatory")
_TABLES: Final = {
    "data": "router.data",
    "log_level": "router.log_level",
    "cloud_bridge": "paths.cloud-bridge",
    "modality_intake": "paths.modality-intake",
    "pacs_bridge": "paths.pacs-bridge",
    "pacs_rest": "pacs.rest",
    "file_drop": "paths.file-drop",
    "cloud.verify_tls": "cloud.test_only_do_not_verify_tls",
    "cloud.bytes_per_second": "cloud.expected_bytes_per_second",
    "spool_keys": "spool.key_file",
    "tls": "tls_cert_file",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """`config` is what is in force once applied: the new values where they may change, the old ones elsewhere."""

    config: Config
    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]


def changes(running: Config, loaded: Config) -> Changes:
    """Compare key by key.

    Raises:
        ConfigError: a change that could be made at once names something that only comes with a restart.

    """
    values: dict[str, Any] = {}
    applied: list[str] = []
    waiting: list[str] = []
    for item in fields(Config):
        before, after = getattr(running, item.name), getattr(loaded, item.name)
        if before == after or item.name == "warnings":
            continue
        name = _TABLES.get(item.name, item.name)
        if item.name in _LIVE:
            values[item.name] = after
            applied.append(name)
        elif item.name in _LIVE_KEYS and before is not None and after is not None:
            values[item.name], now, later = _merge(item.name, before, after)
            applied += now
            waiting += later
        elif item.name == "destinations" and _only_numbers(before, after):
            values[item.name] = after
            applied.append(name)
        else:
            waiting.append(name)
    config = replace(running, **values)
    check_references(config)
    return Changes(replace(config, warnings=timer_warnings(config)), tuple(applied), tuple(waiting))


def _merge(table: str, before: Any, after: Any) -> tuple[Any, list[str], list[str]]:
    """One table: the merged value, the keys that change now, those that wait."""
    values: dict[str, Any] = {}
    waiting: list[str] = []
    applied: list[str] = []
    for item in fields(before):
        if getattr(before, item.name) == getattr(after, item.name):
            continue
        name = _TABLES.get(
            f"{table}.{item.name}", f"{_TABLES.get(table, table)}.{_TABLES.get(item.name, item.name)}"
        )
        if item.name in _LIVE_KEYS[table]:
            values[item.name] = getattr(after, item.name)
            applied.append(name)
        else:
            waiting.append(name)
    return replace(before, **values), applied, waiting


def _only_numbers(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Whether the destinations are the same ones, treated differently."""
    if len(before) != len(after):
        return False
    return all(
        replace(new, **{key: getattr(old, key) for key in _LIVE_OF_DESTINATIONS}) == old
        for old, new in zip(before, after, strict=True)
    )
