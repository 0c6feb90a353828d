"""Score a scene on photos that it was not made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon.evaluation.image_rows import ViewScores
from recon.optimise import target_rgb
from recon.previews import save_jpeg
from recon.scene import View
from splatting.flip import flip
from splatting.gaussians import Gaussians
from splatting.metrics import psnr, ssim
from splatting.rasterizer import Rasterizer

ERROR_GAIN = 4.0  # in the pictures of errors


@dataclass(frozen=True)
class Exam:
    """Photos to predict, and what the predictions are drawn with.

    Attributes:
        views: the held-out views.
        covered: by name which of their pixels count as covered [H, W] bool; empty where that is not known.
        background: colour [3] behind everything.
        rasterizer: draws on the CPU.
    """

    views: tuple[View, ...]
    covered: Mapping[str, NDArray[np.bool_]]
    background: Tensor
    rasterizer: Rasterizer

    def score(self, gaussians: Gaussians) -> dict[str, ViewScores]:
        """Scores by name of the photo; the Gaussians lie on the CPU."""
        return {view.name: self._score(view, self._render(gaussians, view)) for view in self.views}

    def save(self, gaussians: Gaussians, folder: Path) -> None:
        """Write for each photo `NAME.jpg`: the photo, its render, and four times the difference, side by side."""
        folder.mkdir(parents=True, exist_ok=True)
        for view in self.views:
            photo, render = target_rgb(view, self.background), self._render(gaussians, view)
            error = np.clip(ERROR_GAIN * np.abs(render - photo), 0, 1)
            strip = np.concatenate([photo, render, error], axis=1)
            save_jpeg(folder / f"{Path(view.name).stem}.jpg", np.round(strip * 255).astype(np.uint8))

    def _render(self, gaussians: Gaussians, view: View) -> NDArray[np.float32]:
        """The render [H, W, 3] in [0, 1]; the photo itself where that is not valid."""
        with torch.no_grad():
            rgb = self.rasterizer(gaussians.activate(), view.camera, background=self.background).rgb.numpy()
        return np.where(view.valid[..., None], rgb.clip(0, 1), target_rgb(view, self.background))

    def _score(self, view: View, render: NDArray[np.float32]) -> ViewScores:
        photo = target_rgb(view, self.background)
        covered = self.covered[view.name] & view.valid if view.name in self.covered else None
        has_covered = covered is not None and covered.any()
        return ViewScores(
            psnr=psnr(render, photo, view.valid),
            ssim=ssim(render, photo),
            covered_psnr=psnr(render, photo, covered) if has_covered else None,
            covered_ssim=ssim(render, photo, covered) if has_covered else None,
            covered_share=None if covered is None else float(covered.sum() / max(1, view.valid.sum())),
            flip=float(flip(render, photo).mean()),
        )


def steps_to_score(checkpoints: Sequence[int], num_steps: int) -> frozenset[int]:
    """The checkpoints that a fit of so many steps passes, and its end."""
    return frozenset(step for step in checkpoints if 0 <= step < num_steps) | {num_steps}
