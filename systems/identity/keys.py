"""Signing keys: RSA, named by their JWK thumbprint (RFC 7638), kept over a restart when asked."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ALGORITHM = "RS256"


class KeyFileError(OSError):
    """The file that keeps the signing keys cannot be read or written."""


@dataclass(frozen=True)
class SigningKey:
    """An RSA private key and its public half as a JSON Web Key."""

    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new 2048 bit key."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @cached_property
    def _numbers(self) -> dict[str, str]:
        public = self.private.public_key().public_numbers()
        return {"e": _base64_integer(public.e), "kty": "RSA", "n": _base64_integer(public.n)}

    @cached_property
    def kid(self) -> str:
        """The key's thumbprint."""
        return thumbprint(self._numbers)

    def jwk(self, issuer: str) -> dict[str, str]:
        """Return the public half as the key set lists it (RFC 7517 section 4)."""
        return {"use": "sig", "kid": self.kid, "alg": ALGORITHM, **self._numbers, "issuer": issuer}

    def sign(self, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
        """Return `claims` as a signed JSON Web Token; `header` entries replace ours, `None` removes one."""
        merged = {"kid": self.kid} | (header or {})
        return jwt.encode(
            claims,
            self.private,
            algorithm=ALGORITHM,
            headers={name: value for name, value in merged.items() if value is not None},
        )

    def pem(self) -> str:
        """Return the private key, PKCS 8, unencrypted."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")

    @classmethod
    def from_pem(cls, pem: str) -> "SigningKey":
        """Read a private key. Raises `ValueError` or `TypeError` when it is no RSA key."""
        key = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("not an RSA key")
        return cls(key)


class KeyRing:
    """The current signing key and older ones that are still published."""

    def __init__(self, state_file: Path | None = None) -> None:
        """Take the keys of `state_file`, or make a key and keep it there. Raises `KeyFileError`."""
        self._state_file = state_file
        kept = _read(state_file) if state_file is not None else []
        self._keys = kept or [SigningKey.generate()]
        self._foreign: SigningKey | None = None
        if not kept:
            self._write()

    @property
    def current(self) -> SigningKey:
        """The key that signs."""
        return self._keys[0]

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """All keys in the key set, the current one first."""
        return tuple(self._keys)

    @property
    def foreign(self) -> SigningKey:
        """A key that is never published: what it signs must be refused everywhere."""
        if self._foreign is None:
            self._foreign = SigningKey.generate()
        return self._foreign

    def rotate(self, *, keep_old: bool) -> None:
        """Sign with a new key; the old ones stay published only with `keep_old`. Raises `KeyFileError`."""
        self._keys = [SigningKey.generate(), *(self._keys if keep_old else [])]
        self._write()

    def _write(self) -> None:
        if self._state_file is None:
            return
        text = json.dumps({"keys": [key.pem() for key in self._keys]})
        beside = self._state_file.with_name(self._state_file.name + ".new")
        try:
            beside.unlink(missing_ok=True)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._state_file)
        except OSError as error:
            raise KeyFileError(
                f"cannot write the signing keys to {self._state_file}: {error.strerror}"
            ) from error


def thumbprint(members: dict[str, str]) -> str:
    """Return the JWK thumbprint of a key's required `members` (RFC 7638 section 3)."""
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return _base64(hashlib.sha256(canonical).digest())


def _read(path: Path) -> list[SigningKey]:
    try:
        return [SigningKey.from_pem(pem) for pem in json.loads(path.read_text(encoding="ascii"))["keys"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KeyFileError(f"cannot read the signing keys in {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise KeyFileError(f"{path} does not hold signing keys: remove it to start with a new key") from error


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _base64_integer(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
