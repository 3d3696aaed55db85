"""The keys of the spool in the configuration: which are taken, and that a complaint never holds any of one."""

import asyncio
import base64
import tomllib
from pathlib import Path
from typing import cast

import pytest

from fixtures.waiting import eventually
from systems.router.config import Config, export, parse
from systems.router.config.spool_keys import keyring
from systems.router.drop.path import FileDropPath
from systems.router.drop.reading import UnusableError
from systems.router.errors import ConfigError
from systems.router.intake import Intake
from systems.router.sealing import Keyring, SpoolKey
from systems.router.store.queue import SqliteQueue
from tests.router.conftest import config_text
from tests.router.test_encryption import KEY, OLD_KEY, key_file
from tests.router.test_file_drop import FAST

FIRST, SECOND = SpoolKey(OLD_KEY), SpoolKey(KEY)


def _parsed(folder: Path, monkeypatch: pytest.MonkeyPatch, table: str) -> Keyring:
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")
    (folder / "secret").write_text("right")
    config = parse(tomllib.loads(config_text(folder, "http://127.0.0.1:1", 104, spool=table)), folder)
    assert not any(text in str(export(config)) for text in (KEY.hex(), OLD_KEY.hex(), repr(KEY)))
    return keyring(config.spool_keys)


@pytest.mark.parametrize(
    "written",
    [
        KEY.hex(),
        KEY.hex().upper() + "\n",
        base64.b64encode(KEY).decode() + "\n",
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
    ],
)
def test_key_is_taken_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    path = key_file(tmp_path)
    path.write_text(written)
    old = key_file(tmp_path, OLD_KEY, "old")
    monkeypatch.setenv("SPOOL_KEY", written)
    for table in ('key_file = "spool-key"', 'key_env = "SPOOL_KEY"'):
        found = _parsed(tmp_path, monkeypatch, f'{table}\nold_key_files = ["{old.name}"]')
        assert found.current == SECOND.identifier
        assert found.identifiers == {FIRST.identifier, SECOND.identifier}


def test_without_keys_nothing_is_encrypted_and_old_keys_alone_are_for_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _parsed(tmp_path, monkeypatch, "hard_limit_percent = 90").fresh() is None
    key_file(tmp_path, OLD_KEY, "old")
    found = _parsed(tmp_path, monkeypatch, 'old_key_files = ["old"]')
    assert (found.current, found.fresh()) == ("", None)
    assert found.identifiers == {FIRST.identifier}


@pytest.mark.parametrize(
    ("table", "content", "mode", "message"),
    [
        ('key_file = "nowhere"', "", 0o600, r"spool\.key_file: .*nowhere cannot be read"),
        ('key_file = "k"', "", 0o600, r"spool\.key_file: .*is empty"),
        ('key_file = "k"', "ab" * 31, 0o600, r"spool\.key_file: .*31 bytes.*too short"),
        ('key_file = "k"', "ab" * 33, 0o600, r"spool\.key_file: .*too long"),
        ('key_file = "k"', "correct horse battery", 0o600, r"spool\.key_file: .*holds no key"),
        ('key_file = "k"', KEY.hex(), 0o644, r"spool\.key_file: .*others.*0644"),
        ('key_file = "k"', KEY.hex(), 0o640, r"spool\.key_file: .*others.*0640"),
        ('old_key_files = ["k"]', KEY.hex(), 0o604, r"spool\.old_key_files: .*others"),
        ('old_key_files = ["k", "gone"]', KEY.hex(), 0o600, r"spool\.old_key_files: .*gone cannot be read"),
        ('key_env = "NOT_SET_ANYWHERE"', "", 0o600, r"spool\.key_env: .*NOT_SET_ANYWHERE"),
        ('key_env = "SHORT_KEY"', "", 0o600, r"spool\.key_env: SHORT_KEY holds 2 bytes"),
        ('key_env = "SHORT_KEY"\nkey_file = "k"', KEY.hex(), 0o600, r"spool\.key_env: give exactly one"),
        (f'key = "{KEY.hex()}"\nkey_file = "k"', KEY.hex(), 0o600, r"spool\.key: a secret is never written"),
        ('key_fil = "k"', KEY.hex(), 0o600, r"spool\.key_fil.*did you mean key_file"),
    ],
)
def test_unusable_key_is_refused_with_the_name_of_its_key_and_none_of_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, content: str, mode: int, message: str
) -> None:
    monkeypatch.setenv("SHORT_KEY", "abcd")
    path = tmp_path / "k"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=message) as refused:
        _parsed(tmp_path, monkeypatch, table)
    assert not content or content not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("encrypts", [False, True])
def test_large_file_of_a_watched_folder_is_not_copied_into_a_data_folder_that_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, encrypts: bool
) -> None:
    places: list[Path | None] = []

    def look(_file: object, _settings: object, scratch: Path | None) -> None:
        places.append(scratch)
        raise UnusableError("not wanted")

    async def inside(config: Config) -> None:
        assert config.file_drop is not None
        queue = SqliteQueue(config.data, config.spool, keyring(config.spool_keys))
        drop = FileDropPath(config, config.file_drop, cast("Intake", None), queue)
        await drop.start()
        (tmp_path / "drop" / "one.dcm").write_bytes(b"x")
        await asyncio.to_thread(eventually, lambda: bool(places), within=15, because="a look at the file")
        await drop.stop(5)
        await drop.close()
        await queue.close()

    monkeypatch.setattr("systems.router.drop.path.examine", look)
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")
    (tmp_path / "secret").write_text("right")
    table = f'key_file = "{key_file(tmp_path)}"' if encrypts else "hard_limit_percent = 90"
    text = config_text(tmp_path, "http://127.0.0.1:1", 104, spool=table, **{"paths_file-drop": FAST})
    config = parse(tomllib.loads(text), tmp_path)
    asyncio.run(inside(config))
    assert places[0] == (None if encrypts else config.data / "file-drop")
