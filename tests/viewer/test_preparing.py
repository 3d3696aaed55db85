"""Preparing the viewer: only the known package, and lean."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tools.common import Stop
from tools.viewer import check_digest, make_lean, unpack


def package(folder: Path, **files: bytes) -> Path:
    archive = folder / "viewer.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive


def test_another_package_is_refused(tmp_path: Path) -> None:
    archive = package(tmp_path)
    with pytest.raises(Stop, match="not the package we know"):
        check_digest(archive)


def test_a_package_without_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"no dist/index\.html"):
        unpack(package(tmp_path, **{"package/LICENSE": b"MIT"}), tmp_path)


def test_what_loads_code_from_elsewhere_goes_and_the_rest_is_packed(tmp_path: Path) -> None:
    large = b"x" * 5000
    archive = package(
        tmp_path,
        **{
            "package/LICENSE": b"MIT",
            "package/dist/index.html": b"<html></html>",
            "package/dist/app.js": large,
            "package/dist/sw.js": b"importScripts()",
            "package/dist/ort/ort.wasm": large,
        },
    )
    pages = unpack(archive, tmp_path)
    make_lean(pages)
    assert sorted(path.name for path in pages.iterdir()) == [
        "LICENSE.txt",
        "app.js",
        "app.js.gz",
        "index.html",
    ]
    assert gzip.decompress((pages / "app.js.gz").read_bytes()) == large
