"""Values several tables share: file names, URLs, places of secrets."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from systems.router.config import model
from systems.router.config.reader import Section
from systems.router.errors import SecretMissingError

_ENTRA_ENDPOINT = re.compile(r"/(?P<tenant>[^/]+)/oauth2/(v2\.0/)?token")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


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


def entra_registration(section: Section, url_key: str, client_key: str) -> tuple[str, str]:
    """A token endpoint and a client id. Where the endpoint is one of Entra ID, both are what only Entra ID gives out.

    The tenant is a GUID or a domain, the client a GUID; other identity services name clients as they like.
    """
    endpoint, client_id = url(section, url_key), section.text(client_key)
    found = _ENTRA_ENDPOINT.fullmatch(urlsplit(endpoint).path)
    if found is None:
        return endpoint, client_id
    if not _GUID.fullmatch(found["tenant"]) and "." not in found["tenant"]:
        raise section.wrong(url_key, f"names the tenant {found['tenant']!r}; it must be a GUID or a domain")
    if not _GUID.fullmatch(client_id):
        raise section.wrong(client_key, f"is {client_id!r}; it must be the GUID of the application")
    return endpoint, client_id


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


def tls_identity(section: Section, folder: Path, *, takes_clients: bool = False) -> model.TlsIdentity | None:
    """`tls_cert_file` with `tls_key_file`, for listeners also `tls_client_ca_file`; None without them (ROUTER-126)."""
    cert = optional_file(section, "tls_cert_file", folder)
    key = optional_file(section, "tls_key_file", folder)
    clients = optional_file(section, "tls_client_ca_file", folder) if takes_clients else None
    if cert is None or key is None:
        for name, other, value in (
            ("tls_cert_file", "tls_key_file", key),
            ("tls_key_file", "tls_cert_file", cert),
        ):
            if value is not None:
                raise section.wrong(name, f"is missing; it belongs to {other}")
        if clients is not None:
            raise section.wrong("tls_client_ca_file", "needs tls_cert_file and tls_key_file too")
        return None
    return model.TlsIdentity(cert, key, clients)


def tags(section: Section, key: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """A table from a tag, as in "0008,0080", to the values it may have; `*` and `?` are wildcards (ROUTER-191)."""
    table = section.section(key)
    found: list[tuple[int, tuple[str, ...]]] = []
    for name in table.names():
        digits = name.replace(",", "")
        if not re.fullmatch(r"[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}", name) or digits < "0008":
            raise table.wrong(name, 'is not a tag of a data set such as "0008,0080"')
        values = table.texts(name)
        if not values:
            raise table.wrong(name, 'is empty; give the values it may have, such as ["ICU*"]')
        found.append((int(digits, 16), values))
    return tuple(found)
