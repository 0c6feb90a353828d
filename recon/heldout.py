"""How well held-out photos are predicted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recon.dense import DenseScene
from recon.errors import ReconError
from recon.optimise import target_rgb
from recon.photo import Photo
from recon.previews import save_jpeg
from recon.report import HeldoutReport, ViewQuality, summarise_heldout
from recon.scene import View
from splatting.flip import flip
from splatting.gaussians import Gaussians
from splatting.metrics import psnr, ssim
from splatting.rasterizer import Rasterizer


def resolve_heldout(names: Sequence[str], photos: Sequence[Photo]) -> frozenset[str]:
    """Find the photos that the user named, with or without folder and extension.

    Raises:
        ReconError: a name fits none of the photos, or fewer than two would remain.
    """
    by_name = {photo.name: photo.name for photo in photos} | {Path(photo.name).stem: photo.name for photo in photos}
    unknown = [name for name in names if Path(name).name not in by_name]
    if unknown:
        hint = f"There are {', '.join(photo.name for photo in photos[:8])}{', ...' if len(photos) > 8 else '.'}"
        raise ReconError(f"{unknown[0]} was to be held out, but there is no such photo.", hint)
    heldout = frozenset(by_name[Path(name).name] for name in names)
    if len(photos) - len(heldout) < 2:
        raise ReconError("Fewer than two photos remain to build from.", "Hold out fewer photos.")
    return heldout


def score_heldout(
    gaussians: Gaussians,
    dense: DenseScene,
    views: Sequence[View],
    rasterizer: Rasterizer,
    background: Tensor,
    previews: Path,
) -> HeldoutReport | None:
    """Compare renders with the photos that were kept back, and keep both as pictures.

    PSNR, SSIM and FLIP compare all valid pixels; `covered` ones are those where the verified start already covers the
    view by more than half, so that reconstruction is told from guessing what no photo shows.

    Args:
        gaussians: the fitted scene, on the CPU.
        dense: its start, which says what was verified.
        views: the held-out views; none gives None.
        rasterizer: draws on the CPU.
        background: colour [3] behind everything.
        previews: folder for `heldout_NAME_photo.jpg` and `heldout_NAME_render.jpg`.
    """
    scores: dict[str, ViewQuality] = {}
    verified = dense.gaussians.select(torch.from_numpy(dense.is_verified))
    for view in views:
        photo = target_rgb(view, background)
        with torch.no_grad():
            rgb = rasterizer(gaussians.activate(), view.camera, background=background).rgb.numpy()
            covered = rasterizer(verified.activate(), view.camera).alpha.numpy() > 0.5
        render = np.where(view.valid[..., None], rgb.clip(0, 1), photo)
        covered &= view.valid
        scores[view.name] = ViewQuality(
            psnr=psnr(render, photo, view.valid),
            ssim=ssim(render, photo),
            covered_psnr=psnr(render, photo, covered) if covered.any() else None,
            covered_share=float(covered.sum() / max(1, view.valid.sum())),
            flip=float(flip(render, photo).mean()),
        )
        stem = Path(view.name).stem
        save_jpeg(previews / f"heldout_{stem}_photo.jpg", np.round(photo * 255).astype(np.uint8))
        save_jpeg(previews / f"heldout_{stem}_render.jpg", np.round(render * 255).astype(np.uint8))
    return summarise_heldout(scores) if scores else None
