"""DIMSE status values and what class each belongs to (PS3.7 annex C, PS3.4 B.2.3, C.4.1.1.4 and C.4.2.1.5)."""

from dataclasses import dataclass
from typing import Final

COMMENT_LENGTH: Final = 64

SUCCESS: Final = 0x0000
PENDING: Final = 0xFF00
PENDING_WITH_WARNING: Final = 0xFF01
CANCELLED: Final = 0xFE00
NOT_AUTHORISED: Final = 0x0124
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNISED_OPERATION: Final = 0x0211
OUT_OF_RESOURCES: Final = 0xA700
OUT_OF_RESOURCES_MATCHES: Final = 0xA701
OUT_OF_RESOURCES_SUB_OPERATIONS: Final = 0xA702
MOVE_DESTINATION_UNKNOWN: Final = 0xA801
DATA_SET_MISMATCH: Final = 0xA900
SUB_OPERATIONS_WITH_FAILURES: Final = 0xB000
CANNOT_UNDERSTAND: Final = 0xC000

_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a DIMSE response with its explanation.

    `comment` is Error Comment (0000,0902), cut to 64 characters; `offending_elements` are tags for (0000,0901).
    """

    code: int
    comment: str = ""
    offending_elements: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.code <= 0xFFFF:
            message = f"a DIMSE status has 16 bits, not {self.code:#x}"
            raise ValueError(message)
        if len(self.comment) > COMMENT_LENGTH:
            object.__setattr__(self, "comment", self.comment[:COMMENT_LENGTH])

    @property
    def is_success(self) -> bool:
        """The operation was done as asked."""
        return self.code == SUCCESS

    @property
    def is_pending(self) -> bool:
        """More responses follow (FF00, FF01)."""
        return self.code in {PENDING, PENDING_WITH_WARNING}

    @property
    def is_warning(self) -> bool:
        """Done, with something to note: Bxxx and the warnings of PS3.7 annex C."""
        return self.code in _WARNINGS or self.code & 0xF000 == 0xB000

    @property
    def is_cancelled(self) -> bool:
        """The operation ended because of C-CANCEL."""
        return self.code == CANCELLED

    @property
    def is_failure(self) -> bool:
        """Not done."""
        return not (self.is_success or self.is_pending or self.is_warning or self.is_cancelled)

    def __str__(self) -> str:
        return f"{self.code:04X} {self.comment}".rstrip()


OK: Final = Status(SUCCESS)
