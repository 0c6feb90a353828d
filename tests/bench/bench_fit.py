"""What each term of the fit is worth on photos that were kept back: one change against the default at a time.

    python -m tests.bench.bench_fit SCENE_FOLDER ... [--views 3 6] [--steps 1000 5000] [--seeds 0 1 2] -o out/fit

Prints a table in Markdown: for every number of views and steps the default, then each variant's difference from it,
means over scenes and seeds; in brackets the standard deviation of the seeds' means. "Covered" are the pixels of the
held-out photos that the verified start covers; "matched" are scores of renders made as bright as the photo. Every fit
is kept in `rows.json` as it ends, and an interrupted run goes on where it was: run it again with more scenes, seeds or
variants. `--walker` pastes a passer-by into one training photo; the matches are of the photos without.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from recon.artefacts import to_json
from recon.benchmark_scenes import choose_heldout, choose_photos, read_scene
from recon.config import PRESETS, ReconConfig
from recon.dense import DenseScene, make_dense
from recon.device import choose_device
from recon.evaluation.image_case import ImageCase, PlacedCase, cpu_seconds, dense_start, place
from recon.evaluation.scoring import Exam
from recon.markdown import decimal, mean_of_present, signed, table_header, table_line
from recon.optimise import background_of, optimise, target_rgb
from recon.progress import no_progress
from recon.project import fingerprint
from recon.row_files import load_rows, save_rows
from recon.scene import View
from splatting import rasterizer
from splatting.gaussians import Gaussians
from splatting.metrics import exposure_matched, psnr, ssim

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no dropout": {"dropout": 0.0},
    "no opacity decay": {"opacity_decay": 1.0},
    "harmonics of degree 1": {"sh_degree": 1},
    "guesses not faster": {"guess_boost": 1.0},
    "no background jitter": {"background_jitter": 0.0},
    "all steps at full size": {"coarse_share": 0.0},
    "no SSIM": {"ssim_weight": 0.0},
    "even exposure": {"even_exposure": True},
}
MEASURES = (("psnr", 2), ("ssim", 4), ("covered_psnr", 2), ("matched_psnr", 2), ("matched_ssim", 4), ("cpu_s", 0))
COLUMNS = "views | steps | variant | fits | PSNR | SSIM | covered PSNR | matched PSNR | matched SSIM | CPU s"


@dataclass(frozen=True)
class FitRow:
    """One fit.

    Attributes:
        scene, num_views, num_steps, seed, variant, has_walker: what was run.
        settings: digest of all settings; a row with another one is measured anew.
        psnr, ssim, covered_psnr: means over the held-out photos.
        matched_psnr, matched_ssim: the same of renders as bright as their photos, see `exposure_matched`.
        cpu_s: of the fit, all threads.
        num_gaussians: at the end.
    """

    scene: str
    num_views: int
    num_steps: int
    seed: int
    variant: str
    has_walker: bool
    settings: str
    psnr: float
    ssim: float
    covered_psnr: float | None
    matched_psnr: float
    matched_ssim: float
    cpu_s: float
    num_gaussians: int

    @property
    def key(self) -> tuple[object, ...]:
        """What was run with which settings."""
        return self.scene, self.num_views, self.num_steps, self.seed, self.variant, self.has_walker, self.settings


@dataclass(frozen=True)
class Start:
    """What all variants of a case have in common."""

    views: tuple[View, ...]
    dense: DenseScene
    exam: Exam


def walker(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A passer-by in the middle of a picture: colours [H, W, 3] in [0, 255] and where they are, [H, W]."""
    random, tall = np.random.default_rng(0), round(0.55 * height)
    x, y, colours = width // 2, round(0.35 * height), np.zeros((height, width, 3), np.float32)
    body = np.zeros((height, width), np.uint8)
    for part, colour in (("legs", (40, 40, 90)), ("coat", (190, 40, 50)), ("head", (215, 170, 140))):
        shape = np.zeros((height, width), np.uint8)
        if part == "legs":
            for side in (-1, 1):
                cv2.line(shape, (x, y + tall // 2), (x + side * tall // 9, y + tall), 1, max(1, tall // 12))
        elif part == "coat":
            cv2.ellipse(shape, (x, y + tall // 3), (tall // 8, tall // 4), 0, 0, 360, 1, -1)
        else:
            cv2.circle(shape, (x, y + tall // 24), tall // 13, 1, -1)
        folds = cv2.GaussianBlur(random.normal(0, 60, (height, width, 3)), (0, 0), 4)
        colours[shape > 0] = (np.array(colour) + folds)[shape > 0]
        body |= shape
    return colours.clip(0, 255), body > 0


def with_walker(view: View) -> View:
    """The view with a passer-by in front of it."""
    colours, body = walker(*view.rgb.shape[:2])
    return replace(view, rgb=np.where(body[..., None], colours, view.rgb).astype(np.uint8))


def prepare(case: ImageCase, config: ReconConfig, cache: Path, *, has_walker: bool) -> Start:
    """Cameras, dense start and exam of a case."""
    placed = place(case, config, cache, no_progress)
    if has_walker:
        middle = len(placed.views) // 2
        views = (*placed.views[:middle], with_walker(placed.views[middle]), *placed.views[middle + 1 :])
        placed = replace(placed, views=views)
        dense = make_dense(views, placed.points, config.dense, config.initialise, seed=case.seed, progress=no_progress)
    else:
        dense, _ = dense_start(case, placed, config, cache, no_progress)
    return Start(dense.lasting(placed.views), dense, _exam(placed, dense))


def _exam(placed: PlacedCase, dense: DenseScene) -> Exam:
    draw = rasterizer.create("cpu")
    verified = dense.gaussians.select(torch.from_numpy(dense.is_verified)).activate()
    with torch.no_grad():
        covered = {view.name: draw(verified, view.camera).alpha.numpy() > 0.5 for view in placed.heldout}
    return Exam(placed.heldout, covered, background_of(placed.views), draw)


def open_row(case: ImageCase, steps: int, variant: str, has_walker: bool, config: ReconConfig) -> FitRow:
    """A row without its results."""
    config = replace(config, fit=replace(config.fit, num_iterations=steps, **VARIANTS[variant]))
    settings = fingerprint(to_json(config), case.training, case.heldout)
    return FitRow(
        *(case.scene.name, len(case.training), steps, case.seed, variant, has_walker, settings),
        *(float("nan"), float("nan"), None, float("nan"), float("nan"), 0.0, 0),
    )


def measure(row: FitRow, start: Start, config: ReconConfig) -> FitRow:
    """Fit and score."""
    fit = replace(config.fit, num_iterations=row.num_steps, **VARIANTS[row.variant])
    began = cpu_seconds()
    gaussians = optimise(
        start.dense.gaussians,
        start.views,
        fit,
        choose_device(config.device),
        seed=row.seed,
        progress=no_progress,
        is_verified=start.dense.is_verified,
        depth_maps=start.dense.depth_maps,
    )
    spent = cpu_seconds() - began
    scores = list(start.exam.score(gaussians).values())
    return replace(
        row,
        psnr=fmean(score.psnr for score in scores),
        ssim=fmean(score.ssim for score in scores),
        covered_psnr=mean_of_present(score.covered_psnr for score in scores),
        **_matched_scores(gaussians, start.exam),
        cpu_s=round(spent, 1),
        num_gaussians=len(gaussians),
    )


def _matched_scores(gaussians: Gaussians, exam: Exam) -> dict[str, float]:
    decibels, similarities = [], []
    for view in exam.views:
        with torch.no_grad():
            rgb = exam.rasterizer(gaussians.activate(), view.camera, background=exam.background).rgb.numpy()
        photo = target_rgb(view, exam.background)
        matched = np.where(view.valid[..., None], exposure_matched(rgb, photo, view.valid), photo)
        decibels.append(psnr(matched, photo, view.valid))
        similarities.append(ssim(matched, photo))
    return {"matched_psnr": fmean(decibels), "matched_ssim": fmean(similarities)}


def table(rows: Sequence[FitRow]) -> Iterator[str]:
    """Lines: the default's means, then each variant's differences from it over the cases that both have."""
    yield from table_header(COLUMNS)
    for group in sorted({(row.num_views, row.num_steps) for row in rows}):
        mine = [row for row in rows if (row.num_views, row.num_steps) == group]
        default = {(row.scene, row.seed): row for row in mine if row.variant == "default"}
        for variant in VARIANTS:
            pairs = [(row, default.get((row.scene, row.seed))) for row in mine if row.variant == variant]
            both = [(row, base) for row, base in pairs if base is not None]
            if both:
                cells = [_cell(both, name, digits, variant == "default") for name, digits in MEASURES]
                yield table_line([str(group[0]), str(group[1]), variant, str(len(both)), *cells])


def _cell(pairs: Sequence[tuple[FitRow, FitRow]], name: str, digits: int, is_default: bool) -> str:
    by_seed: dict[int, list[float]] = {}
    for row, base in pairs:
        value, usual = getattr(row, name), getattr(base, name)
        if value is not None and usual is not None:
            by_seed.setdefault(row.seed, []).append(value if is_default else value - usual)
    if not by_seed:
        return decimal(None, digits)
    means = [fmean(values) for values in by_seed.values()]
    show = decimal if is_default else signed
    return show(fmean(means), digits) + (f" ({pstdev(means):.{digits}f})" if len(means) > 1 else "")


def run(arguments: argparse.Namespace) -> None:
    """Measure what is not there yet."""
    path, cache = arguments.out / "rows.json", arguments.out / "work"
    rows = load_rows(path, lambda plain: FitRow(**plain), "fits")
    done, asked = {row.key for row in rows}, set()
    config = replace(PRESETS[arguments.preset], working_side_px=arguments.side, device=arguments.device)
    if arguments.keep_transients:
        config = replace(config, dense=replace(config.dense, reject_transients=False))
    for folder in arguments.scenes:
        scene = read_scene(folder)
        for num_views in arguments.views:
            for seed in arguments.seeds:
                training, heldout = choose_photos(scene, num_views), choose_heldout(scene, num_views)
                case = ImageCase(scene, training, heldout, arguments.cameras, seed)
                wanted = [
                    open_row(case, steps, variant, arguments.walker, config)
                    for steps in arguments.steps
                    for variant in arguments.variants
                ]
                asked |= {row.key for row in wanted}
                wanted = [row for row in wanted if row.key not in done]
                start = prepare(case, config, cache, has_walker=arguments.walker) if wanted else None
                for row in wanted:
                    assert start is not None
                    rows.append(measure(row, start, config))
                    save_rows(rows, path)
    print("\n".join(table([row for row in rows if row.key in asked])))


def main() -> None:
    """Run the variants named on the command line, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", type=Path, help="folders with images/, splits.json and cameras.json")
    parser.add_argument("--views", nargs="+", type=int, default=[3, 6])
    parser.add_argument("--steps", nargs="+", type=int, default=[1000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--cameras", choices=["true", "estimated"], default="true")
    parser.add_argument("--preset", choices=list(PRESETS), default="standard")
    parser.add_argument("--side", type=int, default=640, help="longer side of the photos, px")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")
    parser.add_argument("--walker", action="store_true", help="paste a passer-by into one training photo")
    parser.add_argument("--keep-transients", action="store_true", help="fit to the passer-by, too")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/fit"))
    run(parser.parse_args())


if __name__ == "__main__":
    main()
