"""Order and colours for one view, against numpy and the torch twin."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from splatting.spherical_harmonics import evaluate_colours
from splatting.view_order import DepthSorter, write_view_colours


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_order_is_that_of_numpy_and_leaves_out_what_is_behind(rng: np.random.Generator) -> None:
    means = (rng.standard_normal((5000, 3)) * [1, 1, 10.0 ** rng.uniform(-2, 3)]).astype(np.float32)
    means[100:200] = means[300:400]  # equal depths
    means[7] = np.nan
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.random(random_state=3).as_matrix(), [0.1, 0.2, 0.5]
    sorter = DepthSorter(means)
    for count in (5000, 1234, 1, 0):
        row = matrix[2].astype(np.float32)
        order = sorter.back_to_front(matrix, count=count, near=0.2)
        # The kernel may fuse multiply and add, so depths are compared and not rows.
        depth = means[:count].astype(np.float64) @ row[:3] + row[3]
        expected = np.sort(depth[depth >= 0.2])[::-1]
        assert abs(len(order) - len(expected)) <= 1
        np.testing.assert_allclose(depth[order], expected[: len(order)], rtol=1e-5, atol=1e-5)
        assert len(set(order.tolist())) == len(order)
    exact = DepthSorter(np.round(means * 16).astype(np.float32) / 16)  # no rounding along z: the same rows, too
    rounded = np.nan_to_num(np.round(means * 16) / 16, nan=-1)[:, 2]
    expected_rows = np.argsort(-rounded, kind="stable")
    expected_rows = expected_rows[rounded[expected_rows] >= 0.5]
    assert np.array_equal(exact.back_to_front(np.eye(4), near=0.5), expected_rows)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[N, 3\]"):
        DepthSorter(np.zeros((4, 2), np.float32))
    sorter = DepthSorter(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=r"\[4, 4\]"):
        sorter.back_to_front(np.eye(3))
    with pytest.raises(ValueError, match="count"):
        sorter.back_to_front(np.eye(4), count=5)
    with pytest.raises(ValueError, match="near"):
        sorter.back_to_front(np.eye(4), near=0.0)
    with pytest.raises(ValueError, match="same number"):
        write_view_colours(np.zeros((4, 3), "f4"), np.zeros((3, 1, 3), "f4"), np.zeros(3), np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_are_those_of_the_torch_twin(degree: int, rng: np.random.Generator) -> None:
    means = rng.standard_normal((101, 3)).astype(np.float32)
    sh = rng.standard_normal((101, (degree + 1) ** 2, 3)).astype(np.float32)
    center = np.array([0.3, -2.0, 1.0])
    rgbx = np.full((101, 4), 77, np.uint8)
    write_view_colours(means, sh, center, rgbx, count=100)
    directions = torch.from_numpy(means - center.astype(np.float32))
    expected = evaluate_colours(torch.from_numpy(sh), directions, degree).clamp(max=1).numpy()[:100] * 255
    assert np.abs(rgbx[:100, :3] - expected).max() <= 0.51  # rounding to a byte
    assert (rgbx[:, 3] == 77).all()
    assert (rgbx[100] == 77).all()
