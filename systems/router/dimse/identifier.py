"""Identifiers of C-FIND, C-MOVE and C-GET: the only data sets this package decodes.

pydicom is imported where it is used: it takes longer to load than all else, and storing does without it.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Final

from systems.router.dimse.uids import IMPLICIT_VR_LE

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST_IDENTIFIER: Final = 8 << 20
_LAST_LOADED: Final = "pydicom.filewriter"


class IdentifierError(ValueError):
    """An identifier that cannot be read or written."""


async def load() -> None:
    """Load what the first identifier needs, without holding up the loop."""
    if _LAST_LOADED not in sys.modules:
        await asyncio.to_thread(import_module, _LAST_LOADED)


def empty() -> Dataset:
    """An identifier without elements."""
    from pydicom import Dataset  # noqa: PLC0415 - see above

    return Dataset()


def decode(data: bytes, transfer_syntax_uid: str) -> Dataset:
    """Read an identifier completely, so that nothing can go wrong with it later.

    Raises:
        IdentifierError: when pydicom cannot read it.

    """
    from pydicom import config  # noqa: PLC0415 - see above
    from pydicom.filereader import read_dataset  # noqa: PLC0415

    try:
        # Validation would only warn, quoting the value, and values are patient data.
        with config.disable_value_validation():
            identifier = read_dataset(
                BytesIO(data), transfer_syntax_uid == IMPLICIT_VR_LE, is_little_endian=True
            )
            for _ in identifier.iterall():
                pass
            identifier.decode()
    except Exception as error:  # pydicom lets through whatever its converters raise on bad bytes
        message = f"the identifier cannot be read ({type(error).__name__})"
        raise IdentifierError(message) from error
    return identifier


def encode(identifier: Dataset, transfer_syntax_uid: str) -> bytes:
    """Write an identifier.

    Raises:
        IdentifierError: when a value does not fit its VR or character set.

    """
    from pydicom import config  # noqa: PLC0415 - see above
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415
    from pydicom.filewriter import write_dataset  # noqa: PLC0415

    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax_uid == IMPLICIT_VR_LE
    try:
        with config.disable_value_validation():
            write_dataset(buffer, identifier)
    except Exception as error:  # pydicom lets through whatever its converters raise on bad values
        message = f"the identifier cannot be written ({type(error).__name__})"
        raise IdentifierError(message) from error
    return buffer.getvalue()
