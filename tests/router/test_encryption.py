"""ROUTER-111: with a key nothing of a patient's object is on the router's disk in plain text, and all of it is delivered."""

import base64
import re
from pathlib import Path

import blake3
import pytest
from pydicom.dataset import Dataset

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess, config_text
from tests.router.fakes import FakeCloud, FakePacs, digest, make_dataset, part10, send
from tests.router.test_bridge_store import push
from tests.router.test_file_drop import FAST, put

KEY = bytes.fromhex("8f1d" * 16)
OLD_KEY = bytes.fromhex("77aa" * 16)
NAME = b"Do^Not^Log"
PIXELS = b"pixels of a patient "
_ONLY_CT = '[[rules]]\nname = "ct"\ndestinations = ["ORTHANC", "cloud"]\nmodalities = ["CT"]\n'


def key_file(folder: Path, key: bytes = KEY, name: str = "spool-key") -> Path:
    """A file with a key, as the configuration wants it."""
    path = folder / name
    path.write_text(key.hex() + "\n")
    path.chmod(0o600)
    return path


def spool_table(folder: Path, *, encrypts: bool = True) -> str:
    """Table [spool] with small large objects."""
    return (f'key_file = "{key_file(folder)}"\n' if encrypts else "") + "memory_object_bytes = 100000"


def image(
    uid: str | None = None, study: str | None = None, size: int = 2000, **attributes: object
) -> Dataset:
    return make_dataset(uid, study, PixelData=PIXELS * (size // len(PIXELS)), **attributes)


def holding(data: Path, needle: bytes) -> list[str]:
    """The files of the data folder in which `needle` stands."""
    files = [path for path in data.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(data)) for path in files if needle in path.read_bytes())


def shown(router: RouterProcess) -> str:
    """All that the router says of itself."""
    asked = ("/status", "/config", "/audit", "/metrics", "/queues/cloud", "/dead-letters", "/openapi.json")
    return "".join(router.ask("GET", path).text for path in asked) + router.log.read_text()


def _fill(router: RouterProcess) -> dict[str, str]:
    """Objects of every kind, which stay where they are; digests of those that are to be delivered."""
    small = [image() for _ in range(3)]
    large = image(size=3_000_000)
    assert send(router.intake, [*small, large]) == [0] * 4
    assert send(router.intake, [image(Modality="MR"), image(size=300_000, Modality="MR")]) == [0, 0]
    for other in (small[0], large):
        uid, study = other.SOPInstanceUID, other.StudyInstanceUID
        size = len(other.PixelData)
        assert send(router.intake, [image(uid, study, size, Rows=16)]) == [0xA900]
    dropped = image(size=500_000)
    put(router, "one.dcm", part10(dropped))
    eventually(lambda: router.path("file-drop")["received"] == 1, within=10, because="the file to be taken")
    status = router.status()
    assert (status["held"], status["conflicts"]) == (2, 2)
    return {ds.SOPInstanceUID: digest(part10(ds)) for ds in (*small, large, dropped)}


def _encrypting(make: MakeRouter, folder: Path, *, encrypts: bool = True) -> RouterProcess:
    drop = FAST + 'destinations = ["ORTHANC", "cloud"]\n'
    spool = spool_table(folder, encrypts=encrypts)
    return make(spool=spool, **{"paths_file-drop": drop, "+rules": _ONLY_CT})


def test_nothing_waits_in_plain_text_and_all_is_delivered_after_a_kill(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path
) -> None:
    router = _encrypting(make_router, tmp_path)
    cloud.stop()
    pacs.stop()
    expected = _fill(router)
    packs = list((router.data / "spool" / "packs").iterdir())
    assert sum(pack.stat().st_size for pack in packs) > 3_000_000
    assert {pack.stat().st_mode & 0o077 for pack in packs} == {0}
    for needle in (NAME, PIXELS, b"DICM\x02\0\0\0", b"SECRET-ID-7"):
        assert holding(router.data, needle) == []
    router.kill()
    assert [holding(router.data, needle) for needle in (NAME, PIXELS)] == [[], []]

    router.start()
    cloud.start()
    pacs.start()
    eventually(lambda: expected.keys() <= cloud.stored.keys(), within=30, because="all copies in the cloud")
    eventually(lambda: expected.keys() <= pacs.stored.keys(), within=30, because="all copies in the PACS")
    assert {uid: digest(cloud.stored[uid]) for uid in expected} == expected
    assert {uid: "blake3:" + blake3.blake3(pacs.stored[uid]).hexdigest() for uid in expected} == expected
    assert holding(router.data, NAME) == []


def test_without_a_key_the_same_search_finds_all_of_it(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path
) -> None:
    """The search by itself: it would find what the test before says is not there."""
    router = _encrypting(make_router, tmp_path, encrypts=False)
    cloud.stop()
    pacs.stop()
    _fill(router)
    pacs.start()
    # One pack, and each large object: waiting, held, in conflict, from the watched folder.
    assert len(holding(router.data, NAME)) == len(holding(router.data, PIXELS)) == 5
    assert router.status()["spool"]["key_id"] == ""


def test_key_is_shown_nowhere_and_its_identifier_is(
    make_router: MakeRouter, cloud: FakeCloud, tmp_path: Path
) -> None:
    router = make_router(
        spool=spool_table(tmp_path), router=f'data = "{tmp_path}/router-0/data"\nlog_level = "debug"'
    )
    cloud.stop()
    send(router.intake, [image(), image(size=300_000)])
    key_id = router.status()["spool"]["key_id"]
    assert re.fullmatch(r"[0-9a-f]{16}", key_id)
    text = shown(router).lower()
    secrets = [KEY.hex(), base64.b64encode(KEY).decode().lower()]
    assert [secret for secret in secrets if secret in text] == []
    assert router.ask("GET", "/config").json()["spool_keys"] == {
        "key": {"file": str(tmp_path / "spool-key")},
        "old_keys": [],
    }
    for needle in (KEY, KEY.hex().encode(), base64.b64encode(KEY)):
        assert holding(router.data, needle) == []
    assert holding(router.data, key_id.encode()), "the index says which key it was"


def test_rotated_key_serves_what_waits_and_the_new_one_what_arrives(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path
) -> None:
    router = make_router(spool="memory_object_bytes = 100000")
    cloud.stop()
    pacs.stop()
    sent = [image(), image(size=300_000)]
    assert send(router.intake, sent) == [0, 0]
    old = key_file(tmp_path, OLD_KEY, "old-key")
    _with_spool(router, cloud, pacs, f'key_file = "{old}"\nmemory_object_bytes = 100000')
    later = [image(), image(size=300_000)]
    assert send(router.intake, later) == [0, 0]
    _with_spool(router, cloud, pacs, spool_table(tmp_path) + f'\nold_key_files = ["{old}"]')
    last = [image(), image(size=300_000)]
    assert send(router.intake, last) == [0, 0]

    cloud.start()
    pacs.start()
    expected = {ds.SOPInstanceUID: digest(part10(ds)) for ds in (*sent, *later, *last)}
    eventually(lambda: len(cloud.stored) == len(pacs.stored) == 6, within=20, because="all of three times")
    assert {uid: digest(content) for uid, content in cloud.stored.items()} == expected
    assert "encrypted with the older key" in router.log.read_text()
    # Nothing needs the old key any more.
    eventually(lambda: router.destination("ORTHANC")["waiting"] == 0, within=10, because="empty queues")
    _with_spool(router, cloud, pacs, spool_table(tmp_path))


def _with_spool(router: RouterProcess, cloud: FakeCloud, pacs: FakePacs, table: str) -> None:
    assert router.stop() == 0
    router.config.write_text(config_text(router.folder, cloud.url, pacs.port, spool=table))
    router.start()


def test_changed_key_waits_for_a_restart_and_an_unusable_one_refuses_the_file(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path
) -> None:
    router = make_router(spool=spool_table(tmp_path))
    key_id = router.status()["spool"]["key_id"]
    other = key_file(tmp_path, OLD_KEY, "other-key")
    table = f'key_file = "{other}"\nsoft_limit_percent = 60\nmemory_object_bytes = 100000'
    router.config.write_text(config_text(router.folder, cloud.url, pacs.port, spool=table))
    answer = router.ask("POST", "/config/load").json()
    assert (answer["applied"], answer["needs_restart"]) == (["spool"], ["spool.key_file"])
    assert router.status()["spool"]["key_id"] == key_id
    assert send(router.intake, [image()]) == [0]
    eventually(lambda: len(cloud.stored) == 1, within=10, because="delivery under the key in force")

    other.write_text("1234")
    answer = router.ask("POST", "/config/load")
    assert answer.status_code == 400
    assert "spool.key_file" in answer.text
    assert "too short" in answer.text


@pytest.mark.parametrize("size", [2000, 300_000])
def test_flipped_bit_is_found_before_delivery(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path, size: int
) -> None:
    router = make_router(spool=spool_table(tmp_path))
    cloud.stop()
    pacs.stop()
    ds = image(size=size)
    assert send(router.intake, [ds]) == [0]
    (pack,) = (router.data / "spool" / "packs").iterdir()
    content = bytearray(pack.read_bytes())
    content[-700] ^= 1
    pack.write_bytes(content)
    cloud.start()
    pacs.start()
    rows = ("cloud", "ORTHANC")
    eventually(
        lambda: all(router.destination(name)["dead_lettered"] for name in rows),
        within=15,
        because="two dead letters",
    )
    assert {row["status"] for row in router.ask("GET", "/dead-letters").json()} == {"damaged"}
    assert not cloud.stored
    assert not pacs.stored
    if size > 100_000:
        return
    assert send(router.intake, [ds]) == [0], "the good copy takes the damaged one's place"
    eventually(lambda: cloud.stored and pacs.stored, within=15, because="the good copy")
    assert digest(cloud.stored[ds.SOPInstanceUID]) == digest(part10(ds))


@pytest.mark.parametrize("size", [2000, 300_000])
def test_copies_that_are_written_differently_are_compared_in_plain_text(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs, tmp_path: Path, size: int
) -> None:
    router = make_router(spool=spool_table(tmp_path))
    pacs.stop()
    ds = image(size=size)
    assert send(router.intake, [ds]) == [0]
    ds.add_new(0x00080000, "UL", 4)
    assert send(router.intake, [ds]) == [0], "the copy in the spool says the same"
    eventually(lambda: cloud.stored, within=10, because="the copy in the cloud")

    synchronous = image(size=size)
    cloud.stored[synchronous.SOPInstanceUID] = part10(synchronous)
    synchronous.add_new(0x00080000, "UL", 4)
    assert push(router, synchronous) == [0], "the cloud's copy says the same"
    other = image(synchronous.SOPInstanceUID, synchronous.StudyInstanceUID, size, Rows=16)
    assert push(router, other) == [0xA900]
    assert holding(router.data, NAME) == []
    pacs.start()


def test_dead_letter_is_given_back_in_plain_text(
    make_router: MakeRouter, cloud: FakeCloud, tmp_path: Path
) -> None:
    router = make_router(spool=spool_table(tmp_path))
    cloud.always = lambda _: (400, {}, b"")
    sent = [image(), image(size=300_000)]
    assert send(router.intake, sent) == [0, 0]
    eventually(lambda: router.destination("cloud")["dead_lettered"] == 2, within=20, because="dead letters")
    for letter in router.ask("GET", "/dead-letters").json():
        content = router.ask("GET", f"/dead-letters/{letter['id']}/object").content
        (ds,) = (ds for ds in sent if ds.SOPInstanceUID == letter["sop_instance_uid"])
        assert digest(content) == digest(part10(ds))
