"""What no photo shows is taken out only where it fills no gap."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from splatting.gaussians import Gaussians
from splatting.unseen import REACH, beyond_the_seen

SIZE = 0.1


def gaussians_at(means: torch.Tensor) -> Gaussians:
    """Needles as long as SIZE and a tenth as thick."""
    n = len(means)
    log_scales = torch.tensor([SIZE / 10, SIZE, SIZE / 10]).log().repeat(n, 1)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    return Gaussians(means, log_scales, quats, torch.zeros(n), torch.zeros(n, 1, 3))


def wall() -> torch.Tensor:
    x, y = np.meshgrid(np.arange(0, 2, SIZE), np.arange(0, 2, SIZE))
    return torch.tensor(np.stack([x, y, np.full_like(x, 5)], -1).reshape(-1, 3), dtype=torch.float32)


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_a_sheet_past_a_wall_goes_and_what_thickens_the_wall_stays(unit: float) -> None:
    front = wall()
    behind = front + torch.tensor([0.0, 0.0, 0.5 * REACH * SIZE])
    sheet = front + torch.tensor([0.0, 2.0 + 1.1 * REACH * SIZE, 0.0])
    scene = gaussians_at(torch.cat([front, behind, sheet]))
    scene = replace(scene, means=unit * scene.means, log_scales=scene.log_scales + np.log(unit))
    num_seeing = torch.tensor([2, 0, 0]).repeat_interleave(len(front))
    expected = torch.tensor([False, False, True]).repeat_interleave(len(front))
    assert torch.equal(beyond_the_seen(scene, num_seeing), expected)


def test_what_photos_show_never_goes_however_far_it_stands() -> None:
    scene = gaussians_at(torch.tensor([[0.0, 0, 0], [100.0, 0, 0], [200.0, 0, 0]]))
    assert beyond_the_seen(scene, torch.tensor([3, 1, 1])).tolist() == [False, False, False]
    assert beyond_the_seen(scene, torch.tensor([3, 1, 0])).tolist() == [False, False, True]


def test_where_photos_show_nothing_all_goes_and_nothing_is_nothing() -> None:
    assert beyond_the_seen(gaussians_at(wall()), torch.zeros(400, dtype=torch.int64)).all()
    assert not len(beyond_the_seen(gaussians_at(wall()[:0]), torch.zeros(0, dtype=torch.int64)))
