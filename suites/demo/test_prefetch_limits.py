"""The prefetch brings all priors by default, and those that limits leave (CLAIM-PREFETCH-06)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from fixtures.data import Study
from fixtures.traceability import needs, requirement
from fixtures.world import World
from fixtures.world.orders import fetched_since, order_for, run
from fixtures.world.router_file import with_keys
from suites.demo.matching import value_of

pytestmark = [pytest.mark.demo, needs("prefetch", "router-admin", "http-interposer", "control")]

_KINDS = (("CT", "CHEST"), ("MR", "HEAD"), ("CR", "CHEST"), ("CT", "ABDOMEN"), ("DX", ""))
_YEARS = (2009, 2021, 1994, 2016, 2003, 2022, 1987, 2012, 2019, 1999)
"""Neither rising nor falling, so that the first or last stored are not the newest."""
_MOST, _DAYS = 3, 3653
Rule = Callable[[Sequence[Study]], list[Study]]


@dataclass(frozen=True)
class Limit:
    """A limit as the router's file has it, and what it leaves of the studies."""

    name: str
    leaves: Rule
    keys: dict[str, str] = field(default_factory=dict)
    noted: Rule = field(default=lambda _: [])
    """The studies of which it cannot be told whether the limit holds: kept, with a note."""


def _young(studies: Sequence[Study]) -> list[Study]:
    oldest = f"{datetime.now(UTC).date() - timedelta(days=_DAYS):%Y%m%d}"
    return [study for study in studies if study.study_date >= oldest]


def _newest(studies: Sequence[Study]) -> list[Study]:
    return sorted(studies, key=lambda study: study.study_date)[-_MOST:]


def _without_part(studies: Sequence[Study]) -> list[Study]:
    return [study for study in studies if not value_of(study, "BodyPartExamined")]


LIMITS = (
    Limit("count", _newest, {"prefetch.priors.max_count": f"{_MOST}"}),
    Limit("age", _young, {"prefetch.priors.max_age_days": f"{_DAYS}"}),
    Limit(
        "modality",
        lambda studies: [study for study in studies if study.modality == "CT"],
        {"prefetch.priors.modalities": '["CT"]'},
    ),
    Limit(
        "body part",
        lambda studies: [s for s in studies if value_of(s, "BodyPartExamined") in ("CHEST", "")],
        {"prefetch.priors.body_parts": '["CHEST"]'},
        _without_part,
    ),
    Limit(
        "the ordered study",
        lambda studies: list(studies[1:]),
        {"prefetch.priors.exclude_ordered": "true"},
    ),
    Limit("none", list),
)


def _priors(world: World) -> list[Study]:
    """Twenty studies of one patient of various ages, modalities and body parts; some say nothing of the body part."""
    made = []
    for number in range(20):
        modality, part = _KINDS[number % len(_KINDS)]
        date = f"{_YEARS[number % len(_YEARS)] - 1}{number % 12 + 1:02d}15"
        study = world.series(
            instances=1, matrix=8, modality=modality, study_date=date, patient=world.cast.patient(2)
        )
        made.append(world.with_attributes(study, BodyPartExamined=part))
    return made


@requirement("CLAIM-PREFETCH-06")
@pytest.mark.lasting(8)
def test_limits_leave_the_studies_that_they_say(world: World) -> None:
    """Of twenty priors each limit brings exactly those that it leaves, and no limit brings all.

    CLAIM-PREFETCH-06. A study that does not say its body part is kept with a note, not dropped in silence.
    """
    studies = _priors(world)
    world.store_in_cloud(studies)
    order = order_for(studies[0].patient, more=f"IPC|A1|P1|{studies[0].study_instance_uid}|S1|CT\r")
    counts: dict[str, int] = {}
    for limit in LIMITS:
        mark, wanted = world.link_mark(), limit.leaves(studies)
        # Without a window, so that the same order is a run of its own each time.
        keys = {"prefetch.window_seconds": "0", **limit.keys}
        with world.router_settings(partial(with_keys, keys=keys)):
            found = run(world, order)
        assert found["state"] == "done", f"CLAIM-PREFETCH-06, {limit.name}: {found}"
        fetched = fetched_since(world, mark)
        assert fetched == world.sop_uids(wanted), (
            f"CLAIM-PREFETCH-06, {limit.name}: {len(fetched)} fetched, {len(wanted)} wanted, "
            f"{len(fetched & world.sop_uids(wanted))} of them rightly"
        )
        assert world.pacs_study_uids() == world.uids(wanted), f"CLAIM-PREFETCH-06, {limit.name}"
        _expect_reasons(found["studies"], studies, wanted, limit)
        counts[limit.name] = len(wanted)
        if limit.keys:
            for study in wanted:
                world.pacs.delete_study(study.study_instance_uid)
    assert len(set(counts.values())) > 3, f"the limits leave too nearly the same: {counts}"
    world.expect("pacs", studies)
    shown = ", ".join(f"{name}: {count}" for name, count in counts.items())
    world.evidence.note(f"Of {len(studies)} priors those were fetched that each limit leaves ({shown}).")


def _expect_reasons(
    rows: Sequence[dict[str, str]], studies: Sequence[Study], wanted: Sequence[Study], limit: Limit
) -> None:
    """What was left out has a reason, and what could not be judged has a note."""
    said = {row["study_instance_uid"]: (row["outcome"], row["reason"]) for row in rows}
    silent = [
        study for study in studies if study not in wanted and said[study.study_instance_uid][0] != "left out"
    ]
    assert not silent, f"CLAIM-PREFETCH-06, {limit.name}: left out without a word: {silent}"
    unnoted = [study for study in limit.noted(studies) if not said[study.study_instance_uid][1]]
    assert not unnoted, f"CLAIM-PREFETCH-06, {limit.name}: kept without a note: {len(unnoted)} of {said}"
