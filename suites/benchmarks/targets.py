"""What is measured: DICOMweb origin servers, and ways from a modality to a PACS and a cloud."""

import json
import os
import ssl
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from fixtures.deployment import engine, orthanc
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.errors import MachineProblem
from fixtures.deployment.probes import call
from fixtures.load.wire import Endpoint
from fixtures.measurement.cpu import Tree
from suites.benchmarks.hosting import Hosting, Program
from suites.benchmarks.settings import Settings

LEAST_ORTHANC = (1, 12)
"""An older Orthanc of this machine is not measured where a container can hold a newer one."""


@dataclass(frozen=True)
class Archive:
    """A DICOMweb origin server under measurement. `trees` is empty where its processes cannot be seen."""

    name: str
    version: str
    web: Endpoint
    dicom: DimseAddress | None = None
    trees: tuple[Tree, ...] = ()
    data: Path | None = None


def emulator(host: Hosting) -> Archive:
    """The reference DICOM service: plain HTTP and no tokens, as Orthanc beside it."""
    name, port = "emulator", host.port()
    url = f"http://127.0.0.1:{port}"
    host.start(
        Program(
            name=name,
            command=(
                *("dicom-service", "serve", "--no-auth", "--log-level", "warning"),
                *("--host", "127.0.0.1", "--port", str(port), "--data", str(host.data(name))),
                *(os.environ.get("BENCH_EMULATOR_OPTIONS", "").split()),
            ),
            files={},
            ready=lambda _: call("GET", f"{url}/health/check").require(200),
            environment=_planted(Settings.read().slowdown_percent),
        )
    )
    return Archive(
        name,
        version("imaging-cloud-conformance"),
        Endpoint("127.0.0.1", port, "/v2"),
        trees=(host.tree(name),),
        data=host.data(name),
    )


def _planted(percent: float) -> dict[str, str]:
    """The environment in which a server of ours is slower by that much."""
    folder = Path(__file__).parent / "planted"
    return {"PYTHONPATH": str(folder), "PLANTED_SLOWDOWN_PERCENT": str(percent)} if percent else {}


def orthanc_archive(host: Hosting) -> Archive:
    """Orthanc with its DICOMweb plugin and defaults (files are synced), nothing forwarded."""
    name, http, dicom = "orthanc", host.port(), host.port()
    start_orthanc(host, name, http, dicom, {})
    return Archive(
        name,
        orthanc_version(http),
        Endpoint("127.0.0.1", http, "/dicom-web"),
        DimseAddress("ORTHANC", "127.0.0.1", dicom),
        (host.tree(name),),
        host.data(name),
    )


def start_orthanc(
    host: Hosting,
    name: str,
    http: int,
    dicom: int,
    settings: Mapping[str, object],
    *,
    servers: Mapping[str, str] | None = None,
    modalities: Mapping[str, DimseAddress] | None = None,
    scripts: Mapping[str, bytes] | None = None,
) -> None:
    """Start an Orthanc: of this machine where it is new enough, else the reference image's."""
    program, image, plugin = _orthanc_source()
    known = {one: (to.host, to.port) for one, to in (modalities or {}).items()}
    base = orthanc.configuration(
        storage=host.data(name),
        plugin=plugin,
        dicom_port=dicom,
        http_port=http,
        local_only=True,
        user=("benchmark", "benchmark"),
        modalities=known,
    )
    changed = {**json.loads(base), "AuthenticationEnabled": False, "RegisteredUsers": {}, **settings}
    changed["DicomWeb"]["Servers"] = {one: {"Url": url} for one, url in (servers or {}).items()}
    changed["LuaScripts"] = [str(host.config(name) / script) for script in scripts or {}]
    files = {"orthanc.json": json.dumps(changed, indent=1).encode(), **(scripts or {})}
    url = f"http://127.0.0.1:{http}"
    host.start(
        Program(
            name=name,
            command=(program, str(host.config(name) / "orthanc.json")),
            files=files,
            image=image,
            ready=lambda _: call("GET", f"{url}/system").require(200),
        )
    )


def orthanc_version(http: int) -> str:
    """What Orthanc says it is."""
    base = f"http://127.0.0.1:{http}"
    system = json.loads(call("GET", f"{base}/system").require(200).body)
    plugin = json.loads(call("GET", f"{base}/plugins/dicom-web").require(200).body)
    return f"Orthanc {system['Version']}, DICOMweb {plugin['Version']}"


def _orthanc_source() -> tuple[str, str, PurePath]:
    """Program, image (empty: this machine's own) and DICOMweb plugin."""
    program, plugin = orthanc.find_program(), orthanc.find_dicomweb_plugin()
    own = program is not None and plugin is not None
    if own and _version_of(str(program)) >= LEAST_ORTHANC and plugin is not None:
        return "Orthanc", "", plugin
    if engine.answers():
        return "Orthanc", "orthanc", orthanc.CONTAINER_PLUGIN
    if plugin is not None and program is not None:
        return "Orthanc", "", plugin
    raise MachineProblem(
        "Orthanc is measured beside the reference systems",
        "neither a container engine nor an installed Orthanc was found",
        "run `make engine` or `make orthanc`, or leave it out with --targets emulator",
    )


def _version_of(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    words = said.split()
    return tuple(int(part) for part in words[1].split(".") if part.isdigit()) if len(words) > 1 else (0,)


def remote(name: str, url: str, *, ca_file: Path | None = None, token: str = "") -> Archive:
    """Any other DICOMweb origin server; `url` ends where `/studies` begins. Its CPU cannot be seen."""
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    headers = (f"Authorization: Bearer {token}",) if token else ()
    endpoint = Endpoint(parts.hostname or "", port, parts.path.rstrip("/"), tls, headers)
    return Archive(name, "as it answers", endpoint)


Start = Callable[[Hosting], Archive]
KNOWN: Mapping[str, Start] = {"emulator": emulator, "orthanc": orthanc_archive}
"""Targets by name. `NAME=URL` in BENCH_TARGETS is a remote one, with a token from BENCH_TOKEN_NAME where it needs one."""


def start_of(word: str) -> Start:
    """What starts a target by the word that names it.

    Raises:
        MachineProblem: there is no such target.

    """
    name, equals, url = word.partition("=")
    if equals:
        ca_file = os.environ.get(f"BENCH_CA_{name.upper()}")
        token = os.environ.get(f"BENCH_TOKEN_{name.upper()}", "")
        return lambda _: remote(name, url, ca_file=Path(ca_file) if ca_file else None, token=token)
    if name not in KNOWN:
        raise MachineProblem(
            f"target {name!r} was to be measured",
            "there is no such target",
            f"name one of {', '.join(KNOWN)}, or NAME=URL of a DICOMweb origin server",
        )
    return KNOWN[name]
