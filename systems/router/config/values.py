"""Values several tables share: file names, URLs, places of secrets."""

from pathlib import Path
from urllib.parse import urlsplit

from systems.router.config import model
from systems.router.config.reader import Section
from systems.router.errors import SecretMissingError


def file(section: Section, key: str, folder: Path) -> Path:
    """A file or folder name, relative to `folder`."""
    return (folder / section.text(key)).absolute()


def optional_file(section: Section, key: str, folder: Path) -> Path | None:
    """An existing file, or None where the key is absent."""
    if section.optional_text(key) is None:
        return None
    path = file(section, key, folder)
    if not path.is_file():
        raise section.wrong(key, f"names {path}, which is not a file; correct the name or create it")
    return path


def url(section: Section, key: str) -> str:
    """An http or https URL without credentials."""
    value = section.text(key)
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise section.wrong(key, f"is {value!r}; it must begin with https:// or http:// and name a host")
    if parts.username or parts.password:
        raise section.wrong(key, "carries a user name or password; credentials never belong in a URL")
    return value


def secret(section: Section, what: str, folder: Path) -> model.SecretSource:
    """Exactly one of `what`_env and `what`_file."""
    env, file = section.optional_text(f"{what}_env"), section.optional_text(f"{what}_file")
    if (env is None) == (file is None):
        raise section.wrong(f"{what}_env", f"give exactly one of {what}_env and {what}_file")
    if section.has(what):
        raise section.wrong(
            what, f"a secret is never written into the configuration; use {what}_env or {what}_file"
        )
    source = model.SecretSource(env, (folder / file).absolute() if file else None)
    if env is not None:
        try:
            source.read()
        except SecretMissingError as error:
            raise section.wrong(f"{what}_env", str(error)) from error
    return source
