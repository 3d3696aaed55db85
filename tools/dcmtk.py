"""Sees to it that dcmtk's programs are there: the tests let them speak to the router beside clients of our own."""

import shutil

from tools.common import install_packages


def ensure_dcmtk() -> None:
    """Find dcmtk, or install it as root on Debian or Ubuntu.

    pynetdicom brings programs with the names of dcmtk's clients, so another one tells whether dcmtk is there.

    Raises:
        Stop: when it is missing and cannot be installed here, with the command to type.

    """
    if shutil.which("dcmdump") is None:
        install_packages("dcmtk", reason="the tests also use dcmtk's storescu, findscu, movescu and getscu")
