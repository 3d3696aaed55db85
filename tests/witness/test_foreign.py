"""The server that agrees to everything."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.evidence.exchange import Recorder
from tests.dicom_service.conftest import dataset, part10
from tools.foreign import always_200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "INVENTED"])
@pytest.mark.parametrize("kind", ["empty", "list", "object"])
def test_answers_200_to_everything(kind: str, method: str) -> None:
    with always_200(kind) as url:
        client = HttpClient(url, recorder=Recorder())
        for body in (b"", b"x" * 3_000_000):
            answer = client.request(method, "/anything?at=all", body=body)
            assert (answer.status, answer.body) == (200, {"empty": b"", "list": b"[]", "object": b"{}"}[kind])


def test_agrees_to_each_store() -> None:
    made = [dataset(), dataset()]
    with always_200("stored") as url:
        web = DicomWeb(HttpClient(url, recorder=Recorder()))
        answer = web.store([part10(one) for one in made])
        assert answer.status == 200
        assert sorted(answer.stored) == sorted(str(one.SOPInstanceUID) for one in made)
        assert web.metadata(made[0].StudyInstanceUID).body == b"", "it has kept nothing"


def test_chunked_and_announced_bodies() -> None:
    """A chunked store is read; a body that is announced to be refused is not waited for."""
    made = dataset()
    with always_200("stored") as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request(
            "POST",
            "/v2/studies",
            iter([part10(made)]),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        stored = json.loads(connection.getresponse().read())["00081199"]["Value"]
        assert [item["00081155"]["Value"] for item in stored] == [[made.SOPInstanceUID]]
        connection.putrequest("POST", "/v2/studies")
        connection.putheader("Content-Length", str(1 << 31))
        connection.endheaders()
        assert connection.getresponse().status == 200
        connection.close()
