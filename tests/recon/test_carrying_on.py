"""Carrying on changes nothing that is known and invents no values."""

import numpy as np
import pytest

from recon.carrying_on import carried_nearest, carried_smoothly


def test_filling_keeps_known_pixels_and_constants() -> None:
    values = np.random.default_rng(0).random((37, 53, 2)).astype(np.float32)
    known = np.random.default_rng(1).random((37, 53)) < 0.3
    filled = carried_smoothly(values, known)
    np.testing.assert_allclose(filled[known], values[known], atol=1e-6)
    assert filled.min() >= values[known].min() - 1e-6
    assert filled.max() <= values[known].max() + 1e-6
    np.testing.assert_allclose(carried_smoothly(np.full_like(values, 0.25), known), 0.25, atol=1e-6)


def test_the_nearest_known_value_is_taken() -> None:
    values = np.arange(12, dtype=np.float32).reshape(1, 12)
    known = np.isin(values, (2, 9))
    assert carried_nearest(values, known).ravel().tolist() == pytest.approx([2] * 6 + [9] * 6)
