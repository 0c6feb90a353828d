from dataclasses import replace

import numpy as np
import pytest
import torch

from recon.evaluation.colour_diagnosis import ColourDiagnosis, diagnose_colours
from recon.progress import no_progress
from splatting.camera import Camera
from splatting.fit import TrainingView
from splatting.gaussians import Gaussians
from splatting.rasterizer import create

SIZE = 48
BACKGROUND = torch.tensor([0.2, 0.3, 0.4])


def _scene() -> Gaussians:
    random = torch.Generator().manual_seed(0)
    means = (torch.rand(150, 3, generator=random) - 0.5) * torch.tensor([2.6, 2.6, 0.4]) + torch.tensor([0, 0, 3.0])
    return Gaussians(
        means,
        torch.full((150, 3), 0.12).log(),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(150, 1),
        torch.full((150,), 2.0),
        torch.randn(150, 1, 3, generator=random) * 0.8,
    )


def _photos(scene: Gaussians) -> list[TrainingView]:
    K = np.array([[50.0, 0, SIZE / 2], [0, 50.0, SIZE / 2], [0, 0, 1]])
    views = []
    for x in (-0.3, 0.0, 0.3):
        pose = np.eye(4)
        pose[0, 3] = x
        camera = Camera(K, pose, SIZE, SIZE)
        with torch.no_grad():
            rgb = create("cpu")(scene.activate(), camera, background=BACKGROUND).rgb
        views.append(TrainingView(camera, rgb.clamp(0, 1)))
    return views


def _diagnose(scene: Gaussians) -> ColourDiagnosis:
    views = _photos(_scene())
    return diagnose_colours(scene, views, create("cpu"), BACKGROUND, seed=0, progress=no_progress)


def test_wrong_colours_are_colour() -> None:
    truth = _scene()
    noise = 0.5 * torch.randn(truth.sh.shape, generator=torch.Generator().manual_seed(1))
    found = _diagnose(replace(truth, sh=truth.sh + noise))
    assert found.geometry_share < 0.1
    assert found.psnr_with_best_colours > found.psnr + 10


def test_wrong_places_are_geometry() -> None:
    truth = _scene()
    # Away from the cameras and to the side, differently for each: no colours make up for that.
    moved = truth.means + 0.25 * torch.randn(truth.means.shape, generator=torch.Generator().manual_seed(2))
    found = _diagnose(replace(truth, means=moved))
    wrong_colours = _diagnose(replace(truth, sh=truth.sh + 0.5))
    assert found.geometry_share > 0.2  # .26 was seen: few Gaussians and large ones
    assert found.geometry_share > 3 * wrong_colours.geometry_share


def test_a_perfect_scene_stays_perfect() -> None:
    found = _diagnose(_scene())
    assert found.psnr == pytest.approx(100)
    assert found.psnr_with_best_colours == pytest.approx(100)


def test_the_scene_itself_is_left_alone_and_nothing_to_predict_is_refused() -> None:
    scene = _scene()
    before = scene.sh.clone()
    _diagnose(scene)
    assert torch.equal(scene.sh, before)
    with pytest.raises(ValueError, match="at least one view"):
        diagnose_colours(scene, [], create("cpu"), BACKGROUND, seed=0, progress=no_progress)
