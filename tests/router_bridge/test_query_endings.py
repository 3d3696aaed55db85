"""C-FIND from QIDO-RS: pages and the ceiling, and how failures, silence and C-CANCEL end."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from systems.router.bridge.cloud import (
    CloudError,
    CloudGarbled,
    CloudRefused,
    CloudUnauthorised,
    CloudUnreachable,
)
from systems.router.bridge.search import SearchLimits
from tests.router_bridge.asking import JULE, find, request, uids
from tests.router_bridge.fake_cloud import FakeCloud, study


def test_all_pages_are_followed_and_repeated_matches_are_given_once() -> None:
    many = [study(f"1.2.{n}", "N", "P") for n in range(450)]
    cloud = FakeCloud(*many)
    plain = cloud.search

    async def shifting(
        resource: str, params: Sequence[tuple[str, str]], *, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        return await plain(resource, params, limit=limit, offset=max(0, offset - 3))

    cloud.search = shifting  # type: ignore[method-assign]

    found, _, final = find(cloud, request("STUDY"))

    assert len(uids(found)) == len(set(uids(found))) == 450
    assert (len(cloud.searches), final.code) == (3, 0)


def test_more_matches_than_the_ceiling_are_a_failure() -> None:
    cloud = FakeCloud(*(study(f"1.2.{n}", "N", "P") for n in range(30)))

    assert find(cloud, request("STUDY"), limits=SearchLimits(1, 3, 20))[2].code == 0xA700


@pytest.mark.parametrize(
    ("error", "code", "attempts"),
    [
        (CloudUnreachable("x"), 0xC101, 1),
        (CloudUnauthorised("x"), 0xC102, 1),
        (CloudGarbled("x"), 0xC103, 1),
        (CloudRefused(400), 0xA900, 1),
        (CloudRefused(404), 0xC001, 1),
        (CloudRefused(503), 0xA700, 3),
        (CloudRefused(429, retry_after=60), 0xA700, 1),
    ],
)
def test_failures_end_with_their_status_never_with_an_empty_list(
    error: CloudError, code: int, attempts: int
) -> None:
    cloud = FakeCloud(JULE)
    cloud.failure = lambda _: error

    found, _, final = find(cloud, request("STUDY"))

    assert (found, final.code, len(cloud.searches)) == ([], code, attempts)


def test_a_failure_after_some_pages_is_still_a_failure() -> None:
    cloud = FakeCloud(*(study(f"1.2.{n}", "N", "P") for n in range(300)))
    cloud.failure = lambda call: CloudUnreachable("gone") if call > 1 else None

    found, _, final = find(cloud, request("STUDY"))

    assert (len(found), final.code) == (200, 0xC101)


def test_a_transient_refusal_is_asked_again() -> None:
    cloud = FakeCloud(JULE)
    cloud.failure = lambda call: CloudRefused(503) if call == 1 else None

    found, _, final = find(cloud, request("STUDY"))

    assert (len(found), final.code) == (1, 0)


def test_silence_ends_within_the_bound() -> None:
    cloud = FakeCloud(JULE)

    async def silent(*_: Any, **__: Any) -> list[dict[str, Any]]:
        await asyncio.Event().wait()
        return []

    cloud.search = silent  # type: ignore[method-assign]

    assert find(cloud, request("STUDY"), bound=lambda _: 0.1)[2].code == 0xC101


def test_cancel_ends_with_fe00() -> None:
    asked = request("STUDY")
    asked.cancelled.set()

    assert find(FakeCloud(JULE), asked)[2].code == 0xFE00
