"""What of the photos reaches the fit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from textured_wall import wall_views

from recon.device import choose_device
from recon.optimise import optimise
from recon.progress import no_progress
from recon.scene import DepthMap, View
from splatting.fit import FitConfig, TrainingView
from splatting.gaussians import Gaussians

START = Gaussians(torch.zeros(1, 3), torch.zeros(1, 3), torch.ones(1, 4), torch.zeros(1), torch.zeros(1, 1, 3))


def _seen_by_the_fit(views: Sequence[View], depth_maps: Sequence[DepthMap], config: FitConfig) -> list[TrainingView]:
    seen: list[TrainingView] = []

    def watch(gaussians: Gaussians, views: Sequence[TrainingView], config: FitConfig, **options: Any) -> Gaussians:
        seen.extend(views)
        return gaussians

    options: dict[str, Any] = {"seed": 0, "progress": no_progress, "depth_maps": depth_maps, "loop": watch}
    optimise(START, views, config, choose_device("cpu"), **options)
    return seen


@pytest.mark.parametrize("even", [True, False])
def test_a_darker_photo_is_evened_if_asked_for(even: bool) -> None:
    views, depth_maps = wall_views()
    views[2] = replace(views[2], rgb=np.round(0.8 * views[2].rgb).astype(np.uint8))
    seen = _seen_by_the_fit(views, depth_maps, FitConfig(even_exposure=even))
    ratio = float(seen[2].rgb.mean() / seen[0].rgb.mean())
    assert ratio == pytest.approx(1.0 if even else 0.8, abs=0.04)


def test_without_depth_photos_are_taken_as_they_are() -> None:
    views, _ = wall_views()
    views[2] = replace(views[2], rgb=np.round(0.8 * views[2].rgb).astype(np.uint8))
    seen = _seen_by_the_fit(views, (), FitConfig(even_exposure=True))
    np.testing.assert_array_equal(seen[2].rgb.numpy(), views[2].rgb.astype(np.float32) / 255)
