"""Which SOP instances a STOW-RS request carries, read in passing, and the answer of a store that succeeded.

Bodies are PS3.18 section 10.5: `multipart/related` with `application/dicom` parts, or one `application/dicom` body.
"""

import json
import re
from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto
from typing import Any

from systems.link.messages import Head
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import read_file_meta, scan_part10

_STORE_PATH = re.compile(r"(?P<service>.*)/studies(?:/[^/?]+)?/?(?:\?.*)?")
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_SCANNED = 65_536
_LONGEST_PART_HEAD = 16_384


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """What a part says it is; study and series are empty when they lie too far inside."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""


class _At(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    CONTENT = auto()
    END = auto()


class StoreScanner:
    """Follows the body of a store, keeping no more than the head of the part it is in."""

    def __init__(self, content_type: str) -> None:
        self.instances: list[StoredInstance] = []
        message = Message()
        message["Content-Type"] = content_type
        kind, boundary = message.get_content_type(), message.get_boundary()
        self._delimiter = b""
        self._rest = b""
        self._content = bytearray()
        self._dicom = True
        self._at = _At.END
        if kind == "application/dicom":
            self._at = _At.CONTENT
        elif kind == "multipart/related" and boundary:
            self._delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
            # The first delimiter may open the body; every other one follows a line end.
            self._rest = b"\r\n"
            self._at = _At.PREAMBLE

    def feed(self, content: bytes) -> None:
        """Take the next bytes of the body."""
        if self._at is _At.END:
            return
        if not self._delimiter:
            self._keep(content)
            return
        self._rest += content
        while self._step():
            pass

    def finish(self) -> None:
        """Take note that the body has ended."""
        if self._at is _At.CONTENT:
            self._keep(self._rest)
            self._end_part()
        self._at = _At.END

    def _step(self) -> bool:
        """Do what can be done with the bytes at hand; returns whether there may be more to do."""
        if self._at is _At.HEAD:
            return self._read_part_head()
        if self._at is _At.END:
            return False
        found = self._rest.find(self._delimiter)
        if found < 0:
            kept = len(self._delimiter) - 1
            if self._at is _At.CONTENT:
                self._keep(self._rest[:-kept])
            self._rest = self._rest[-kept:]
            return False
        if self._at is _At.CONTENT:
            self._keep(self._rest[:found])
            self._end_part()
        self._rest = self._rest[found + len(self._delimiter) :]
        self._at = _At.HEAD
        return True

    def _read_part_head(self) -> bool:
        if self._rest.startswith(b"--"):
            self._at = _At.END
            return False
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > _LONGEST_PART_HEAD:
                self._at = _At.END
            return False
        head, self._rest = self._rest[:end].lower(), self._rest[end + 4 :]
        self._dicom = b"content-type" not in head or b"application/dicom" in head.replace(
            b"application/dicom+", b""
        )
        self._at = _At.CONTENT
        return True

    def _keep(self, content: bytes) -> None:
        room = _SCANNED - len(self._content)
        if room > 0:
            self._content += content[:room]

    def _end_part(self) -> None:
        instance = _identify(bytes(self._content)) if self._dicom else None
        if instance is not None:
            self.instances.append(instance)
        self._content.clear()


def scanner_for(head: Head) -> StoreScanner | None:
    """Return a scanner when the request is a store, otherwise `None`."""
    if head.method != "POST" or not _STORE_PATH.fullmatch(head.target):
        return None
    return StoreScanner(head.value(b"content-type").decode("latin-1"))


def store_success(head: Head, instances: list[StoredInstance], scheme: str) -> bytes:
    """Return the body of a store answered 200 (PS3.18 section 10.5.3.2), every instance referenced."""
    match = _STORE_PATH.fullmatch(head.target)
    service = f"{scheme}://{head.value(b'host').decode('latin-1')}{match['service'] if match else ''}"
    document: dict[str, Any] = {
        "00081199": {"vr": "SQ", "Value": [_reference(service, instance) for instance in instances]}
    }
    studies = {instance.study_instance_uid for instance in instances}
    if len(studies) == 1 and "" not in studies:
        document = {"00081190": _element("UR", f"{service}/studies/{studies.pop()}"), **document}
    return json.dumps(document).encode("ascii")


def _reference(service: str, instance: StoredInstance) -> dict[str, Any]:
    item = {
        "00081150": _element("UI", instance.sop_class_uid),
        "00081155": _element("UI", instance.sop_instance_uid),
    }
    if instance.study_instance_uid and instance.series_instance_uid:
        item["00081190"] = _element(
            "UR",
            f"{service}/studies/{instance.study_instance_uid}/series/{instance.series_instance_uid}"
            f"/instances/{instance.sop_instance_uid}",
        )
    return item


def _element(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _identify(head: bytes) -> StoredInstance | None:
    """Return what the head of a Part 10 file says; what the data set does not show comes from the file meta."""
    try:
        meta = read_file_meta(head)
    except HeaderError:
        return None
    found: dict[int, bytes] = {}
    for wanted in ({_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES}, {_SOP_CLASS, _SOP_INSTANCE}):
        try:
            found = scan_part10(head, meta, frozenset(wanted))
            break
        except HeaderError:
            continue
    uids = {tag: value.rstrip(b"\0 ").decode("latin-1") for tag, value in found.items()}
    instance = uids.get(_SOP_INSTANCE) or meta.sop_instance_uid
    if not instance:
        return None
    return StoredInstance(
        uids.get(_SOP_CLASS) or meta.sop_class_uid, instance, uids.get(_STUDY, ""), uids.get(_SERIES, "")
    )
