"""A real Orthanc as a process, configured as the demo's PACS."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from pydicom.dataset import Dataset

from fixtures.waiting import eventually
from tests.router.fakes import part10

AUTH = ("student", "student")


class Orthanc:
    def __init__(self, folder: Path) -> None:
        binary = shutil.which("Orthanc")
        if binary is None:
            pytest.fail("no Orthanc binary: install Debian's package orthanc (make test does)")
        with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("127.0.0.1", 0)) as dicom:
            ports = http.getsockname()[1], dicom.getsockname()[1]
        settings = {
            "HttpPort": ports[0],
            "DicomPort": ports[1],
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowStore": True,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "AuthenticationEnabled": True,
            "RegisteredUsers": dict([AUTH]),
            "Plugins": [],
        }
        config = folder / "orthanc.json"
        config.write_bytes(orjson.dumps(settings))
        self.port = ports[1]
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.process = subprocess.Popen(
            [binary, str(config)], stderr=subprocess.DEVNULL, env={**os.environ, "TCP_NODELAY": "1"}
        )
        eventually(lambda: self.get("/system"), within=20, because="Orthanc to start")

    def get(self, path: str) -> Any:
        try:
            return requests.get(self.url + path, auth=AUTH, timeout=10).json()
        except requests.ConnectionError as error:
            raise OSError from error

    def put(self, *datasets: Dataset) -> None:
        for ds in datasets:
            requests.post(f"{self.url}/instances", part10(ds), auth=AUTH, timeout=10).raise_for_status()

    def studies(self) -> set[str]:
        return {study["MainDicomTags"]["StudyInstanceUID"] for study in self.get("/studies?expand")}

    def instances(self) -> set[str]:
        return {item["MainDicomTags"]["SOPInstanceUID"] for item in self.get("/instances?expand")}
