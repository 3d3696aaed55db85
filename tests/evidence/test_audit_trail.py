"""The router's audit trail as evidence: a chain that notices, and what it says each place has."""

from typing import Any

import orjson
import pytest

from fixtures.evidence.audit import broken_at, digest, told_by
from systems.router.store.audit import GENESIS, chained

Line = dict[str, Any]


def trail(*facts: Line) -> list[Line]:
    """Lines as the router makes them."""

    at, lines = (0, GENESIS), []
    for number, fact in enumerate(facts):
        line, at = chained(at, fact.pop("event"), float(number), fact)
        lines.append(orjson.loads(line))
    return lines


def three() -> list[Line]:
    return trail({"event": "received"}, {"event": "delivered", "reason": "späť"}, {"event": "operator pause"})


def test_the_routers_own_lines_hold() -> None:
    lines = three()
    assert broken_at(lines, upto=lines[-1]) == ""
    assert broken_at(lines[1:], after=lines[0]) == ""


@pytest.mark.parametrize("place", range(3))
def test_every_change_and_removal_is_noticed(place: int) -> None:
    lines = three()
    last = lines[-1]
    changed = {**lines[place], "event": "another"}
    for other in (changed, {**changed, "hash": digest(changed)}):
        tampered = [*lines[:place], other, *lines[place + 1 :]]
        assert broken_at(tampered, after=None, upto=last) or place == 0
        assert broken_at([*tampered], after={"seq": 0, "hash": GENESIS}, upto=last)
    rest = [*lines[:place], *lines[place + 1 :]]
    assert broken_at(rest, after={"seq": 0, "hash": GENESIS}, upto=last)


def test_what_each_place_has_follows_from_the_lines() -> None:
    told = told_by(
        [
            {"event": "received", "sop_instance_uid": "1", "destinations": ["P", "C"]},
            {"event": "delivered", "sop_instance_uid": "1", "destination": "P"},
            {"event": "dead-lettered", "sop_instance_uid": "1", "destination": "C"},
            {"event": "dead-lettered", "sop_instance_uid": "2", "destination": "C"},
            {"event": "delivered", "sop_instance_uid": "1", "destination": "C"},
            {"event": "migrated", "sop_instance_uid": "3"},
            {"event": "prefetched", "sop_instance_uids": ["4", "5"]},
            {"event": "retrieved", "sop_instance_uids": ["6"], "destination": "W"},
            {"event": "removed from the PACS", "sop_instance_uids": ["1", "4"]},
            {"event": "operator pause", "destination": "C"},
        ],
        pacs="P",
        cloud="C",
    )
    assert (told.at("P"), told.at("C"), told.at("W")) == ({"5"}, {"1", "3"}, {"6"})
    assert told.given_up["C"] == {"2"}
