"""What counts as an answer that a check cannot read, and what stays a fault of the harness."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.clients.answers import NoAnswer, Response, UnexpectedStatus
from fixtures.clients.multipart import read
from suites.azure.searching import uids
from suites.azure.stow import items
from suites.azure.unreadable import misread
from suites.azure.updates import opened

ANSWER = Response(200, (), b"not what you think")


def raised(action: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what the test is about
        action()
    return caught.value


@pytest.mark.parametrize(
    "action",
    [
        ANSWER.json,
        lambda: list(read("text/plain", [b""])),
        lambda: uids([{}], "0020000D"),
        lambda: opened(b"no file"),
        lambda: items(Response(200, (), b"[]"), "00081198"),
    ],
    ids=["no JSON", "no multipart", "a member is missing", "no DICOM file", "a list for an object"],
)
def test_answers_that_cannot_be_read(action: Callable[[], object]) -> None:
    assert misread(raised(action))


def test_what_the_clients_say() -> None:
    assert misread(UnexpectedStatus("GET /x", ANSWER))
    assert misread(NoAnswer("GET /x", "receiving", ConnectionResetError()))
    assert not misread(NoAnswer("GET /x", "connecting", ConnectionRefusedError()))


def nothing() -> Any:
    return None


@pytest.mark.parametrize(
    "action", [lambda: os.environ["NOT THERE"], lambda: json.loads("{"), lambda: nothing()["member"]]
)
def test_faults_outside_a_check(action: Callable[[], object]) -> None:
    """The same exceptions, raised by code that reads no answers of the service."""
    assert not misread(raised(action))


def test_an_assertion_is_one_already() -> None:
    assert not misread(AssertionError("wrong"))
