"""Encryption of single objects: what is written is what the module says, and is read from any place."""

import hashlib
import hmac
import io
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from systems.router.sealing import Keyring, MissingKeyError, SpoolKey, opened

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


def by_hand(key: bytes, salt: bytes, content: bytes) -> bytes:
    """HKDF (RFC 5869) and counter mode (SP 800-38A) from their building blocks."""
    secret = hmac.digest(salt, key, hashlib.sha256)
    derived = hmac.digest(secret, b"dicom-router spool object\x01", hashlib.sha256)
    block = Cipher(algorithms.AES256(derived), modes.ECB()).encryptor()  # noqa: S305 - the block cipher itself
    stream = b"".join(block.update(n.to_bytes(16, "big")) for n in range(len(content) // 16 + 1))
    return bytes(a ^ b for a, b in zip(content, stream, strict=False))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100_000])
def test_object_is_encrypted_as_documented_whatever_pieces_it_comes_in(size: int) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311
    key = Keyring(SpoolKey(KEY)).fresh()
    assert key is not None
    pieces: list[bytes | memoryview] = [content[:5], memoryview(content)[5:33], b"", content[33:]]
    written = b"".join(key.encrypted(pieces))
    assert written == by_hand(KEY, key.seal.salt, content)
    assert len(written) == size
    again = Keyring(None, [SpoolKey(KEY)]).of(key.seal)
    assert again.from_start()(written) == content


def test_a_file_is_read_from_any_place(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311
    content = chance.randbytes(1_000_003)
    key = Keyring(SpoolKey(KEY)).fresh()
    assert key is not None
    path = tmp_path / "object"
    path.write_bytes(b"".join(key.encrypted([content])))
    with opened(path, key) as file:
        assert file.read() == content
        assert file.read() == b""
        for _ in range(200):
            at, length = chance.randrange(len(content)), chance.choice([1, 7, 16, 4096, 300_000])
            assert file.seek(at) == at
            assert file.read(length) == content[at : at + length]
        assert file.seek(-10, io.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]


def test_every_object_has_a_salt_and_a_key_of_its_own() -> None:
    keyring = Keyring(SpoolKey(KEY))
    made = [keyring.fresh() for _ in range(500)]
    assert len({key.seal.salt for key in made if key}) == 500
    assert len({key.encrypted([bytes(32)])[0] for key in made if key}) == 500
    assert {len(key.seal.salt) for key in made if key} == {32}


def test_identifier_tells_keys_apart_and_is_all_that_is_shown() -> None:
    first, second = SpoolKey(KEY), SpoolKey(OTHER)
    assert first.identifier != second.identifier
    assert SpoolKey(KEY).identifier == first.identifier
    key = Keyring(first).fresh()
    shown = f"{first!r} {first} {key!r} {Keyring(first)!r}"
    assert KEY.hex()[:8] not in shown
    assert repr(KEY) not in shown
    assert first.identifier in shown


def test_without_its_key_an_object_is_not_read() -> None:
    key = Keyring(SpoolKey(KEY)).fresh()
    assert key is not None
    with pytest.raises(MissingKeyError, match=SpoolKey(KEY).identifier):
        Keyring(SpoolKey(OTHER)).of(key.seal)
    # A key that only claims the identifier gives something else.
    forged = SpoolKey(OTHER).object_key(key.seal.salt)
    assert forged.from_start()(key.encrypted([b"text"])[0]) != b"text"
    assert Keyring().fresh() is None
