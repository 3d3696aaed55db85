"""What black-box tests of work items cannot see: restarts, kill -9, and rules that name every attribute they should."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from systems.dicom_service.storage import schema
from systems.dicom_service.workitems import index, rule_tables, states
from systems.dicom_service.workitems.items import element, is_empty
from systems.dicom_service.workitems.rules import Broken, Need, Rule, check, rules
from systems.dicom_service.workitems.states import CANCELED, COMPLETED, IN_PROGRESS, SCHEDULED
from tests.dicom_service.conftest import Answer, Service, Starter

_JSON = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}


def _minimal(rule_table: tuple[Rule, ...]) -> dict[str, Any]:
    """Return a work item with a value wherever one is required, an empty element where presence is enough."""
    item: dict[str, Any] = {}
    for rule in rule_table:
        if rule.need is Need.VALUE:
            item[rule.key] = element("SQ", _minimal(rule.below)) if rule.below else element("LO", "1.2.3")
        elif rule.need in (Need.PRESENT, Need.BLANK):
            item[rule.key] = element("LO")
    return item


def _send(service: Service, method: str, path: str, item: dict[str, Any]) -> Answer:
    return service.request(method, f"/v2/workitems{path}", json.dumps([item]).encode(), _JSON)


def _claim(service: Service, uid: str) -> Answer:
    item = {"00081195": element("UI", "1.2.3"), "00741000": element("CS", IN_PROGRESS)}
    return _send(service, "PUT", f"/{uid}/state", item)


@pytest.mark.parametrize("kill", [False, True])
def test_acknowledged_changes_survive(starter: Starter, tmp_path: Path, kill: bool) -> None:
    """Work items, their states and their locks are there after a restart, also after SIGKILL."""
    uid = generate_uid()
    first = starter(tmp_path / "data")
    minimal = {key: entry for key, entry in _minimal(rule_tables.CREATE).items() if key != "00080018"}
    assert _send(first, "POST", f"?{uid}", minimal).status == 201
    assert _claim(first, uid).status == 200
    if kill:
        first.process.kill()
        first.process.wait()
    else:
        assert first.stop() == 0
    second = starter(tmp_path / "data")
    assert second.get(f"/v2/workitems/{uid}").json()["00741000"] == element("CS", IN_PROGRESS)
    assert b"C302" in _claim(second, uid).body, "the lock is the one of before"
    assert len(second.get("/v2/workitems?ProcedureStepState=IN%20PROGRESS").json()) == 1


def test_a_store_from_before_work_items_gets_their_tables(tmp_path: Path) -> None:
    """An index without the tables is completed when it is opened."""
    path = tmp_path / "index.sqlite"
    schema.create(path)
    connection = schema.connect(path)
    connection.execute("DROP TABLE workitem_value")
    connection.execute("DROP TABLE workitem")
    connection.close()
    schema.create(path)
    connection = schema.connect(path)
    assert connection.execute("SELECT COUNT(*) FROM workitem").fetchone() == (0,)
    connection.close()


def test_every_rule_bites() -> None:
    """Of a work item that satisfies the create rules, each required attribute is missed when it is taken away."""
    whole = _minimal(rule_tables.CREATE)
    check(whole, rule_tables.CREATE)
    for key in whole:
        with pytest.raises(Broken, match=rf"\({key[:4].lower()},{key[4:].lower()}\)"):
            check({other: entry for other, entry in whole.items() if other != key}, rule_tables.CREATE)


def test_no_attribute_has_two_rules() -> None:
    """A second rule for the same attribute at the same place would hide the first."""
    for table in (rule_tables.CREATE, rule_tables.UPDATE, *rule_tables.FINAL.values()):
        pending = [table]
        while pending:
            level = pending.pop()
            keys = [rule.key for rule in level]
            assert sorted(set(keys)) == sorted(keys)
            pending += [rule.below for rule in level]


def test_misspelt_rules_are_found_at_once() -> None:
    """Unknown keywords and items of sequences nobody names are errors of the program, not silent."""
    with pytest.raises(KeyError):
        rules("1 NoSuchKeyword")
    with pytest.raises(KeyError):
        rules("1 PatientID", below={"PatientSex": ()})


@pytest.mark.parametrize(
    ("current", "lock", "target", "uid", "code"),
    [
        (SCHEDULED, None, IN_PROGRESS, "1", ""),
        (SCHEDULED, None, COMPLETED, "1", "C301"),
        (IN_PROGRESS, "1", IN_PROGRESS, "1", "C302"),
        (IN_PROGRESS, "1", COMPLETED, "1", ""),
        (IN_PROGRESS, "1", CANCELED, "2", "C301"),
        (COMPLETED, "1", COMPLETED, "1", "B306"),
        (COMPLETED, "1", CANCELED, "1", "C300"),
        (COMPLETED, "1", COMPLETED, "2", "C301"),
        (CANCELED, "1", CANCELED, "1", "B304"),
        (CANCELED, None, IN_PROGRESS, "1", "C300"),
        (CANCELED, None, CANCELED, "1", "C301"),
    ],
)
def test_transitions(current: str, lock: str | None, target: str, uid: str, code: str) -> None:
    """The table of PS3.4 CC.1.1-2 as the original reads it (UPS-038 to UPS-047)."""
    outcome = states.transition(current, lock, target, uid)
    assert outcome.error + outcome.warning == code


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024", "20240101000000.000000"),
        ("20240229", "20240229000000.000000"),
        ("20240102093000.5", "20240102093000.500000"),
        ("20230229", None),
        ("20240102093000.1234567", None),
        ("٢٠٢٤", None),
        ("", None),
    ],
)
def test_moments(value: str, moment: str | None) -> None:
    """Date-times compare in one length; what is none is refused (UPS-062)."""
    assert index.moment(value) == moment


@pytest.mark.parametrize(
    ("entry", "empty"),
    [
        (element("SQ"), True),
        (element("SQ", {}), False),
        (element("LO", ""), True),
        (element("LO", None), True),
        (element("LO", "", ""), False),
        (element("PN", {"Alphabetic": ""}), True),
        (element("PN", {"Ideographic": "name"}), False),
        (element("US", 0), False),
        ({"vr": "OB", "InlineBinary": ""}, True),
        ({"vr": "OB", "BulkDataURI": "x"}, False),
    ],
)
def test_emptiness(entry: dict[str, Any], empty: bool) -> None:
    """An element without a value, or with a single blank one, is empty."""
    assert is_empty(entry) is empty
