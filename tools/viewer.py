"""Prepares the viewer and the browser that its tests drive: `python3 -m tools.viewer`.

The viewer is OHIF as npm has it, ready built: it is taken, checked against the digest below and made lean. Nothing of it
is executed here. The browser is Debian's Chromium; no other browser is downloaded.
"""

import base64
import gzip
import hashlib
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from fixtures.deployment.viewer import FOLDER, VERSION, prepared_files
from tools.common import LOCAL, Stop, install_packages, main_of, must, say
from tools.prepare import npm

PACKAGE = f"@ohif/app@{VERSION}"
DIGEST = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
_NOT_NEEDED = (
    "ort",  # 136 MB for models that segment images
    "dicom-microscopy-viewer",  # 20 MB for whole slides
    "customizations",
    "app-config.js",  # ours is served in its place
    # These would load code from other hosts.
    "sw.js",
    "google.js",
    "silent-refresh.html",
    "oidc-client.min.js",
)
_PACKED = {".js", ".css", ".wasm", ".svg", ".json"}
_WORTH_PACKING = 1400
"""Bytes: less fits one packet anyway."""


def ensure_viewer() -> Path:
    """Return the folder of the prepared viewer, preparing it when it is not there.

    Raises:
        Stop: when there is no npm, the registry cannot be reached, or the package is not the one we know.

    """
    found = prepared_files()
    if found is not None:
        return found
    FOLDER.mkdir(parents=True, exist_ok=True)
    (LOCAL / "tmp").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        say(f"fetching {PACKAGE} (50 MB)")
        must(
            [*npm(), "pack", PACKAGE, "--pack-destination", scratch, "--loglevel=error"],
            "check that this machine reaches its npm registry; without it only the viewer's tests are left out",
        )
        archive = next(Path(scratch).glob("*.tgz"))
        check_digest(archive)
        unpacked = unpack(archive, Path(scratch))
        make_lean(unpacked)
        target = FOLDER / f"ohif-{VERSION}"
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    return target


def check_digest(archive: Path, expected: str = DIGEST) -> None:
    """Compare a package with the digest that npm's registry lists for it.

    Raises:
        Stop: when it is another one.

    """
    digest = hashlib.sha512(archive.read_bytes()).digest()
    seen = f"sha512-{base64.b64encode(digest).decode('ascii')}"
    if seen != expected:
        raise Stop(f"{archive.name} is not the package we know: its digest is {seen}, not {expected}")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a package and return the folder of its built pages.

    Raises:
        Stop: when there are none in it.

    """
    with tarfile.open(archive) as package:
        package.extractall(folder, filter="data")
    pages = folder / "package" / "dist"
    if not (pages / "index.html").is_file():
        raise Stop(f"{archive.name} has no dist/index.html; its layout has changed")
    licence = folder / "package" / "LICENSE"
    if licence.is_file():
        shutil.copy(licence, pages / "LICENSE.txt")
    return pages


def make_lean(pages: Path) -> None:
    """Delete what this viewer does not use, and pack beside each larger text what is sent to browsers."""
    for name in _NOT_NEEDED:
        path = pages / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in sorted(pages.rglob("*")):
        if path.suffix in _PACKED and path.is_file() and path.stat().st_size > _WORTH_PACKING:
            packed = path.with_name(f"{path.name}.gz")
            packed.write_bytes(gzip.compress(path.read_bytes(), 6, mtime=0))


def ensure_chromium() -> None:
    """Find Chromium and certutil, which makes it trust a run's certificates, or install both on Debian as root.

    Raises:
        Stop: when they are missing and cannot be installed here, with the command to type.

    """
    missing = [
        package
        for program, package in (("chromium", "chromium"), ("certutil", "libnss3-tools"))
        if shutil.which(program) is None
    ]
    if missing:
        install_packages(*missing, reason="the tests of the viewer drive a real browser")


def main() -> int:
    """Ensure both, and say where they are."""
    say(f"viewer: {ensure_viewer()}")
    ensure_chromium()
    say(f"browser: {shutil.which('chromium')}")
    return 0


if __name__ == "__main__":
    sys.exit(main_of(main))
