"""The watched folder: taken as a C-STORE would be, archived once confirmed, never lost, never done twice (ROUTER-194)."""

import os
import random
import time
import tomllib
from pathlib import Path

import pytest
from pydicom.uid import UID

from fixtures.waiting import eventually
from systems.router.config import parse
from systems.router.errors import ConfigError
from tests.router.conftest import MakeRouter, RouterProcess, config_text
from tests.router.fakes import FakeCloud, FakePacs, digest, make_dataset, part10

FAST = 'folder = "drop"\nscan_seconds = 0.05\nsettle_seconds = 0.2\n'
BOTH = FAST + 'destinations = ["ORTHANC", "cloud"]\n'


def put(router: RouterProcess, name: str, content: bytes) -> Path:
    path = router.folder / "drop" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(router: RouterProcess, place: str) -> dict[str, bytes]:
    root = router.folder / place
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def reason(router: RouterProcess, name: str) -> str:
    return eventually(
        lambda: files(router, "drop-rejected").get(f"{name}.reason.txt", b"").decode(),
        within=10,
        because=f"{name} to be rejected",
    )


def state(router: RouterProcess) -> dict[str, object]:
    found: dict[str, object] = router.status()["file_drop"]
    return found


def test_a_file_reaches_every_destination_and_only_then_the_archive(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs
) -> None:
    router = make_router(**{"paths_file-drop": BOTH})
    router.ask("POST", "/queues/cloud/pause")
    ds = make_dataset()
    put(router, "a/b/one.dcm", part10(ds))
    eventually(lambda: pacs.stored, within=10, because="the object at the PACS")
    time.sleep(0.5)
    assert files(router, "drop-archive") == {}, "archived though the cloud has not confirmed"
    assert state(router)["unconfirmed"] == 1
    router.ask("POST", "/queues/cloud/resume")

    eventually(lambda: files(router, "drop-archive"), within=10, because="the archived file")

    assert files(router, "drop-archive") == {"a/b/one.dcm": part10(ds)}
    assert digest(cloud.stored[ds.SOPInstanceUID]) == digest(part10(ds))
    assert files(router, "drop") == {}
    assert router.path("file-drop")["received"] == 1
    eventually(lambda: state(router)["archived"] == 1, within=5, because="the counter")
    assert router.ask("GET", f"/instances/{ds.SOPInstanceUID}").json()["objects"][0]["path"] == "file-drop"


def test_what_cannot_be_taken_is_rejected_with_its_reason_and_kept(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(**{"paths_file-drop": FAST})
    whole = part10(make_dataset())
    directory = make_dataset()
    directory.SOPClassUID = directory.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    nameless = make_dataset()
    del nameless.StudyInstanceUID
    contents = {
        "notes.txt": b"no DICOM at all" * 20,
        "empty.dcm": b"",
        "cut.dcm": whole[:-100],
        "DICOMDIR": part10(directory),
        "sub/nameless.dcm": part10(nameless),
    }
    for name, content in contents.items():
        put(router, name, content)

    reasons = {name: reason(router, name) for name in contents}

    eventually(lambda: files(router, "drop") == {}, within=10, because="the folder to be empty")
    assert "not a whole DICOM file" in reasons["notes.txt"]
    assert "empty" in reasons["empty.dcm"]
    assert "not a whole DICOM file" in reasons["cut.dcm"]
    assert "storage class" in reasons["DICOMDIR"]
    assert "A900" in reasons["sub/nameless.dcm"]
    assert "Study" in reasons["sub/nameless.dcm"]
    kept = files(router, "drop-rejected")
    assert {name: kept[name] for name in contents} == contents
    assert router.path("file-drop")["refused"] == len(contents)
    assert state(router)["rejected"] == len(contents)
    assert router.path("file-drop")["received"] == 0
    assert not cloud.stored
    assert "nameless" not in router.log.read_text(), "names of files may be patients'"


def test_a_growing_file_is_left_alone_until_it_rests(make_router: MakeRouter, cloud: FakeCloud) -> None:
    router = make_router(**{"paths_file-drop": FAST})
    ds = make_dataset()
    content = part10(ds)
    path = put(router, "slow.dcm", content[:400])
    for at in range(400, len(content), 400):
        time.sleep(0.08)
        with path.open("ab") as file:
            file.write(content[at : at + 400])

    eventually(lambda: files(router, "drop-archive"), within=10, because="the archived file")

    assert digest(cloud.stored[ds.SOPInstanceUID]) == digest(content)
    assert files(router, "drop-rejected") == {}


def test_the_same_object_again_is_a_duplicate_and_another_under_its_uid_a_conflict(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(**{"paths_file-drop": FAST})
    ds = make_dataset()
    put(router, "first.dcm", part10(ds))
    eventually(lambda: "first.dcm" in files(router, "drop-archive"), within=10, because="the first one")
    put(router, "first.dcm", part10(ds))
    eventually(lambda: "first.dcm.1" in files(router, "drop-archive"), within=10, because="the second one")
    ds.PatientID = "OTHER"
    put(router, "other.dcm", part10(ds))

    assert "A900" in reason(router, "other.dcm")
    assert len(cloud.effects) == 1
    assert router.destination("cloud")["duplicates"] == 1
    assert router.status()["conflicts"] == 1


def test_routing_rules_see_the_path_and_what_matches_none_is_rejected_and_held(
    make_router: MakeRouter, pacs: FakePacs, cloud: FakeCloud
) -> None:
    rule = '[[rules]]\nname = "dropped"\ndestinations = ["ORTHANC"]\ncalled_ae_titles = ["FILEDROP"]\nmodalities = ["CT"]\n'
    router = make_router(**{"paths_file-drop": FAST, "+rules": rule})
    put(router, "ct.dcm", part10(make_dataset()))
    put(router, "mr.dcm", part10(make_dataset(Modality="MR")))

    assert "rule" in reason(router, "mr.dcm")
    eventually(lambda: "ct.dcm" in files(router, "drop-archive"), within=10, because="the CT")
    assert len(pacs.stored) == 1
    assert not cloud.stored
    assert router.status()["held"] == 1


def test_stopped_it_takes_nothing_and_started_again_it_does(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    router = make_router(**{"paths_file-drop": FAST})
    assert router.ask("POST", "/paths/file-drop/stop").json()["state"] == "stopped"
    put(router, "one.dcm", part10(make_dataset()))
    time.sleep(0.6)
    assert not cloud.stored
    assert files(router, "drop-archive") == {}
    assert router.ask("POST", "/paths/file-drop/start").json()["state"] == "running"

    eventually(lambda: files(router, "drop-archive"), within=10, because="the archived file")


def test_no_kill_loses_or_repeats_anything(make_router: MakeRouter, cloud: FakeCloud) -> None:
    router = make_router(**{"paths_file-drop": FAST})
    sets = [make_dataset() for _ in range(60)]
    contents = {f"{number}.dcm": part10(ds) for number, ds in enumerate(sets)}
    for name, content in contents.items():
        put(router, name, content)
    put(router, "none.txt", b"no DICOM")
    draw = random.Random(7)  # noqa: S311 - when to kill is no secret
    for _ in range(6):
        time.sleep(draw.uniform(0.05, 0.45))
        router.kill()
        everywhere = {**files(router, "drop"), **files(router, "drop-archive")}
        assert {name: everywhere.get(name) for name in contents} == contents, (
            "a file is nowhere, or not whole"
        )
        router.start()

    eventually(lambda: files(router, "drop") == {}, within=30, because="the folder to be empty")

    assert files(router, "drop-archive") == contents, "each once in the archive"
    assert set(files(router, "drop-rejected")) == {"none.txt", "none.txt.reason.txt"}
    assert {uid: digest(content) for uid, content in cloud.stored.items()} == {
        ds.SOPInstanceUID: digest(part10(ds)) for ds in sets
    }
    assert len(cloud.effects) == len(sets), "something was stored twice"


def test_a_refusal_for_want_of_room_is_tried_again_with_pauses(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    limits = "hard_limit_bytes = 4000\n"
    router = make_router(**{"paths_file-drop": FAST, "spool": limits})
    router.ask("POST", "/queues/cloud/pause")
    first, second = make_dataset(), make_dataset()
    big = make_dataset(PixelData=os.urandom(20_000), Rows=100, Columns=100)
    put(router, "1.dcm", part10(first))
    put(router, "2.dcm", part10(second))
    eventually(lambda: state(router)["unconfirmed"] == 2, within=10, because="the spool to be full")
    put(router, "3.dcm", part10(big))
    eventually(lambda: state(router)["put_off"], within=10, because="a file that found no room")
    assert files(router, "drop-rejected") == {}
    router.ask("POST", "/queues/cloud/resume")
    text = router.config.read_text().replace(limits, "hard_limit_bytes = 500000\n")
    router.config.write_text(text)
    assert router.ask("POST", "/config/load").json()["applied"] == ["spool"]

    eventually(lambda: len(files(router, "drop-archive")) == 3, within=20, because="all to be archived")
    assert len(cloud.stored) == 3
    assert router.path("file-drop")["refused"] < 60, "it was tried again without a pause"


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("", "paths.file-drop.folder"),
        ('folder = "drop"\narchive = "drop/archive"', "paths.file-drop.archive"),
        ('folder = "drop"\nrejected = "drop-archive/x"', "paths.file-drop.rejected"),
        ('folder = "drop"\ndestinations = ["nowhere"]', "paths.file-drop.destinations"),
        ('folder = "drop"\nsettle_seconds = 0', "paths.file-drop.settle_seconds"),
        ('folder = "."', "paths.file-drop"),
        ('folder = "drop"\nfoldr = "x"', "paths.file-drop.foldr"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_key(
    tmp_path: Path, table: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")
    (tmp_path / "secret").write_text("x")
    text = config_text(tmp_path, "http://127.0.0.1:1", 4242, **{"paths_file-drop": table})
    with pytest.raises(ConfigError, match=named):
        parse(tomllib.loads(text), tmp_path)
