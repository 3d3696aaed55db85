"""Orthanc with its DICOMweb plugin, as a process of this machine: a client of the service, or a server in its place."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from fixtures.clients.answers import Response, expect
from fixtures.clients.http import HttpClient
from fixtures.clients.orthanc import Orthanc
from fixtures.deployment import orthanc
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import Recorder
from fixtures.traceability.verdicts import not_applicable
from fixtures.waiting import eventually
from suites.azure.service import Service

WITHIN = 30.0
"""Seconds until it has started or ended."""
_SERVER = "cloud"


@contextmanager
def running_orthanc(folder: Path, *, root: str, **dicomweb: Any) -> Iterator[str]:
    """Start Orthanc, open to everybody on this machine, with its DICOMweb service at `root`; yields its URL.

    `dicomweb` adds to the plugin's own settings; `https_ca_file` is what Orthanc trusts as a client.

    Raises:
        NotApplicable: Orthanc or its plugin is not on this machine.
        NotYet: it did not start, see `folder/log`.

    """
    program, plugin = orthanc.find_program(), orthanc.find_dicomweb_plugin()
    if program is None or plugin is None:
        not_applicable(
            "Orthanc and its DICOMweb plugin are not on this machine (`make orthanc`)",
            probe=f"program {program}, plugin {plugin}",
        )
    ca_file = dicomweb.pop("https_ca_file", None)
    dicom_port, http_port = free_ports(2)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    settings = json.loads(
        orthanc.configuration(
            storage=folder / "data",
            plugin=plugin,
            dicom_port=dicom_port,
            http_port=http_port,
            local_only=True,
            user=("nobody", "nobody"),
            modalities={},
        )
    )
    settings["AuthenticationEnabled"] = False
    settings["DicomWeb"] |= {"Root": root, **dicomweb}
    if ca_file is not None:
        settings |= {"HttpsVerifyPeers": True, "HttpsCACertificates": str(ca_file)}
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings), encoding="ascii")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), str(configuration)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
    try:
        eventually(
            partial(_answers, process, http_port, f"{root}studies?limit=1"),
            within=WITHIN,
            because=f"Orthanc should answer a search, see {folder / 'log'}",
        )
        yield f"http://127.0.0.1:{http_port}"
    finally:
        # Orthanc takes some seconds to end by itself, and nothing of it is kept.
        process.kill()
        process.wait(timeout=WITHIN)


def _answers(process: "subprocess.Popen[bytes]", port: int, path: str) -> bool:
    assert process.poll() is None, f"Orthanc ended with {process.returncode}"
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class OrthancClient:
    """Orthanc's DICOMweb client (`/dicom-web/servers/...`), to which the service is known as a server."""

    def __init__(self, url: str, recorder: Recorder) -> None:
        self._http = HttpClient(url, recorder=recorder, timeout=60.0)
        self.archive = Orthanc(self._http)

    def know(self, service: Service, version: str) -> None:
        """Enter the service at one API version, with a fresh token of the owner's.

        The token goes in by the REST interface and so is in no file; Orthanc keeps it in memory.
        """
        token = service.tokens("owner")()
        service_root = f"{service.deployment.cloud.url}/{version}/"
        entry = {"Url": service_root, "HttpHeaders": {"Authorization": f"Bearer {token}"}, "HasDelete": True}
        self._post("", entry, method="PUT")

    def receive(self, part10: bytes) -> str:
        """Have a file in the archive; returns Orthanc's own id of the instance."""
        answer = expect("upload", self._http.request("POST", "/instances", body=part10))
        return str(answer.json()["ID"])

    def stow(self, *resources: str) -> int:
        """Store resources of the archive at the service (STOW-RS), to the end; returns how many instances went."""
        answer = self._post("/stow", {"Resources": list(resources), "Synchronous": True})
        return int(expect("STOW by Orthanc", answer).json()["InstancesCount"])

    def search(self, uri: str, tag: str, **arguments: str) -> list[str]:
        """Search at the service (QIDO-RS); the values of one attribute of what was found, as Orthanc shows it."""
        answer = self._post("/qido", {"Uri": uri, "Arguments": arguments})
        return [str(item[tag]["Value"]) for item in expect("QIDO by Orthanc", answer).json()]

    def retrieve(self, **resource: str) -> int:
        """Fetch what `Study=` and perhaps `Series=` and `Instance=` name into the archive (WADO-RS); returns how many came."""
        answer = self._post("/retrieve", {"Resources": [resource], "Synchronous": True})
        return int(expect("WADO by Orthanc", answer).json()["ReceivedInstancesCount"])

    def empty(self) -> None:
        """Delete everything in the archive, which is the test's own."""
        for instance in self.archive.instances():
            expect("deletion", self._http.request("DELETE", f"/instances/{instance}"))

    def files(self) -> list[bytes]:
        """Every file of the archive."""
        return [self.archive.file(instance) for instance in self.archive.instances()]

    def delete(self, level: str, **uids: str) -> None:
        """Delete a `Study`, `Series` or `Instance`, named by its UIDs (`StudyInstanceUID=`), at the service."""
        expect("deletion by Orthanc", self._post("/delete", {"Level": level, **uids}))

    def _post(self, path: str, content: Mapping[str, Any], *, method: str = "POST") -> Response:
        return self._http.request(
            method, f"/dicom-web/servers/{_SERVER}{path}", body=json.dumps(content).encode()
        )
