"""The configuration file of entra-id: TOML, read once, checked once, immutable afterwards."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TENANT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}")


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key and the remedy."""


@dataclass(frozen=True, slots=True)
class Application:
    """An application registration. An empty secret is a public client, which signs users in with PKCE only."""

    client_id: str
    object_id: str
    roles: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    redirect_uris: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in."""

    name: str
    object_id: str
    display_name: str
    roles: tuple[str, ...] = ()
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """What one entra-id serves. `token_lifetime` is in seconds; `authority` is empty when it follows the listener."""

    tenant: str
    audiences: tuple[str, ...]
    authority: str = ""
    token_lifetime: int = 3599
    admin_key: str = field(default="", repr=False)
    state_file: Path | None = None
    applications: tuple[Application, ...] = ()
    users: tuple[User, ...] = ()


class _Table:
    """One TOML table: takes values by key and type, and refuses what is left over."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise ConfigError(f"{where} must be a table")
        self._values = dict(values)
        self._where = where

    def key(self, name: str) -> str:
        return f"{self._where}{name}"

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.pop(name, default)
        if not isinstance(value, str) or (default is None and not value):
            raise ConfigError(f'{self.key(name)} is missing or not text: set {name} = "..."')
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ConfigError(f'{self.key(name)} must be a list of texts: set {name} = ["...", ...]')
        return tuple(value)

    def take(self, name: str, default: Any) -> Any:
        return self._values.pop(name, default)

    def tables(self, name: str) -> list["_Table"]:
        value = self._values.pop(name, [])
        if not isinstance(value, list):
            raise ConfigError(f"{self.key(name)} must be written as [[{name}]] tables")
        return [_Table(item, f"{name}[{index}].") for index, item in enumerate(value, 1)]

    def secret(self, name: str, folder: Path, environment: Mapping[str, str]) -> str:
        """Return the secret that `<name>_file` or `<name>_env` points to, or nothing when neither is there."""
        file, variable = self.text(f"{name}_file", ""), self.text(f"{name}_env", "")
        if file and variable:
            raise ConfigError(f"{self.key(name)}_file and {name}_env are both set: keep one")
        if variable:
            value = environment.get(variable, "")
            if not value:
                raise ConfigError(
                    f"{self.key(name)}_env names {variable}, which is not set in the environment: set it"
                )
            return value
        return _read_secret(folder / file, self.key(f"{name}_file")) if file else ""

    def end(self) -> None:
        if self._values:
            unknown = ", ".join(self.key(name) for name in sorted(self._values))
            raise ConfigError(f"unknown key {unknown}: remove or correct it")


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read the configuration file. Secrets come from `*_file` (relative to the file's folder) or `*_env`.

    Raises `ConfigError` when the file cannot be read or a key is wrong.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return parse_config(values, path.parent, environment)


def parse_config(values: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> Config:
    """Check the parsed configuration; `folder` is where relative files start. Raises `ConfigError`."""
    table = _Table(values, "")
    config = Config(
        tenant=_tenant(table.text("tenant")),
        audiences=_audiences(table.take("audience", None)),
        authority=_authority(table.text("authority", "")),
        token_lifetime=lifetime(table.take("token_lifetime", 3599)),
        admin_key=table.secret("admin_key", folder, environment),
        state_file=folder / state if (state := table.text("state_file", "")) else None,
        applications=tuple(_application(item, folder, environment) for item in table.tables("applications")),
        users=tuple(_user(item, folder, environment) for item in table.tables("users")),
    )
    table.end()
    _unique("applications", "client_id", [application.client_id for application in config.applications])
    _unique("users", "name", [user.name.lower() for user in config.users])
    return config


def lifetime(value: object) -> int:
    """Return `value` as a token lifetime in seconds, 1 second to 10 days. Raises `ConfigError`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 864_000:
        raise ConfigError("token_lifetime must be whole seconds from 1 to 864000")
    return value


def _application(table: _Table, folder: Path, environment: Mapping[str, str]) -> Application:
    client_id = table.text("client_id")
    public = table.take("public", False)
    if not isinstance(public, bool):
        raise ConfigError(f"{table.key('public')} must be true or false")
    application = Application(
        client_id=client_id,
        object_id=table.text("object_id"),
        roles=table.texts("roles"),
        secret=table.secret("secret", folder, environment),
        redirect_uris=table.texts("redirect_uris"),
    )
    if public == bool(application.secret):
        raise ConfigError(
            f"{table.key('secret_file')}: a public application has no secret, any other needs secret_file or secret_env"
        )
    table.end()
    return application


def _user(table: _Table, folder: Path, environment: Mapping[str, str]) -> User:
    name = table.text("name")
    user = User(
        name=name,
        object_id=table.text("object_id"),
        display_name=table.text("display_name", name),
        roles=table.texts("roles"),
        password=table.secret("password", folder, environment),
    )
    if not user.password:
        raise ConfigError(f"{table.key('password_file')}: a user needs password_file or password_env")
    table.end()
    return user


def _tenant(value: str) -> str:
    if not TENANT_PATTERN.fullmatch(value) or value.lower() in {"admin", "health", "adfs"}:
        raise ConfigError(
            "tenant must be the tenant id (a GUID) or a domain name; admin, health and adfs are taken"
        )
    return value


def _audiences(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if (
        not isinstance(listed, list)
        or not listed
        or not all(isinstance(item, str) and item for item in listed)
    ):
        raise ConfigError('audience is missing: set audience = "https://..." or a list of such')
    return tuple(item.rstrip("/") for item in listed)


def _authority(value: str) -> str:
    if value and not re.fullmatch(r"https://[^/?#]+/?", value):
        raise ConfigError(
            "authority must be https://HOST[:PORT] without a path: it is where clients reach this server"
        )
    return value.rstrip("/")


def _read_secret(path: Path, key: str) -> str:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: cannot read {path}: {error}") from error
    if not value:
        raise ConfigError(f"{key}: {path} is empty: put the secret in it")
    return value


def _unique(tables: str, key: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(f"{tables}: {key} {value!r} occurs twice: keep one")
