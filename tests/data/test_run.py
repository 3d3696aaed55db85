import re

import pytest

from fixtures.data import Run


def test_same_id_gives_the_same_names_and_another_id_others() -> None:
    assert Run("a").uid_root == Run("a").uid_root
    assert Run("a").uid_root != Run("b").uid_root
    assert Run("a").patient_id_prefix != Run("b").patient_id_prefix
    assert Run.new().run_id != Run.new().run_id


def test_names_are_valid_and_of_fixed_width() -> None:
    for n in range(200):
        run = Run(f"run {n}")
        assert re.fullmatch(r"2\.25\.[1-9]\d{25}", run.uid_root)
        assert re.fullmatch(r"ICC-[0-9A-F]{12}-", run.patient_id_prefix)


def test_largest_names_of_a_scene_fit() -> None:
    run = Run("large")
    assert len(run.uid(999_999_999, 8, 3, 99, 9_999_999)) <= 64
    assert len(run.patient_id(999_999_999, 99)) <= 64
    assert len(run.accession_number(1, 2, 3)) == 16


def test_too_long_uid_is_refused() -> None:
    with pytest.raises(ValueError, match="64 characters"):
        Run("large").uid(10**30, 10**30)


def test_negative_component_is_refused() -> None:
    with pytest.raises(ValueError, match="natural"):
        Run("x").uid(-1)
