"""Measure stereo on photos with true cameras: completeness, accuracy, time. Prints a table.

    python -m tests.bench.bench_dense [--sources 3] [--side 640] [--cache FOLDER] SCENE:SPLIT ...

A split is a number of photos of splits.json, or `all`. Columns:

- >=1, >=2: share of the pixels that so many other views of the split confirm;
- co-visible: share of the pixels that another view of the split can see, judged by the depth that stereo over all
  photos of the set gives, confirmed twice; then the share of those that are confirmed by >= 1 view;
- tracks: sparse points of three or more photos, none of which stereo was given. Where a view's depth, before any check,
  puts such a point in the views that it was compared with: share within .5, 1 and 2 px; `kept` is the share whose pixel
  is confirmed, then the share of those within 1 px;
- true depth, where the set has it: share of all pixels within 1 %; share of all pixels confirmed and within 1 %; share
  of the confirmed within 1 %; median relative error of the confirmed;
- CPU seconds a photo, all threads together, without the check.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recon.dense_depth import DenseConfig, choose_sources, search_depths, verify_depths
from recon.progress import no_progress
from recon.scene import DepthMap, PointCloud, View
from tests.bench.dense_scenes import DenseScene, load

DEFAULT_SCENES = ("strecha_fountain_p11:6", "strecha_herz_jesus_p25:6", "fox:6", "vggt_llff_flower:3")
COLUMNS = (
    "scene | >=1 | >=2 | co-visible | of it >=1 | tracks | <.5 | <1 | <2 px | kept | of it <1 px"
    " | true | confirmed and true | of confirmed | median | CPU s"
)
REFERENCE_SOURCES = 6
SAME_SURFACE = 0.02  # relative difference of depth below which a point counts as seen, not hidden


@dataclass(frozen=True)
class Measured:
    """Raw and confirmed depth of each view, which views it was compared with, and what it cost."""

    raw: list[np.ndarray]
    maps: tuple[DepthMap, ...]
    sources: list[list[int]]
    cpu_s: float


def run_stereo(views: Sequence[View], points: PointCloud, config: DenseConfig) -> Measured:
    """Stereo and check as the pipeline does them."""
    started = time.process_time()
    found = search_depths(views, points, config, seed=0, num_threads=2, progress=no_progress)
    cpu_s = (time.process_time() - started) / len(views)
    maps = verify_depths(views, found, config, num_threads=2)
    sources = [choose_sources(index, views, points, config.max_sources) for index in range(len(views))]
    return Measured([depth for depth, *_ in found], maps, sources, cpu_s)


def sample_depth(depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Depth [H, W] at pixels [N, 2]: bilinear in inverse depth on one surface, else the nearest; 0 outside."""
    height, width = depth.shape
    x, y = np.clip(pixels[:, 0] - 0.5, 0, width - 1), np.clip(pixels[:, 1] - 0.5, 0, height - 1)
    x0, y0 = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    corners = np.stack([depth[y0 + j, x0 + i] for j in (0, 1) for i in (0, 1)])  # [4, N]
    fx, fy = x - x0, y - y0
    weights = np.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    inverse = (weights / np.where(corners > 0, corners, 1)).sum(0)
    nearest = corners[weights.argmax(0), np.arange(len(x))]
    is_smooth = (corners > 0).all(0) & (corners.max(0) < 1.03 * corners.min(0))
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    return np.where(inside, np.where(is_smooth, 1 / np.maximum(inverse, 1e-12), nearest), 0)


def track_errors(scene: DenseScene, found: Measured) -> tuple[np.ndarray, np.ndarray]:
    """For each track, view and source of it that sees it: distance in px [E], and whether the pixel is confirmed."""
    errors, kept = [], []
    for index, view in enumerate(scene.views):
        mine = np.array([index in seen_by for seen_by in scene.tracks.view_indices or ()], bool)
        pixels, _ = view.camera.project(scene.tracks.xyz)
        depth = sample_depth(found.raw[index], pixels)
        is_confirmed = sample_depth(found.maps[index].depth, pixels) > 0
        moved = view.camera.unproject(pixels, np.where(depth > 0, depth, 1e-6))
        for source in found.sources[index]:
            both = mine & np.array([source in seen_by for seen_by in scene.tracks.view_indices or ()], bool)
            camera = scene.views[source].camera
            distance = np.linalg.norm(camera.project(moved)[0] - camera.project(scene.tracks.xyz)[0], axis=1)
            errors.append(np.where(depth > 0, distance, np.inf)[both])
            kept.append(is_confirmed[both])
    return np.concatenate(errors), np.concatenate(kept)


def covisible(view: View, depth: np.ndarray, others: Sequence[tuple[View, np.ndarray]]) -> np.ndarray:
    """Which pixels with depth another view sees: inside its frame and not behind its own depth, [H, W]."""
    rows, columns = np.nonzero(depth)
    xyz = view.camera.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), depth[rows, columns].astype(float))
    seen = np.zeros(len(rows), bool)
    for other, other_depth in others:
        pixels, z = other.camera.project(xyz)
        inside = (z > 0) & (pixels >= 0).all(1) & (pixels < [other.camera.width, other.camera.height]).all(1)
        there = sample_depth(other_depth, np.where(inside[:, None], pixels, -1))
        seen |= inside & (there > 0) & (z < (1 + SAME_SURFACE) * there)
    result = np.zeros(depth.shape, bool)
    result[rows, columns] = seen
    return result


def covisible_cells(scene: DenseScene, found: Measured, reference: Sequence[np.ndarray]) -> list[float]:
    """Share of pixels that are co-visible, and share of those that are confirmed."""
    own = [depth for depth, is_own in zip(reference, scene.is_own, strict=True) if is_own]
    pairs = list(zip(scene.views, own, strict=True))
    masks = [covisible(view, depth, [p for p in pairs if p[0] is not view]) for view, depth in pairs]
    confirmed = [depth_map.depth > 0 for depth_map in found.maps]
    share = float(np.mean([mask.mean() for mask in masks]))
    return [share, float(np.mean([c[m].mean() for c, m in zip(confirmed, masks, strict=True) if m.any()]))]


def reference_depths(scene: DenseScene, config: DenseConfig) -> list[np.ndarray]:
    """Depth of every photo of the set from many sources, 0 where fewer than two others confirm it."""
    many = run_stereo(scene.all_views, scene.all_points, replace(config, max_sources=REFERENCE_SOURCES))
    return [np.where(depth_map.num_agreeing >= 2, depth_map.depth, 0) for depth_map in many.maps]


def true_cells(scene: DenseScene, found: Measured) -> list[float]:
    """Against true depth: see the table's columns."""
    raw_error, confirmed = [], []
    for truth, raw, depth_map in zip(scene.true_depths or (), found.raw, found.maps, strict=True):
        rows, columns = np.nonzero(truth)
        scale = np.array(raw.shape[::-1]) / truth.shape[::-1]
        pixels = (np.stack([columns, rows], axis=1) + 0.5) * scale
        expected = truth[rows, columns]
        raw_error.append(np.abs(sample_depth(raw, pixels) / expected - 1))
        fused = sample_depth(depth_map.depth, pixels)
        confirmed.append(np.where(fused > 0, np.abs(fused / expected - 1), np.inf))
    error, fused_error = np.concatenate(raw_error), np.concatenate(confirmed)
    is_confirmed = np.isfinite(fused_error)
    right = float((fused_error < 0.01).mean())
    median = float(np.median(fused_error[is_confirmed]))
    return [float((error < 0.01).mean()), right, right / max(float(is_confirmed.mean()), 1e-9), median]


def measure(scene: DenseScene, config: DenseConfig, reference: Sequence[np.ndarray] | None) -> str:
    """One line of the table."""
    found = run_stereo(scene.views, scene.points, config)
    pairs = zip(scene.views, found.maps, strict=True)
    agreeing = np.concatenate([depth_map.num_agreeing[view.valid] for view, depth_map in pairs])
    errors, kept = track_errors(scene, found)
    cells = [f"{(agreeing >= 1).mean():.3f}", f"{(agreeing >= 2).mean():.3f}"]
    cells += [f"{x:.3f}" for x in covisible_cells(scene, found, reference)] if reference is not None else ["-", "-"]
    cells += [str(len(errors)), *(f"{(errors < limit).mean():.3f}" for limit in (0.5, 1, 2))]
    cells += [f"{kept.mean():.3f}", f"{(errors[kept] < 1).mean():.3f}"]
    true = true_cells(scene, found) if scene.true_depths is not None else []
    cells += [*(f"{x:.3f}" for x in true[:3]), f"{true[3]:.5f}"] if true else ["-"] * 4
    return "| " + " | ".join([scene.name, *cells, f"{found.cpu_s:.2f}"]) + " |"


def main() -> None:
    """Measure the scenes named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", default=DEFAULT_SCENES, help="NAME:SPLIT")
    parser.add_argument("--sources", type=int, default=3)
    parser.add_argument("--side", type=int, default=640, help="longer side of the photos, px")
    parser.add_argument("--cache", type=Path, help="folder in which matches are kept between runs")
    parser.add_argument("--exchanges", type=int, default=DenseConfig().num_exchanges)
    parser.add_argument("--covisible", action="store_true", help="also measure what can be confirmed at all")
    arguments = parser.parse_args()
    config = DenseConfig(max_sources=arguments.sources, num_exchanges=arguments.exchanges)
    print("| " + COLUMNS + " |\n|" + "---|" * len(COLUMNS.split("|")))
    for name in arguments.scenes:
        scene = load(name, arguments.side, arguments.cache)
        reference = reference_depths(scene, config) if arguments.covisible else None
        print(measure(scene, config, reference), flush=True)


if __name__ == "__main__":
    main()
