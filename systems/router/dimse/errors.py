"""What can go wrong between two DICOM application entities; every message says what was asked and what happened."""

from typing import Final

_REJECTION_REASONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


class DimseError(Exception):
    """Base of all errors of this package."""


class ProtocolError(DimseError):
    """The peer sent what the upper layer protocol does not allow.

    `reason` is the A-ABORT reason of PS3.8 table 9-26 that answers it.
    """

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason


class AssociationRefused(DimseError):  # noqa: N818
    """No connection: nobody listens there, the host is unknown, or TLS failed."""


class AssociationRejected(DimseError):  # noqa: N818
    """The peer answered A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    def __init__(self, peer: str, result: int, source: int, reason: int) -> None:
        kind = "for now" if result == 2 else "permanently"
        why = _REJECTION_REASONS.get((source, reason), "unknown reason")
        super().__init__(f"{peer} rejected the association {kind}: {why} ({result}/{source}/{reason})")
        self.result = result
        self.source = source
        self.reason = reason


class AssociationTimedOut(DimseError):  # noqa: N818
    """The peer did not answer the connection or the association request in time."""


class AssociationAborted(DimseError):  # noqa: N818
    """The association ended without a release: A-ABORT, a lost connection, or a stop on our side."""


class NoAnswer(DimseError):  # noqa: N818
    """A request was sent, or begun, and no usable response came back: the outcome is unknown, never a success."""


class ContextNotAccepted(DimseError):  # noqa: N818
    """The peer accepted no presentation context for this SOP class in this transfer syntax."""

    def __init__(self, sop_class_uid: str, transfer_syntax_uid: str = "") -> None:
        encoding = f" in transfer syntax {transfer_syntax_uid}" if transfer_syntax_uid else ""
        super().__init__(f"the peer accepted no presentation context for SOP class {sop_class_uid}{encoding}")
        self.sop_class_uid = sop_class_uid
        self.transfer_syntax_uid = transfer_syntax_uid
