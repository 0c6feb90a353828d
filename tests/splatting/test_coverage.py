"""Colours that tell what is selected and what is weak."""

import torch

from splatting.coverage import SELECTED_RGB, coloured_by_coverage, highlighted
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import rgb_from_sh

PALETTE = ((0.1, 0.0, 0.2), (0.9, 0.1, 0.3), (1.0, 0.9, 0.6))


def grey(n: int, degree: int = 3) -> Gaussians:
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    sh = 0.1 * torch.ones(n, (degree + 1) ** 2, 3)
    return Gaussians(torch.randn(n, 3), torch.zeros(n, 3), quats, torch.zeros(n), sh)


def test_selected_ones_have_one_colour_from_everywhere_and_others_keep_theirs() -> None:
    scene, mask = grey(4), torch.tensor([True, False, False, True])
    shown = highlighted(scene, mask)
    assert torch.allclose(rgb_from_sh(shown.sh[mask, 0]), torch.tensor(SELECTED_RGB).expand(2, 3), atol=1e-6)
    assert (shown.sh[mask, 1:] == 0).all()
    assert torch.equal(shown.sh[~mask], scene.sh[~mask])
    assert (scene.sh == 0.1).all()


def test_coverage_goes_up_the_palette_and_stays_at_its_end() -> None:
    shown = coloured_by_coverage(grey(4), torch.tensor([0, 1, 2, 7]), PALETTE)
    brightness = rgb_from_sh(shown.sh[:, 0]).mean(1)
    assert brightness[0] < brightness[1] < brightness[2] == brightness[3]
    assert shown.sh.shape == (4, 1, 3)
