"""Bytes in the files of a system, and whom it speaks to."""

import io
import os
import socket
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fixtures.deployment import peers
from fixtures.deployment.deployment import Deployment
from fixtures.deployment.needles import files_with, holds_any
from fixtures.deployment.spec import Address


def a_run(folder: Path) -> Deployment:
    return cast("Deployment", SimpleNamespace(runner="process", run_dir=folder))


@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 3, (1 << 20) - 1, 1 << 20])
def test_needle_is_found_across_the_pieces(before: int) -> None:
    content = b"." * before + b"NEEDLE" + b"." * 10
    assert holds_any(io.BytesIO(content), [b"other", b"NEEDLE"])
    assert not holds_any(io.BytesIO(content), [b"NEEDLES", b"nothing"])


def test_everything_but_configuration_and_log_is_searched(tmp_path: Path) -> None:
    for name in ("data/spool/a", "data/index", "tmp/copy.dcm", "core", "config/router.toml", "log"):
        path = tmp_path / "router" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"the NEEDLE is here" if "index" not in name else b"nothing")
    assert files_with(a_run(tmp_path), "router", [b"NEEDLE"]) == ["core", "data/spool/a", "tmp/copy.dcm"]


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="the kernel's tables are Linux's")
def test_only_what_a_system_opened_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:

    record: Any = SimpleNamespace(processes=[SimpleNamespace(role="router", pid=os.getpid())])
    monkeypatch.setattr(peers, "read_record", lambda _: record)
    with closing(socket.create_server(("127.0.0.1", 0))) as mine, closing(socket.socket()) as out:
        here = mine.getsockname()
        out.connect(here)
        with closing(mine.accept()[0]):
            assert Address("127.0.0.1", here[1]) in peers._opened(a_run(Path()), "router", set())
            incoming = Address("127.0.0.1", out.getsockname()[1])
            assert incoming not in peers._opened(a_run(Path()), "router", set())
    with pytest.raises(LookupError):
        peers._opened(a_run(Path()), "pacs", set())


def test_addresses_of_both_families_are_read_from_the_tables() -> None:
    head = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    )
    tail = "00000000:00000000 00:00000000 00000000     0        0 4711 1"
    rows = [
        f"   0: 0100007F:1F90 00000000:0000 0A {tail}",
        f"   1: 0100007F:1F90 0100007F:D431 01 {tail}",
        f"   2: 0200A8C0:C001 0300A8C0:20FB 06 {tail}",
        f"   3: 0000000000000000FFFF00000100007F:C002 0000000000000000FFFF00000800000A:01BB 01 {tail}",
    ]
    assert peers._opened_in(head + "\n".join(rows), set()) == {
        Address("192.168.0.3", 8443),
        Address("10.0.0.8", 443),
    }
    assert peers._opened_in("\n".join(rows), set(), {"1"}) == set()


def test_what_came_in_is_left_out_also_after_the_system_has_stopped_to_listen() -> None:
    tail = "00000000:00000000 00:00000000 00000000     0        0 4711 1"
    listener, came = (
        f"   0: 0100007F:1F90 00000000:0000 0A {tail}",
        f"   1: 0100007F:1F90 0100007F:D431 06 {tail}",
    )
    listened: set[int] = set()

    assert peers._opened_in(f"{listener}\n{came}", listened) == set()
    assert peers._opened_in(came, listened) == set()
    assert peers._opened_in(came, set()) == {Address("127.0.0.1", 54321)}
