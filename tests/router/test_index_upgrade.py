"""ROUTER-201: what the previous version left in its spool is delivered; no version is taken for another.

`version_1` is the data folder of the last router that digested with SHA-256 alone: three objects, one of them waiting for PACS and
cloud, one for the PACS only.
"""

import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from fixtures.waiting import eventually
from systems.router.errors import ResourceError
from systems.router.store import schema
from systems.router.store.audit import broken_link
from systems.router.store.schema import VERSION, open_index
from systems.shared.header_scan import read_file_meta
from tests.router.conftest import MakeRouter
from tests.router.fakes import FakeCloud, FakePacs
from tests.router.test_encryption import key_file

OLD = Path(__file__).parent / "version_1"


def old_folder(data: Path) -> None:
    """The folder as that version left it."""
    (data / "audit").mkdir(parents=True)
    (data / "spool" / "packs").mkdir(parents=True)
    shutil.copy(OLD / "audit-000000000001.jsonl", data / "audit")
    shutil.copy(OLD / "18ea6a1501cfd138-1.dcm", data / "spool" / "packs")
    connection = sqlite3.connect(data / "index.sqlite")
    connection.executescript((OLD / "index.sql").read_text())
    connection.close()


def _schema(index: Path) -> tuple[int, dict[str, set[tuple[object, ...]]]]:
    """Version, and per table its columns, whatever order they were added in."""
    connection = sqlite3.connect(index)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {
        table: {row[1:] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables
    }
    found["indexes"] = set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.close()
    return version, found


@pytest.mark.parametrize("encrypts", [False, True])
def test_objects_of_the_previous_version_are_delivered_and_known(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path, *, encrypts: bool
) -> None:
    spool = f'key_file = "{key_file(tmp_path)}"' if encrypts else "soft_limit_percent = 75"
    router = make_router(spool=spool)
    assert router.stop() == 0
    shutil.rmtree(router.data)
    old_folder(router.data)
    router.start()

    eventually(lambda: len(cloud.stored) == 1 and len(pacs.stored) == 2, within=15, because="what waited")
    connection = sqlite3.connect(router.data / "index.sqlite")
    digests = dict(connection.execute("SELECT sop_instance_uid, digest FROM object"))
    connection.close()
    assert all(len(digest) == 64 for digest in digests.values()), "the old digests are kept as they were"
    assert {uid: hashlib.sha256(content).hexdigest() for uid, content in pacs.stored.items()} == {
        uid: digests[uid] for uid in ("2.25.101", "2.25.102")
    }
    (content,) = cloud.stored.values()
    assert (
        hashlib.sha256(content[read_file_meta(content).data_set_offset :]).hexdigest() == digests["2.25.101"]
    )
    status = router.status()
    assert all(row["dead_lettered"] == 0 for row in status["destinations"])
    rows = {row["name"]: (row["accepted"], row["delivered"]) for row in status["destinations"]}
    assert rows == {"ORTHANC": (2, 2), "cloud": (3, 3)}
    assert router.stop() == 0
    assert broken_link(router.data / "audit") is None


def test_an_upgraded_index_is_as_a_new_one(tmp_path: Path) -> None:
    old_folder(tmp_path / "old")
    (tmp_path / "new").mkdir()
    for name in ("old", "new"):
        open_index(tmp_path / name / "index.sqlite").close()

    upgraded, new = (_schema(tmp_path / name / "index.sqlite") for name in ("old", "new"))
    assert upgraded == new
    assert upgraded[0] == VERSION == 2


def test_an_upgrade_that_fails_leaves_the_previous_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_folder(tmp_path)
    before = _schema(tmp_path / "index.sqlite")
    broken = schema._UPGRADES[1] + "ALTER TABLE nowhere ADD COLUMN nothing;"
    monkeypatch.setitem(schema._UPGRADES, 1, broken)
    with pytest.raises(ResourceError, match="cannot be opened"):
        open_index(tmp_path / "index.sqlite")
    assert _schema(tmp_path / "index.sqlite") == before

    monkeypatch.undo()
    open_index(tmp_path / "index.sqlite").close()
    assert _schema(tmp_path / "index.sqlite")[0] == VERSION


def test_the_previous_version_refuses_the_new_index_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index.sqlite"
    open_index(index).close()
    before = index.read_bytes()
    # All that the previous version knows of versions.
    monkeypatch.setattr(schema, "VERSION", 1)
    with pytest.raises(ResourceError, match="newer router"):
        open_index(index)
    assert index.read_bytes() == before
