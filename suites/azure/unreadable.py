"""What a check could not read in an answer is the service's failure, and a precondition that fails blocks the check.

The verdicts' rule (docs/verdicts.md) is that only an assertion blames the product. The checks of this suite take answers
apart as they go: a member that is missing, a body that is no JSON, a status without which a client cannot go on. On the
reference service that never happens; on another one it says something about that service, not about the harness.
"""

import re
from pathlib import Path
from types import TracebackType

from pydicom.errors import InvalidDicomError
from requests import HTTPError

from fixtures.clients.answers import NoAnswer, UnexpectedStatus

_CHECKOUT = Path(__file__).parents[2]
_SUITE, _CLIENTS = Path("suites/azure"), Path("fixtures/clients")
_MAKERS = frozenset({"data.py", "conftest.py", "service.py"})
"""What these raise is about the harness: they read no answers."""
_OTHER_SHAPE = re.compile(r"'(NoneType|list|dict|str|int|float|bool)' object|indices must be|not iterable")
"""The words of Python for JSON that has another shape than the check takes it to have."""


def misread(error: BaseException) -> bool:
    """Tell whether an exception says that an answer was not what the check needs, or did not come to its end."""
    if isinstance(error, NoAnswer):
        return error.phase != "connecting"
    if isinstance(error, UnexpectedStatus | HTTPError):
        return True
    if isinstance(error, TypeError | AttributeError):
        return _in_a_check(error.__traceback__) and _OTHER_SHAPE.search(str(error)) is not None
    unread = isinstance(error, LookupError | ValueError | InvalidDicomError)
    return unread and _in_a_check(error.__traceback__)


def _in_a_check(traceback: TracebackType | None) -> bool:
    """Whether the innermost frame of this checkout belongs to a check, or to a client that takes an answer apart."""
    innermost = Path()
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if path.is_relative_to(_CHECKOUT) and not path.is_relative_to(_CHECKOUT / ".local"):
            innermost = path.relative_to(_CHECKOUT)
        traceback = traceback.tb_next
    if innermost.name in _MAKERS:
        return False
    return innermost.is_relative_to(_SUITE) or innermost.is_relative_to(_CLIENTS)
