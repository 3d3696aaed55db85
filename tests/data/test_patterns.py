"""CLAIM-ONPREM-03: a rendering correlates with its own frame and with no other one."""

import numpy as np
import pytest

from fixtures.data import patterns


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (96, 128)])
def test_frames_of_a_series_do_not_look_alike(size: tuple[int, int]) -> None:
    frames = [patterns.frame(*size, seed=111, number=n).ravel() for n in range(40)]
    correlation = np.corrcoef(frames) - np.eye(len(frames))
    assert np.abs(correlation).max() < 0.5


def test_series_do_not_look_alike() -> None:
    frames = [patterns.frame(96, 96, seed=seed, number=0).ravel() for seed in range(101, 840, 10)]
    correlation = np.corrcoef(frames) - np.eye(len(frames))
    assert np.abs(correlation).max() < 0.8


@pytest.mark.parametrize("number", range(12))
def test_turned_and_mirrored_frames_show(number: int) -> None:
    image = patterns.frame(128, 128, seed=111, number=number)
    for other in (image[::-1], image[:, ::-1], np.rot90(image), np.rot90(image, 2), image.T):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] < 0.9


def test_frames_are_deterministic_and_within_range() -> None:
    one, other = (patterns.frame(64, 80, seed=5, number=3) for _ in range(2))
    assert np.array_equal(one, other)
    assert one.shape == (64, 80)
    assert 0 <= one.min() < one.max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (17, 9), (2048, 16)])
def test_any_matrix_has_a_pattern(size: tuple[int, int]) -> None:
    assert patterns.frame(*size, seed=1, number=0).shape == size
