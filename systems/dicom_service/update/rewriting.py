"""Writing the new version of a stored file: new values before the pixel data, everything after them byte for byte."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from systems.dicom_service.dicom import dictionary
from systems.dicom_service.dicom.elements import describe_part10
from systems.dicom_service.dicom.text import Decoder
from systems.dicom_service.late_imports import ONE_AT_A_TIME
from systems.dicom_service.storage.blobs import Incoming
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.storage.store import Store
from systems.dicom_service.tags.definitions import ExtendedTag
from systems.dicom_service.tags.index import Entry
from systems.dicom_service.tags.instances import found_in
from systems.dicom_service.update.asked import Changes

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

IMPLEMENTATION_CLASS_UID = "1.3.6.1.4.1.311.129"
IMPLEMENTATION_VERSION_NAME = "1.0.0"
_CHUNK = 1 << 20
_UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class Renewed:
    """The new version of one instance."""

    before: Stored
    content: bytes | Incoming
    head_stop: int
    tail_start: int
    dropped: tuple[int, ...]
    entries: tuple[Entry, ...]
    """Values of study-level extended query tags among the changed attributes (UPD-023, UPD-024)."""


def renew(
    store: Store, stored: Stored, changes: Changes, tags: list[ExtendedTag], *, in_memory: bool
) -> Renewed:
    """Return the new version of an instance; a file of its own when not `in_memory`.

    Raises OSError when the file cannot be read or written, and whatever pydicom raises for one it cannot cope with.
    """
    head = rewritten(store.blobs.read(stored.place, 0, stored.head_stop), stored.transfer_syntax_uid, changes)
    dropped = tuple(sorted(stored.dropped - changes.keys()))
    data_set = describe_part10(head)
    found = found_in(data_set, Decoder(data_set), tags, dropped)
    rest = _rest(store, stored)
    content: bytes | Incoming = b"".join((head, *rest)) if in_memory else _received(store, head, rest)
    moved = stored.tail_start - stored.head_stop + len(head)
    return Renewed(stored, content, len(head), moved, dropped, tuple(found.entries))


def _rest(store: Store, stored: Stored) -> Iterator[bytes]:
    for start in range(stored.head_stop, stored.place.size, _CHUNK):
        yield store.blobs.read(stored.place, start, start + _CHUNK)


def _received(store: Store, head: bytes, rest: Iterator[bytes]) -> Incoming:
    incoming = store.receive()
    try:
        incoming.write(head)
        for chunk in rest:
            incoming.write(chunk)
        incoming.make_durable()
    except OSError:
        incoming.discard()
        raise
    return incoming


def rewritten(head: bytes, transfer_syntax_uid: str, changes: Changes) -> bytes:
    """Return a file, or its part before the pixel data, with new values and the stamp of UPD-027."""
    with ONE_AT_A_TIME:
        from pydicom import config, dcmread, dcmwrite  # noqa: PLC0415 - takes long to import
        from pydicom.dataelem import DataElement  # noqa: PLC0415
        from pydicom.uid import UID  # noqa: PLC0415

    data_set = dcmread(BytesIO(head), force=True)
    _suit_character_set(data_set, [text for values in changes.values() for text in values])
    for tag, values in changes.items():
        value = values[0] if len(values) == 1 else values
        data_set[tag] = DataElement(
            tag, dictionary.vr(tag), value, validation_mode=config.IGNORE, already_converted=False
        )
    meta = data_set.file_meta
    if "TransferSyntaxUID" not in meta:
        meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    out = BytesIO()
    dcmwrite(out, data_set, enforce_file_format=True)
    return out.getvalue()


def _suit_character_set(data_set: "FileDataset", texts: list[str]) -> None:
    """Change the data set to UTF-8 when its own character set cannot write the new values."""
    with ONE_AT_A_TIME:
        from pydicom.charset import convert_encodings  # noqa: PLC0415 - takes long to import

    special = "".join(text for text in texts if not text.isascii())
    if not special:
        return
    declared = data_set.get("SpecificCharacterSet")
    if isinstance(declared, str) and declared not in ("", "ISO_IR 6"):
        try:
            special.encode(convert_encodings(declared)[0])
        except (UnicodeEncodeError, LookupError):
            pass
        else:
            return
    data_set.decode()
    data_set.SpecificCharacterSet = _UTF_8
