"""Judging from system calls whether an object was on the disk when it was acknowledged (CLAIM-DUAL-12)."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.evidence.durability import what_was_missing
from fixtures.evidence.system_calls import Call, read_calls

UID, PORT = "2.25.1", 4007
PACK, FOLDER, WAL = "/data/spool/packs/1.dcm", "/data/spool/packs", "/data/index.sqlite-wal"


def response(status: int) -> bytes:
    elements = [
        (0x0100, struct.pack("<H", 0x8001)),
        (0x0900, struct.pack("<H", status)),
        (0x1000, UID.encode()),
    ]
    command = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return b"\x04\x00" + struct.pack(">I", len(command)) + command


def call(
    name: str, at: float, target: str, written: bytes = b"", *, source: str = "", new: bool = False
) -> Call:
    return Call(name, at, at + 0.1, target, written, new, source)


def trace() -> list[Call]:
    return [
        call("openat", 1, PACK, new=True),
        call("pwrite64", 2, PACK, b"\0" * 128 + b"DICM..." + UID.encode()),
        call("fdatasync", 3, PACK),
        call("fsync", 4, FOLDER),
        call("pwrite64", 5, WAL, b"page with " + UID.encode()),
        call("fdatasync", 6, WAL),
        call("write", 7, f"TCP:[127.0.0.1:{PORT}->127.0.0.1:5]", response(0)),
    ]


def test_everything_synced_is_nothing_missing() -> None:
    assert what_was_missing(trace(), UID, port=PORT) == []


@pytest.mark.parametrize(
    ("without", "named"),
    [(2, "file packs/1.dcm was not synced"), (3, "folder spool/packs"), (5, "no index"), (1, "in no file")],
)
def test_each_missing_sync_is_named(without: int, named: str) -> None:
    calls = trace()
    del calls[without]
    (only,) = what_was_missing(calls, UID, port=PORT)
    assert named in only


def test_sync_after_the_answer_does_not_count() -> None:
    calls = trace()
    calls[2] = replace(calls[2], started=8, ended=8.1)
    calls[5] = replace(calls[5], ended=7.5)
    assert len(what_was_missing(calls, UID, port=PORT)) == 2


def test_answer_on_a_socket_of_a_containers_network_counts_and_on_another_port_does_not() -> None:
    *others, answer = trace()
    unnamed = replace(answer, target="TCP:[4522610]")
    assert what_was_missing([*others, unnamed], UID, port=PORT) == []
    other = replace(answer, target=answer.target.replace(f":{PORT}->", ":9->"))
    assert what_was_missing([*others, other], UID, port=PORT) != []


def test_answer_whose_head_is_written_by_itself_counts_on_the_same_socket_only() -> None:
    *others, answer = trace()
    whole = b"\x04\x00" + struct.pack(">II", 0, 0) + b"\x01\x03" + answer.written[6:]
    head, rest = replace(answer, written=whole[:12]), replace(answer, started=7.2, written=whole[12:])
    assert what_was_missing([*others, head, rest], UID, port=PORT) == []
    elsewhere = replace(head, target=f"TCP:[127.0.0.1:{PORT}->127.0.0.1:6]")
    for calls in ([*others, rest], [*others, elsewhere, rest]):
        assert what_was_missing(calls, UID, port=PORT) == [
            "no C-STORE response with status 0000 is in the trace"
        ]


def test_new_name_of_a_renamed_file_has_to_be_synced() -> None:
    calls = trace()
    calls[3] = call("rename", 4, "/data/spool/other/1.dcm", source=PACK, new=True)
    assert what_was_missing(calls, UID, port=PORT) == [
        "the folder spool/other was not synced after the object's file got its name there"
    ]
    calls.insert(4, call("fsync", 4.5, "/data/spool/other"))
    assert what_was_missing(calls, UID, port=PORT) == []


@pytest.mark.parametrize("change", ["failure", "other port"])
def test_without_an_acknowledgement_nothing_is_shown(change: str) -> None:
    calls = trace()
    if change == "failure":
        calls[-1] = replace(calls[-1], written=response(0xA700))
    port = PORT if change == "failure" else 4006
    assert what_was_missing(calls, UID, port=port) == ["no C-STORE response with status 0000 is in the trace"]


def test_lines_of_strace_are_read(tmp_path: Path) -> None:
    hexed = "".join(f"\\x{byte:02x}" for byte in b"/a/b")
    lines = [
        f'3.5 openat(AT_FDCWD<{hexed}>, "{hexed}", O_WRONLY|O_CREAT|O_EXCL, 0600) = 4<{hexed}> <0.000100>',
        f"4.5 fdatasync(4<{hexed}>) = 0 <0.25>",
        "4.6 fsync(5) = -1 EIO (Input/output error) <0.1>",
        f'5.0 rename("{hexed}", "{hexed}{hexed}") = 0 <0.1>',
    ]
    other = '4.0 writev(7<TCP:[127.0.0.1:4007->127.0.0.1:9]>, [{iov_base="\\x04", iov_len=1}, {iov_base="\\x41"...}], 2) = 2 <0.1>'
    (tmp_path / "calls.1").write_text("\n".join([*lines, "+++ killed by SIGKILL +++"]))
    (tmp_path / "calls.2").write_text(other)
    assert read_calls(sorted(tmp_path.glob("calls.*"))) == (
        Call("openat", 3.5, 3.5001, "/a/b", b"", makes_name=True, source=""),
        Call("writev", 4.0, 4.1, "TCP:[127.0.0.1:4007->127.0.0.1:9]", b"\x04A", makes_name=False),
        Call("fdatasync", 4.5, 4.75, "/a/b", b"", makes_name=False),
        Call("rename", 5.0, 5.1, "/a/b/a/b", b"", makes_name=True, source="/a/b"),
    )
