"""Sees to it that Orthanc, the reference archive, can run as a process of this machine (`make orthanc`)."""

from fixtures.deployment.orthanc import find_dicomweb_plugin, find_program
from tools.common import Stop, install_packages, main_of, say


def ensure_orthanc() -> None:
    """Find Orthanc and its DICOMweb plugin, or install them as root on Debian or Ubuntu.

    Raises:
        Stop: when they are missing and cannot be installed here, with the command to type.

    """
    if _present():
        return
    install_packages(
        "orthanc",
        "orthanc-dicomweb",
        reason="the process runner needs Orthanc and its DICOMweb plugin (the docker runner does not)",
    )
    if not _present():
        raise Stop("Orthanc was installed but is not found; set ORTHANC and ORTHANC_DICOMWEB to its files")


def _present() -> bool:
    return find_program() is not None and find_dicomweb_plugin() is not None


def main() -> int:
    """Ensure it, and say where it is."""
    ensure_orthanc()
    say(f"Orthanc: {find_program()} with {find_dicomweb_plugin()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main_of(main))
