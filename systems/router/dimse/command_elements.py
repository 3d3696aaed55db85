"""The elements of DIMSE command sets by their number in group 0000, and how they are packed (PS3.7 annex E)."""

from struct import Struct
from typing import Final

NO_DATA_SET: Final = 0x0101
DATA_SET: Final = 0x0001
MEDIUM_PRIORITY: Final = 0

AFFECTED_CLASS: Final = 0x0002
REQUESTED_CLASS: Final = 0x0003
FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
RESPONDED_TO: Final = 0x0120
MOVE_DESTINATION: Final = 0x0600
PRIORITY: Final = 0x0700
DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
OFFENDING_ELEMENT: Final = 0x0901
ERROR_COMMENT: Final = 0x0902
AFFECTED_INSTANCE: Final = 0x1000
REQUESTED_INSTANCE: Final = 0x1001
EVENT_TYPE_ID: Final = 0x1002
ACTION_TYPE_ID: Final = 0x1008
REMAINING: Final = 0x1020
COMPLETED: Final = 0x1021
FAILED: Final = 0x1022
WARNING: Final = 0x1023
MOVE_ORIGINATOR: Final = 0x1030
MOVE_ORIGINATOR_ID: Final = 0x1031

HEADER: Final = Struct("<HHL")
US: Final = Struct("<H")
AT: Final = Struct("<HH")
GROUP_LENGTH: Final = Struct("<HHLL")
