import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fixtures.clients.dicomweb import AS_STORED, DicomWeb, parts
from fixtures.clients.http import HttpClient, UnexpectedStatus
from fixtures.clients.orthanc import basic_credentials
from fixtures.data import Run, make_series
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.fingerprint import fingerprint, same
from tests.actors.orthanc_peer import OrthancPeer
from tests.clients.scripted_server import Script, answer, scripted


def test_store_search_retrieve_and_delete_against_orthanc(
    peer: OrthancPeer, recorder: Recorder, run: Run
) -> None:
    cloud = peer.dicomweb(recorder)
    series = make_series(run, 1, 3)
    (series_uid,) = series.series_instance_uids
    study, first = series.study_instance_uid, series.instances[0]

    stored = cloud.store(series.instances)
    assert (stored.status, stored.problems) == (200, ())
    assert set(stored.stored) == series.sop_instance_uids

    (row,) = cloud.search_all("studies", StudyInstanceUID=study)
    assert row["0020000D"]["Value"] == [study]
    assert len(cloud.search_all("instances", study=study, series=series_uid)) == 3
    assert cloud.search("series", study=study, limit=1).status == 200

    copies = {print_.sop_instance_uid: print_ for print_ in map(fingerprint, cloud.retrieve(study))}
    assert all(same(each.fingerprint, copies[each.sop_instance_uid]) for each in series.instances)
    assert len(cloud.retrieve(study, series_uid, first.sop_instance_uid)) == 1
    assert cloud.metadata(study).status == 200
    frame = cloud.frames(study, series_uid, first.sop_instance_uid, "1")
    assert parts(frame)[0].body == first.dataset().PixelData
    assert cloud.rendered(study, series_uid, first.sop_instance_uid).content_type == "image/jpeg"


def test_a_study_that_is_not_there_is_an_unexpected_status(peer: OrthancPeer, recorder: Recorder) -> None:
    with pytest.raises(UnexpectedStatus) as caught:
        peer.dicomweb(recorder).retrieve("2.25.1")

    assert caught.value.response.status == 404
    assert "/studies/2.25.1" in str(caught.value)


@contextmanager
def paged(rows: list[dict[str, Any]], *, ignore_offset: bool = False, cap: int = 200) -> Iterator[Script]:
    """A server of `rows` by limit and offset that never gives more than `cap`."""

    def play(connection: socket.socket, _number: int) -> bool:
        query = parse_qs(urlsplit(server.heads[-1].split(b" ")[1].decode()).query)
        offset = 0 if ignore_offset else int(query["offset"][0])
        page = rows[offset : offset + min(int(query["limit"][0]), cap)]
        connection.sendall(answer(json.dumps(page).encode()) if page else answer(b"", "204 No Content"))
        return True

    with scripted(play) as server:
        yield server


@pytest.mark.parametrize("cap", [200, 7])
def test_search_reads_all_pages_whatever_their_size(recorder: Recorder, cap: int) -> None:
    rows = [
        {"0020000D": {"vr": "UI", "Value": [f"2.25.{number}"]}} for number in range(450 if cap == 200 else 20)
    ]
    with paged(rows, cap=cap) as server:
        found = DicomWeb(HttpClient(server.url, recorder=recorder)).search_all("studies", PatientID="X")

    assert found == rows
    assert server.heads[0].startswith(b"GET /v2/studies?PatientID=X&limit=200&offset=0 ")


def test_search_does_not_go_round_in_circles(recorder: Recorder) -> None:
    rows = [{"0020000D": {"vr": "UI", "Value": ["2.25.1"]}}]
    with (
        paged(rows, ignore_offset=True) as server,
        pytest.raises(UnexpectedStatus, match="offset was ignored"),
    ):
        DicomWeb(HttpClient(server.url, recorder=recorder)).search_all("studies")


def test_change_feed_of_v2_counts_rows(recorder: Recorder) -> None:
    rows = [{"sequence": number} for number in range(1, 251)]

    def play(connection: socket.socket, _number: int) -> bool:
        query = parse_qs(urlsplit(server.heads[-1].split(b" ")[1].decode()).query)
        offset = int(query["offset"][0])
        connection.sendall(answer(json.dumps(rows[offset : offset + int(query["limit"][0])]).encode()))
        return True

    with scripted(play) as server:
        feed = DicomWeb(HttpClient(server.url, recorder=recorder), version="v2")
        assert feed.change_feed_all() == rows
        assert feed.change_feed_all(since=248) == rows[248:]
        feed.change_feed_all(datetime(2022, 11, 22, tzinfo=UTC))

    assert b"startTime=2022-11-22T00%3A00%3A00%2B00%3A00" in server.heads[-1]
    assert server.heads[0].startswith(b"GET /v2/changefeed?offset=0&limit=200&includeMetadata=false ")


def test_change_feed_of_v1_steps_over_gaps(recorder: Recorder) -> None:
    rows = [{"sequence": number} for number in (1, 2, 350)]

    def play(connection: socket.socket, _number: int) -> bool:
        target = urlsplit(server.heads[-1].split(b" ")[1].decode())
        if target.path.endswith("/latest"):
            connection.sendall(answer(json.dumps(rows[-1]).encode()))
            return True
        query = parse_qs(target.query)
        low, limit = int(query["offset"][0]), int(query["limit"][0])
        page = [row for row in rows if low < row["sequence"] <= low + limit]
        connection.sendall(answer(json.dumps(page).encode()))
        return True

    with scripted(play) as server:
        feed = DicomWeb(HttpClient(server.url, recorder=recorder), version="v1")
        assert feed.change_feed_all() == rows
        assert feed.change_feed_all(since=2) == rows[2:]
        with pytest.raises(ValueError, match="no time window"):
            feed.change_feed_all(datetime.now(UTC))


def test_single_part_store_is_one_plain_body(recorder: Recorder, run: Run) -> None:
    def play(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer())
        return True

    instances = make_series(run, 1, 2).instances
    with scripted(play) as server:
        cloud = DicomWeb(HttpClient(server.url, recorder=recorder))
        cloud.store(instances[:1], single_part=True, study="2.25.9")
        with pytest.raises(ValueError, match="one instance, not 2"):
            cloud.store(instances, single_part=True)

    assert server.heads[0].startswith(b"POST /v2/studies/2.25.9 HTTP/1.1")
    assert server.heads[0].endswith(b"Content-Type: application/dicom")
    assert server.bodies[0] == instances[0].part10


def test_retrieve_asks_for_what_was_stored(recorder: Recorder) -> None:
    def play(connection: socket.socket, _number: int) -> bool:
        connection.sendall(answer(b"", "404 Not Found"))
        return True

    with scripted(play) as server, pytest.raises(UnexpectedStatus):
        DicomWeb(HttpClient(server.url, recorder=recorder)).retrieve("1", "2", "3")

    assert server.heads[0].startswith(b"GET /v2/studies/1/series/2/instances/3 HTTP/1.1")
    assert f"Accept: {AS_STORED}".encode() in server.heads[0]


def test_basic_credentials_are_those_of_rfc_7617() -> None:
    assert basic_credentials("Aladdin", "open sesame") == (
        "Authorization",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    )
