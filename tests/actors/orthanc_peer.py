"""An Orthanc of our own as a real peer: a process on free ports of 127.0.0.1, ended by its pid."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.orthanc import Orthanc, basic_credentials
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.orthanc import configuration, find_dicomweb_plugin, find_program
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import Recorder
from fixtures.waiting import eventually


@dataclass(frozen=True)
class OrthancPeer:
    dicom: DimseAddress
    http_url: str
    workstation_port: int

    def orthanc(self, recorder: Recorder) -> Orthanc:
        credentials = [basic_credentials("student", "student")]
        return Orthanc(HttpClient(self.http_url, recorder=recorder, headers=credentials))

    def dicomweb(self, recorder: Recorder) -> DicomWeb:
        credentials = [basic_credentials("student", "student")]
        http = HttpClient(f"{self.http_url}/dicom-web", recorder=recorder, headers=credentials)
        return DicomWeb(http, version="")


@contextmanager
def running_orthanc(folder: Path) -> Iterator[OrthancPeer]:
    program, plugin = find_program(), find_dicomweb_plugin()
    if program is None or plugin is None:
        pytest.fail(
            "Orthanc or its DICOMweb plugin is missing on this machine: run `make test`, whose bootstrap installs them"
        )
    dicom, http, workstation = free_ports(3)
    settings = configuration(
        storage=folder / "store",
        plugin=plugin,
        dicom_port=dicom,
        http_port=http,
        local_only=True,
        user=("student", "student"),
        modalities={"WORKSTATION": ("127.0.0.1", workstation)},
    )
    config = folder / "orthanc.json"
    config.write_bytes(settings)
    log = (folder / "orthanc.log").open("wb")
    process = subprocess.Popen(
        [str(program), str(config)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        peer = OrthancPeer(
            DimseAddress("ORTHANC", "127.0.0.1", dicom), f"http://127.0.0.1:{http}", workstation
        )
        eventually(lambda: peer.orthanc(Recorder()).system(), within=20, because="Orthanc to answer /system")
        yield peer
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()
