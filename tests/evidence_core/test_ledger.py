from dataclasses import replace

import pytest

from fixtures.evidence.fingerprint import Fingerprint
from fixtures.evidence.ledger import Answer, Attempt, Ledger, SideReport, judge, merge


def made(uid: str, content: str = "as sent") -> Fingerprint:
    return Fingerprint(
        sop_instance_uid=uid,
        series_instance_uid="1.2.3.4",
        study_instance_uid="1.2.3",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        patient_id="P1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        dataset_digest=content,
        pixel_digest="pixels",
        frames=1,
        neutral_digest=content,
        decoded_digest="pixels",
    )


def history(**answers: int | None) -> Ledger:
    """One attempt for each name, answered with the status given."""
    ledger = Ledger()
    for uid, status in answers.items():
        ledger.attempt(made(uid), "intake")
        ledger.answer(uid, "intake", status)
    return ledger


def test_empty_history_and_empty_read_show_nothing() -> None:
    assert judge(Ledger(), "pacs", []) == SideReport("pacs", valid=None)


def test_a_side_that_must_be_empty_and_is_empty_is_valid() -> None:
    assert judge(history(a=0), "cloud", [], expected=()) == SideReport("cloud", valid=True)


def test_sane_history_is_valid() -> None:
    report = judge(history(a=0, b=0), "pacs", [made("b"), made("a")])
    assert report == SideReport("pacs", expected=("a", "b"), valid=True)


def test_every_kind_of_wrong_is_told_apart() -> None:
    ledger = history(kept=0, gone=0, twice=0, changed=0xB000, silent=None, back=None, no=0xA700)
    seen = [
        made("kept"),
        made("twice"),
        made("twice"),
        made("changed", "other"),
        made("back"),
        made("stranger"),
    ]
    assert judge(ledger, "cloud", seen) == SideReport(
        "cloud",
        expected=("changed", "gone", "kept", "twice"),
        lost=("gone",),
        unexpected=("stranger",),
        duplicated=("twice",),
        altered=("changed",),
        recovered=("back",),
        unknown=("silent",),
        valid=False,
    )


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ([], "lost"),
        ([made("a"), made("x")], "unexpected"),
        ([made("a"), made("a")], "duplicated"),
        ([made("a", "other")], "altered"),
        ([replace(made("a"), pixel_digest="other")], "altered"),
    ],
)
def test_each_wrong_alone_makes_a_side_invalid(seen: list[Fingerprint], kind: str) -> None:
    report = judge(history(a=0), "pacs", seen)
    assert report.valid is False
    wrong = [name for name in ("lost", "unexpected", "duplicated", "altered") if getattr(report, name)]
    assert wrong == [kind]


def test_side_that_was_never_read_is_unknown_though_things_are_expected() -> None:
    assert judge(history(a=0), "pacs", None) == SideReport("pacs", expected=("a",), valid=None)


def test_unanswered_attempt_is_no_fault_whether_read_or_not() -> None:
    ledger = history(a=0, b=None)
    assert judge(ledger, "pacs", [made("a")]).unknown == ("b",)
    assert judge(ledger, "pacs", [made("a")]).valid is True
    assert judge(ledger, "pacs", [made("a"), made("b")]).recovered == ("b",)
    assert judge(ledger, "pacs", [made("a"), made("b")]).valid is True


def test_only_refusals_and_nothing_read_show_nothing() -> None:
    assert judge(history(a=0xA700, b=0xC000), "pacs", []).valid is None


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 200])
def test_success_and_storage_warnings_acknowledge(status: int) -> None:
    assert history(a=status).acknowledged() == {"a"}


@pytest.mark.parametrize("status", [None, 0xA700, 0xA900, 0xC000, 0x0110, 45070, 202, 409, 500])
def test_other_statuses_do_not_acknowledge(status: int | None) -> None:
    assert history(a=status).acknowledged() == frozenset()


def test_later_acknowledgement_outweighs_an_earlier_refusal() -> None:
    ledger = history(a=0xA700)
    ledger.answer("a", "intake", 0)
    assert judge(ledger, "pacs", []).lost == ("a",)


def test_expected_says_what_belongs_on_a_side() -> None:
    report = judge(history(a=0, b=0), "cloud", [made("a"), made("b")], expected=["a"])
    assert (report.expected, report.unexpected, report.valid) == (("a",), ("b",), False)


def test_expecting_what_was_never_attempted_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="never attempted"):
        judge(history(a=0), "cloud", [], expected=["a", "b"])


def test_answer_without_attempt_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="never attempted"):
        Ledger().answer("a", "intake", 0)


def test_ways_are_kept_apart() -> None:
    ledger = history(a=0)
    ledger.attempt(made("a"), "pacs")
    ledger.answer("a", "pacs", 0xA700)
    assert ledger.acknowledged("intake") == {"a"}
    assert ledger.acknowledged("pacs") == frozenset()
    assert ledger.history == (
        Attempt(made("a"), "intake"),
        Answer("a", "intake", 0),
        Attempt(made("a"), "pacs"),
        Answer("a", "pacs", 0xA700),
    )


def test_either_content_sent_under_one_uid_is_unaltered() -> None:
    ledger = history(a=0)
    ledger.attempt(made("a", "second"), "intake")
    assert judge(ledger, "pacs", [made("a", "second")]).valid is True
    assert judge(ledger, "pacs", [made("a")]).valid is True
    assert judge(ledger, "pacs", [made("a", "third")]).altered == ("a",)


def test_description_names_the_first_twenty_and_counts_the_rest() -> None:
    ledger = history(**{f"u{n:02d}": 0 for n in range(23)})
    text = judge(ledger, "pacs", []).describe()
    assert "pacs: NOT as it should be, 23 instances expected" in text
    assert "lost (23):" in text
    assert "u19" in text
    assert "u20" not in text
    assert text.endswith("... and 3 more")


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [([], None), ([True], True), ([True, None], None), ([None, False, True], False), ([True, True], True)],
)
def test_merge_keeps_the_worst(verdicts: list[bool | None], merged: bool | None) -> None:
    reports = [SideReport("pacs", valid=verdict) for verdict in verdicts]
    assert merge("pacs", reports).valid is merged


def test_merge_unites_the_uids() -> None:
    both = [
        SideReport("a", lost=("1", "2"), valid=False),
        SideReport("b", lost=("2",), unknown=("3",), valid=False),
    ]
    assert merge("both", both) == SideReport("both", lost=("1", "2"), unknown=("3",), valid=False)
