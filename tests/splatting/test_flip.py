"""FLIP against NVIDIA's own: the means below are `flip_evaluator.evaluate(target, rgb, "LDR")` 1.7 at its usual ppd."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from splatting.flip import PIXELS_PER_DEGREE, flip

Y, X = np.mgrid[0:48, 0:64]
WAVES = np.stack([0.5 + 0.5 * np.sin(X / 5), 0.5 + 0.5 * np.cos(Y / 7), 0.5 + 0.5 * np.sin((X + Y) / 9)], -1)
MOVED = np.stack([0.5 + 0.5 * np.sin((X + 1) / 5), 0.5 + 0.5 * np.cos(Y / 7), 0.5 + 0.4 * np.sin((X + Y) / 9)], -1)
BLACK, GREEN, BLUE = (np.tile(colour, (30, 30, 1)) for colour in ([0.0, 0, 0], [0.0, 1, 0], [0.0, 0, 1]))


@pytest.mark.parametrize(
    ("rgb", "target", "expected"),
    [
        (MOVED, WAVES, 0.2467572),
        (gaussian_filter(WAVES, (2, 2, 0)), WAVES, 0.1497978),
        (BLACK, 1 - BLACK, 0.9673935),
        (BLUE, GREEN, 1.0),
        (WAVES, WAVES, 0.0),
    ],
)
def test_the_mean_is_that_of_the_authors_own_program(
    rgb: NDArray[np.float64], target: NDArray[np.float64], expected: float
) -> None:
    # It computes in float32.
    assert flip(rgb, target).mean() == pytest.approx(expected, abs=2e-5)


def test_it_does_not_matter_which_picture_comes_first() -> None:
    np.testing.assert_allclose(flip(MOVED, WAVES), flip(WAVES, MOVED), atol=1e-12)


def test_noise_too_fine_for_the_eye_counts_less_than_the_same_as_blotches() -> None:
    noise = 0.3 * (np.random.default_rng(0).random((64, 64, 1)) - 0.5)
    blotches = gaussian_filter(noise, (6, 6, 0))
    blotches *= noise.std() / blotches.std()
    grey = np.full((64, 64, 3), 0.5)
    assert flip(grey + noise, grey).mean() < 0.7 * flip(grey + blotches, grey).mean()


def test_errors_stay_where_they_are() -> None:
    spoiled = WAVES.copy()
    spoiled[10:14, 20:24] = 1
    error = flip(spoiled, WAVES)
    assert error[10:14, 20:24].mean() > 0.3
    assert error[:, 45:].max() == 0


def test_pictures_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"target must be \[48, 64, 3\]"):
        flip(WAVES, BLACK)


def test_the_screen_is_the_paper_s() -> None:
    assert pytest.approx(67.0206, abs=1e-3) == PIXELS_PER_DEGREE
