"""Reads what lies in the spool back, in plain text, piece by piece."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from systems.router.errors import DamagedError
from systems.router.sealing import Keyring, MissingKeyError
from systems.router.store.model import Location

_CHUNK: Final = 1 << 20


def pieces(pack: Path, location: Location, keys: Keyring, sop_instance_uid: str) -> Iterator[bytes]:
    """The Part 10 file at `location` of a pack in pieces of at most 1 MiB; the first holds the whole header.

    Raises:
        DamagedError: it is missing or cut, or the key it is encrypted with is not there.

    """
    try:
        transform = None if location.seal is None else keys.of(location.seal).from_start()
        with pack.open("rb", buffering=0) as file:
            file.seek(location.offset)
            left = location.length
            while left:
                chunk = file.read(min(left, _CHUNK))
                if not chunk:
                    raise DamagedError(sop_instance_uid, f"{left} bytes are missing at its end")
                left -= len(chunk)
                yield chunk if transform is None else transform(chunk)
    except MissingKeyError as error:
        raise DamagedError(sop_instance_uid, str(error)) from error
    except OSError as error:
        raise DamagedError(sop_instance_uid, f"its file cannot be read ({error.strerror})") from error


def data_set_offset(part10: bytes) -> int:
    """Where the data set begins in a Part 10 file the router wrote: behind group 0002, whose length it states."""
    length = int.from_bytes(part10[140:144], "little")
    return 144 + length
