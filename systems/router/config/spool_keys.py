"""The keys of table [spool], with which objects are encrypted on the disk (ROUTER-111)."""

import base64
import binascii
import re
from pathlib import Path
from typing import Final

from systems.router.config import model
from systems.router.config.reader import Section
from systems.router.config.values import secret
from systems.router.errors import ConfigError, SecretMissingError
from systems.router.sealing import KEY_BYTES, Keyring, SpoolKey

_ANYBODY_ELSE: Final = 0o077
_REMEDY: Final = (
    "put 64 hexadecimal digits there, as `openssl rand -hex 32` makes them, or the base64 of 32 bytes"
)


def spool_keys(section: Section, folder: Path) -> model.SpoolKeys:
    """The keys `key_file` or `key_env`, and `old_key_files`; all of them are read once, so that a wrong one is found now.

    Raises:
        ConfigError: a key cannot be read or is none.

    """
    given = [section.has(name) for name in ("key", "key_env", "key_file")]
    key = secret(section, "key", folder) if any(given) else None
    old = [model.SecretSource(file=(folder / name).absolute()) for name in section.texts("old_key_files")]
    found = model.SpoolKeys(key, tuple(old))
    keyring(found)
    return found


def keyring(keys: model.SpoolKeys) -> Keyring:
    """Read the keys.

    Raises:
        ConfigError: one cannot be read, can be read by others, or is no key; the message never holds any of it.

    """
    current = None
    if keys.key is not None:
        current = _key("spool.key_file" if keys.key.file else "spool.key_env", keys.key)
    return Keyring(current, [_key("spool.old_key_files", source) for source in keys.old_keys])


def _key(name: str, source: model.SecretSource) -> SpoolKey:
    where = str(source.file or source.env)
    try:
        if source.file is not None and (mode := source.file.stat().st_mode & 0o777) & _ANYBODY_ELSE:
            raise ConfigError(
                f"{name}: {where} is open to others than its owner (mode {mode:04o}); make it 0600 or 0400"
            )
        key = _decoded(source.read())
    except (SecretMissingError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name}: {where} cannot be read: {why}; {_REMEDY}") from error
    except ValueError:
        # Its text may quote what was read.
        raise ConfigError(f"{name}: {where} holds no key; {_REMEDY}") from None
    if len(key) != KEY_BYTES:
        size = "short" if len(key) < KEY_BYTES else "long"
        raise ConfigError(f"{name}: {where} holds {len(key)} bytes, which is too {size}; {_REMEDY}")
    return SpoolKey(key)


def _decoded(text: str) -> bytes:
    """Raises `ValueError` where it is neither hexadecimal nor base64."""
    if re.fullmatch(r"([0-9A-Fa-f]{2})+", text):
        return bytes.fromhex(text)
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    try:
        return base64.b64decode(padded.translate(str.maketrans("-_", "+/")), validate=True)
    except binascii.Error as error:
        raise ValueError from error
