import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fixtures.actors.dcmtk import dcmtk_path
from fixtures.actors.modality import Modality
from fixtures.clients import multipart
from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient, UnexpectedStatus
from fixtures.data import Run, Study, make_series
from fixtures.evidence.curl import to_dimse_command
from fixtures.evidence.exchange import DimseOperation, Recorder
from fixtures.evidence.ledger import Ledger, judge
from fixtures.evidence.truth import CloudTruth, PacsTruth
from tests.actors.orthanc_peer import OrthancPeer
from tests.clients.scripted_server import answer, scripted


def test_both_truths_agree_on_one_store(peer: OrthancPeer, recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 4)
    ledger = Ledger()
    Modality(recorder=recorder, ledger=ledger).send(series.instances, peer.dicom, via="pacs")
    pacs, cloud = PacsTruth(peer.orthanc(recorder)), CloudTruth(peer.dicomweb(recorder))
    study = series.study_instance_uid

    for truth in (pacs, cloud):
        assert study in truth.study_uids()
        assert judge(ledger, "side", truth.fingerprints([study])).valid is True
        assert set(truth.sop_instance_uids([study])) == series.sop_instance_uids
        assert list(truth.fingerprints(["2.25.404"])) == []
        uid = series.instances[0].sop_instance_uid
        assert truth.part10(uid).endswith(bytes(series.instances[0].encoded_dataset))
        with pytest.raises(LookupError, match=r"2\.25\.404"):
            truth.part10("2.25.404")
    assert series.sop_instance_uids <= {each.sop_instance_uid for each in pacs.fingerprints()}


def cloud_without_study_retrieve(series: Study, refusal: str) -> Callable[[str], bytes]:
    files = {each.sop_instance_uid: each for each in series.instances}
    rows = [
        {
            tag: {"vr": "UI", "Value": [value]}
            for tag, value in (
                ("0020000E", each.fingerprint.series_instance_uid),
                ("00080018", each.sop_instance_uid),
            )
        }
        for each in series.instances
    ]

    def reply(target: str) -> bytes:
        path = urlsplit(target).path
        last = path.rpartition("/")[2]
        if last in files:
            content_type, body = multipart.encode([files[last].part10])
            return (
                f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
        if path.endswith("/instances"):
            return (
                answer(json.dumps(rows).encode()) if "offset=0" in target else answer(b"", "204 No Content")
            )
        return answer(b"", refusal)

    return reply


def test_cloud_is_read_one_by_one_where_a_study_cannot_be_had(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 3)
    reply = cloud_without_study_retrieve(series, "406 Not Acceptable")

    def play(connection: socket.socket, _number: int) -> bool:
        connection.sendall(reply(server.heads[-1].split(b" ")[1].decode()))
        return True

    with scripted(play) as server:
        truth = CloudTruth(DicomWeb(HttpClient(server.url, recorder=recorder)))
        seen = {each.sop_instance_uid for each in truth.fingerprints([series.study_instance_uid])}

    assert seen == series.sop_instance_uids


def test_a_refused_read_is_no_empty_side(recorder: Recorder, run: Run) -> None:
    reply = cloud_without_study_retrieve(make_series(run, 1, 1), "503 Service Unavailable")

    def play(connection: socket.socket, _number: int) -> bool:
        connection.sendall(reply(server.heads[-1].split(b" ")[1].decode()))
        return True

    with scripted(play) as server, pytest.raises(UnexpectedStatus, match="503"):
        list(CloudTruth(DicomWeb(HttpClient(server.url, recorder=recorder))).fingerprints(["2.25.1"]))


def test_the_dcmtk_line_of_a_store_stores_the_same(
    peer: OrthancPeer, recorder: Recorder, run: Run, tmp_path: Path
) -> None:
    series = make_series(run, 1, 1)
    ledger = Ledger()
    Modality(recorder=recorder, ledger=ledger).send(series.instances, peer.dicom, via="pacs")
    orthanc = peer.orthanc(recorder)
    orthanc.delete_study(series.study_instance_uid)
    (stored,) = [each for each in recorder.exchanges if isinstance(each, DimseOperation)]
    (tmp_path / f"{stored.sop_instance_uid}.dcm").write_bytes(series.instances[0].part10)

    line = to_dimse_command(stored)
    repeated = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=tmp_path,
        env={**os.environ, "PATH": dcmtk_path()},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert repeated.returncode == 0, f"{line}\n{repeated.stdout}"
    report = judge(ledger, "pacs", PacsTruth(orthanc).fingerprints([series.study_instance_uid]))
    assert report.valid is True, f"{report.describe()}\n{repeated.stdout}"
