"""What cleaning costs held-out photos: PSNR at strengths, and the share of Gaussians that each takes out.

    python -m tests.bench.bench_clean PROJECT...

The projects must be finished at least until the splats, with photos held out:

    handful reconstruct PHOTOS -o PROJECT --preset draft --holdout NAME...
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from recon.clean_project import CleaningWish, CleanScene, open_clean_scene, selected
from recon.frame import framed_camera
from recon.optimise import background_of, target_rgb
from recon.project import open_project
from recon.scene import View
from recon.stored_results import load_result
from splatting import rasterizer
from splatting.metrics import psnr

STRENGTHS = (0.0, 0.25, 0.5, 0.6, 0.75, 0.9, 1.0)


def mean_psnr(scene: CleanScene, views: list[View], out: np.ndarray) -> float:
    """Of the views, over their valid pixels, without the Gaussians in `out`."""
    draw, background = rasterizer.create("cpu"), background_of(scene.views)
    splats = scene.gaussians.select(torch.from_numpy(~out)).activate()
    scores = []
    for view in views:
        photo = target_rgb(view, background)
        with torch.no_grad():
            rgb = draw(splats, framed_camera(scene.frame, view.camera), background=background).rgb.numpy().clip(0, 1)
        scores.append(psnr(np.where(view.valid[..., None], rgb, photo), photo, view.valid))
    return float(np.mean(scores))


def main() -> None:
    """Print a table for each project."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="+", type=Path, metavar="PROJECT")
    for project in parser.parse_args().projects:
        started = time.perf_counter()
        scene = open_clean_scene(project)
        opened_s = time.perf_counter() - started
        views = load_result(open_project(project), "cameras").views
        heldout = [view for view in views if view.is_heldout] or list(scene.views)
        kind = "held-out" if heldout[0].is_heldout else "training (none are held out)"
        print(f"{project.name}: {len(scene.gaussians):,} Gaussians, {len(heldout)} {kind} photos, {opened_s:.1f} s")
        wishes = [CleaningWish(strength) for strength in STRENGTHS]
        for name, wish in [
            *((f"strength {w.strength:g}", w) for w in wishes),
            ("unseen", CleaningWish(None, None, True)),
        ]:
            mask = selected(scene, wish)[0].mask
            print(f"  {name:14} {100 * mask.mean():6.2f} % out {mean_psnr(scene, heldout, mask):7.3f} dB")


if __name__ == "__main__":
    main()
