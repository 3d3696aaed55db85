"""The configuration file of fault-link: TOML, read once, checked once, immutable afterwards."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s\[\]]+)):(?P<port>\d{1,5})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TOP_KEYS = frozenset({"control", "control_key_env", "control_key_file", "routes"})
_ROUTE_KEYS = frozenset(
    {"name", "mode", "listen", "target", "tls_cert", "tls_key", "target_ca", "target_tls"}
)


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key and the remedy."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HttpMode:
    """How a route in HTTP mode ends TLS and reaches its target.

    Without `certificate` clients speak plain HTTP. `target_ca` empty means the machine's own trust store.
    """

    certificate: Path | None
    key: Path | None
    target_tls: bool
    target_ca: Path | None


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """One way through the link; `http` is `None` in TCP mode."""

    name: str
    listen: Address
    target: Address
    http: HttpMode | None


@dataclass(frozen=True, slots=True)
class Config:
    """What one fault-link serves."""

    control: Address
    control_key: str = field(repr=False)
    routes: tuple[RouteConfig, ...]


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read the configuration file; relative files start at its folder. Raises `ConfigError`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return parse_config(values, path.parent, environment)


def parse_config(values: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> Config:
    """Check the parsed configuration. Raises `ConfigError`."""
    _known(values, _TOP_KEYS, "")
    tables = values.get("routes")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ConfigError("routes is missing: add at least one [[routes]] table")
    routes = tuple(_route(table, folder, f"routes[{number}].") for number, table in enumerate(tables, 1))
    names = [route.name for route in routes]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"routes: the name {repeated[0]} occurs twice: keep one")
    return Config(_address(values, "control", ""), _control_key(values, folder, environment), routes)


def _route(table: Mapping[str, Any], folder: Path, where: str) -> RouteConfig:
    _known(table, _ROUTE_KEYS, where)
    name = _text(table, "name", where)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}name must be letters, digits, '.', '_' and '-'")
    mode = _text(table, "mode", where)
    if mode not in {"tcp", "http"}:
        raise ConfigError(f'{where}mode must be "tcp" or "http"')
    only_http = sorted(_ROUTE_KEYS & table.keys() & {"tls_cert", "tls_key", "target_ca", "target_tls"})
    if mode == "tcp" and only_http:
        raise ConfigError(f'{where}{only_http[0]} is for mode = "http": remove it or change the mode')
    http = _http(table, folder, where) if mode == "http" else None
    return RouteConfig(name, _address(table, "listen", where), _address(table, "target", where), http)


def _http(table: Mapping[str, Any], folder: Path, where: str) -> HttpMode:
    certificate, key = (_file(table, name, folder, where) for name in ("tls_cert", "tls_key"))
    if (certificate is None) != (key is None):
        raise ConfigError(f"{where}tls_cert and tls_key go together: set both or, for plain HTTP, none")
    target_tls = table.get("target_tls", True)
    if not isinstance(target_tls, bool):
        raise ConfigError(f"{where}target_tls must be true or false")
    target_ca = _file(table, "target_ca", folder, where)
    if target_ca is not None and not target_tls:
        raise ConfigError(f"{where}target_ca needs target_tls = true: remove one")
    return HttpMode(certificate, key, target_tls, target_ca)


def _control_key(values: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> str:
    file = _file(values, "control_key_file", folder, "")
    if file is not None:
        key = file.read_text(encoding="utf-8").strip()
        if not key:
            raise ConfigError(f"control_key_file: {file} is empty: put the key in it")
        return key
    variable = _text(values, "control_key_env", "")
    if not environment.get(variable):
        raise ConfigError(f"control_key_env names {variable}, which is not set in the environment: set it")
    return environment[variable]


def _address(values: Mapping[str, Any], name: str, where: str) -> Address:
    match = _ADDRESS.fullmatch(_text(values, name, where))
    if match is None or int(match["port"]) > 65_535:
        raise ConfigError(f'{where}{name} must be "HOST:PORT" or "[IPV6]:PORT"')
    return Address(match["v6"] or match["host"], int(match["port"]))


def _text(values: Mapping[str, Any], name: str, where: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigError(f'{where}{name} is missing or not text: set {name} = "..."')
    return value


def _file(values: Mapping[str, Any], name: str, folder: Path, where: str) -> Path | None:
    if name not in values:
        return None
    path = folder / _text(values, name, where)
    if not path.is_file():
        raise ConfigError(f"{where}{name}: there is no file {path}")
    return path


def _known(values: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(values.keys() - known):
        raise ConfigError(f"unknown key {where}{unknown[0]}: remove or correct it")
