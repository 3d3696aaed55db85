"""The running configuration as JSON-ready values without secrets (ROUTER-008, ROUTER-123)."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from systems.router.config.model import Config, SecretSource
from systems.router.config.timers import timer_table


def export(config: Config) -> dict[str, Any]:
    """All settings in force, defaults included; a secret appears only as the place it is read from."""
    plain = _plain(config)
    assert isinstance(plain, dict)  # noqa: S101 - a dataclass becomes a dict
    plain["timer_table"] = timer_table(config)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, SecretSource):
        return {"env": value.env} if value.env else {"file": str(value.file)}
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
