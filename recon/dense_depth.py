"""Depth of every training view by stereo with its best neighbours, kept only where views agree."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.consistency import check_consistency, project_depth
from matching.planes import continue_planes, estimate_normals
from matching.stereo import StereoConfig, StereoImage, estimate_depth, refine_depth
from recon.errors import ReconError
from recon.progress import Progress
from recon.scene import DepthMap, PointCloud, View

BEST_ANGLE_DEG = 12.0  # wide enough for depth, narrow enough for correlation windows (research: matchers, section 5)
PLANE_RADIUS_PX = 10  # of the window in which surfaces are continued over gaps
MIN_POINTS = 20  # fewer than this say nothing reliable about a view's depth range

Found = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Depth and score [H, W] of a view, before any check."""


@dataclass(frozen=True)
class DenseConfig:
    """How dense depth is found and which of it is believed."""

    stereo: StereoConfig = field(default_factory=StereoConfig)
    max_sources: int = field(
        default=4,
        metadata={"help": "neighbouring views that a view is compared with", "unit": "views", "low": 1, "high": 16},
    )
    max_error_px: float = field(
        default=1.0, metadata={"help": "forward-backward reprojection error", "unit": "px", "low": 0.1, "high": 10}
    )
    max_relative_depth: float = field(
        default=0.01,
        metadata={"help": "relative depth difference of agreeing views", "unit": "", "low": 1e-4, "high": 0.2},
    )
    min_score: float = field(
        default=0.5, metadata={"help": "smallest correlation that is believed", "unit": "", "low": -1, "high": 1}
    )
    min_exchanged_score: float = field(
        default=0.2,
        metadata={
            "help": "smallest correlation of depth that two views agree on, for handing it to others",
            "unit": "",
            "low": -1,
            "high": 1,
        },
    )
    num_exchanges: int = field(
        default=0,
        metadata={
            "help": "rounds in which views hand each other confirmed depth; confirms more, fits no better",
            "unit": "",
            "low": 0,
            "high": 4,
        },
    )
    reject_transients: bool = field(
        default=True, metadata={"help": "leave out what passed through a single photo", "unit": ""}
    )


def estimate_depths(
    views: Sequence[View], points: PointCloud, config: DenseConfig, *, seed: int, num_threads: int, progress: Progress
) -> tuple[DepthMap, ...]:
    """Dense depth of each view, zero wherever no other view confirms it.

    Args:
        views: the training views, at least two.
        points: sparse points with `view_indices` into `views`.
        config: stereo and checks.
        seed, num_threads: the result depends on the first only.
        progress: called per view.

    Returns:
        One map per view at the view's size, with normals. `depth` is the mean over agreeing views, 0 where none agrees.

    Raises:
        ReconError: there are too few sparse points to know how deep the scene is.
    """
    found = search_depths(views, points, config, seed=seed, num_threads=num_threads, progress=progress)
    progress(len(views), len(views) + 1, "checking depth against neighbours")
    maps = verify_depths(views, found, config, num_threads=num_threads)
    return tuple(
        replace(depth_map, normal=estimate_normals(depth_map.depth, view.camera.K))
        for view, depth_map in zip(views, maps, strict=True)
    )


def search_depths(
    views: Sequence[View], points: PointCloud, config: DenseConfig, *, seed: int, num_threads: int, progress: Progress
) -> list[Found]:
    """Stereo of each view with its best neighbours, then rounds in which views exchange what they confirm.

    Arguments and errors as for `estimate_depths`.

    Returns:
        Per view depth and score, both [H, W], as `matching.stereo.estimate_depth` gives them; depth is 0 outside of the
        view's mask. Nothing is thrown away yet.
    """
    problems = [_problem(index, views, points, config) for index in range(len(views))]
    found: list[Found] = []
    for index, (view, problem) in enumerate(zip(views, problems, strict=True)):
        progress(index, len(views) + 1, f"stereo, {view.name}")
        found.append(
            _masked(
                view,
                estimate_depth(
                    *problem.photos,
                    config.stereo,
                    seed=seed + index,
                    num_threads=num_threads,
                    progress=lambda done, total, message, index=index, name=view.name: progress(  # type: ignore[misc]
                        index * 1000 + int(1000 * done / max(total, 1)), 1000 * (len(views) + 1), f"stereo, {name}"
                    ),
                ),
            )
        )
    for round_index in range(config.num_exchanges):
        confirmed = _exchangeable(views, found, config, num_threads=num_threads)
        for index, problem in enumerate(problems):
            progress(len(views), len(views) + 1, f"exchanging depth, {views[index].name}")
            found[index] = _masked(
                views[index],
                refine_depth(
                    *problem.photos,
                    found[index][0],
                    [_seen_from(views[index], views[other], confirmed[other]) for other in problem.sources],
                    [continue_planes(confirmed[index], PLANE_RADIUS_PX)],
                    config.stereo,
                    seed=seed + len(views) * (round_index + 1) + index,
                    num_threads=num_threads,
                ),
            )
    return found


@dataclass(frozen=True)
class _Problem:
    """Which views a view is compared with, and what `estimate_depth` takes of them."""

    sources: list[int]
    photos: tuple[StereoImage, list[StereoImage], tuple[float, float]]


def _problem(index: int, views: Sequence[View], points: PointCloud, config: DenseConfig) -> _Problem:
    sources = choose_sources(index, views, points, config.max_sources)
    images = [_stereo_image(views[source], views[index]) for source in sources]
    depth_range = _depth_range(index, views, points)
    return _Problem(sources, (_stereo_image(views[index], views[index]), images, depth_range))


def _masked(view: View, found: Found) -> Found:
    depth, score = found
    return np.where(_usable(view), depth, 0).astype(np.float32), score


def _seen_from(view: View, other: View, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    size = (view.camera.width, view.camera.height)
    return project_depth(depth, _matrices(other), _matrices(view), size)


def _matrices(view: View) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return view.camera.K, view.camera.cam_from_world


def verify_depths(
    views: Sequence[View], found: Sequence[Found], config: DenseConfig, *, num_threads: int
) -> tuple[DepthMap, ...]:
    """Keep of the depths and scores that `search_depths` found what at least one other view confirms; no normals."""
    checked = _checked(views, found, config, config.min_score, num_threads)
    return tuple(
        DepthMap(np.where(agreeing > 0, fused, 0).astype(np.float32), np.clip(score, 0, 1), agreeing)
        for (fused, agreeing), (_, score) in zip(checked, found, strict=True)
    )


def _exchangeable(
    views: Sequence[View], found: Sequence[Found], config: DenseConfig, *, num_threads: int
) -> list[NDArray[np.float32]]:
    """Depth that others may try: confirmed by two views, or by one at a high score; agreement tells more than score."""
    checked = _checked(views, found, config, min(config.min_exchanged_score, config.min_score), num_threads)
    return [
        np.where((agreeing >= 2) | ((agreeing == 1) & (score >= config.min_score)), fused, 0).astype(np.float32)
        for (fused, agreeing), (_, score) in zip(checked, found, strict=True)
    ]


def _checked(
    views: Sequence[View], found: Sequence[Found], config: DenseConfig, min_score: float, num_threads: int
) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    return check_consistency(
        [depth for depth, _ in found],
        [_matrices(view) for view in views],
        [score for _, score in found],
        max_error_px=config.max_error_px,
        max_relative_depth=config.max_relative_depth,
        min_score=min_score,
        num_threads=num_threads,
    )


def choose_sources(index: int, views: Sequence[View], points: PointCloud, max_sources: int) -> list[int]:
    """The neighbours that make the best stereo partners of a view: many shared points at a useful angle.

    Returns:
        Indices into `views`, best first, at most `max_sources`.
    """
    tracks = points.view_indices or ()
    shared = np.zeros(len(views))
    angles = np.full(len(views), np.nan)
    by_pair: dict[int, list[int]] = {}
    for point, seen_by in enumerate(tracks):
        if index in seen_by:
            for other in seen_by:
                by_pair.setdefault(other, []).append(point)
    scene_center = np.median(points.xyz, axis=0) if len(points) else np.zeros(3)
    for other in range(len(views)):
        own = points.xyz[by_pair[other]] if len(by_pair.get(other, [])) >= 3 else scene_center[None]
        shared[other] = len(by_pair.get(other, []))
        angles[other] = np.median(_angles_deg(own, views[index].camera.center, views[other].camera.center))
    # One degree off the best angle costs as much as 50 shared points bring, up to 800 of them (measured constants).
    cost = np.abs(angles - BEST_ANGLE_DEG) - 0.02 * np.minimum(shared, 800)
    cost[index] = np.inf
    return [int(i) for i in np.argsort(cost, kind="stable")[: min(max_sources, len(views) - 1)]]


def _angles_deg(
    xyz: NDArray[np.float64], center_a: NDArray[np.float64], center_b: NDArray[np.float64]
) -> NDArray[np.float64]:
    to_a, to_b = center_a - xyz, center_b - xyz
    cosine = (to_a * to_b).sum(1) / (np.linalg.norm(to_a, axis=1) * np.linalg.norm(to_b, axis=1) + 1e-12)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _depth_range(index: int, views: Sequence[View], points: PointCloud) -> tuple[float, float]:
    """Nearest and farthest depth to search: generous, for sparse points cover textured places only."""
    seen = np.array([index in seen_by for seen_by in points.view_indices or ()], bool)
    depth = views[index].camera.project(points.xyz)[1]
    own = depth[seen] if seen.sum() >= MIN_POINTS else depth
    own = own[own > 0]
    if len(own) < 3:
        raise ReconError(
            f"Too few common points were found to know how far things are from {views[index].name}.",
            "Add photos that overlap more with this one, or leave it out.",
        )
    return 0.6 * float(np.percentile(own, 1)), 10 * float(np.percentile(own, 99))


def _usable(view: View) -> NDArray[np.bool_]:
    return view.valid if view.mask is None else view.valid & view.mask


def _stereo_image(view: View, reference: View) -> StereoImage:
    gray = cv2.cvtColor(view.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    cam_from_reference = view.camera.cam_from_world @ np.linalg.inv(reference.camera.cam_from_world)
    return StereoImage(gray, view.camera.K, cam_from_reference, view.valid)
