"""Multi-view stereo: the depth of one photo from a few others whose cameras are known.

Coarse to fine. At the smallest scale planes of constant depth are swept through the scene; at each scale depths then
spread to neighbours, are varied at random and smoothed, and a change stays where it raises the correlation [1]. A
hypothesis is always a whole depth map, so windows follow the slope of the surface (see `native/kernels.cpp`).

[1] Barnes et al., PatchMatch, SIGGRAPH 2009; Bleyer et al., PatchMatch Stereo, BMVC 2011.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.stereo_scale import make_scales
from matching.stereo_search import Search

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StereoConfig:
    """How depth is searched for."""

    num_scales: int = field(
        default=4, metadata={"help": "image scales, each half the size of the next", "unit": "", "low": 1, "high": 6}
    )
    window_radius: int = field(
        default=3, metadata={"help": "the correlation window is 2 r + 1 wide", "unit": "px", "low": 1, "high": 7}
    )
    num_best: int = field(
        default=2, metadata={"help": "sources that count at each pixel", "unit": "", "low": 1, "high": 4}
    )
    num_rounds: int = field(
        default=2, metadata={"help": "rounds of spreading and varying at each scale", "unit": "", "low": 1, "high": 8}
    )
    planes_per_px: float = field(
        default=1.0, metadata={"help": "planes of the first sweep", "unit": "1/px", "low": 0.25, "high": 4.0}
    )
    max_planes: int = field(
        default=192, metadata={"help": "most planes in the first sweep", "unit": "", "low": 8, "high": 1024}
    )

    def __post_init__(self) -> None:
        for name, declared in self.__dataclass_fields__.items():
            value, low, high = getattr(self, name), declared.metadata["low"], declared.metadata["high"]
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low}, {high}], got {value}")


@dataclass(frozen=True)
class StereoImage:
    """A grey photo with its camera.

    Attributes:
        gray: [H, W] float32, 0 to 255.
        K: intrinsics [3, 3] in px; the first pixel's centre is (0.5, 0.5).
        cam_from_reference: rigid transform [4, 4] from the frame of the reference camera; identity for the reference.
        valid: [H, W] bool, False where the photo has nothing to show; None means everywhere.
    """

    gray: NDArray[np.float32]
    K: NDArray[np.float64]
    cam_from_reference: NDArray[np.float64]
    valid: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.gray.ndim != 2 or self.gray.size == 0:
            raise ValueError(f"gray must be [H, W] with pixels, got {self.gray.shape}")
        if np.shape(self.K) != (3, 3):
            raise ValueError(f"K must be [3, 3], got {np.shape(self.K)}")
        if np.shape(self.cam_from_reference) != (4, 4):
            raise ValueError(f"cam_from_reference must be [4, 4], got {np.shape(self.cam_from_reference)}")
        if self.valid is not None and self.valid.shape != self.gray.shape:
            raise ValueError(f"valid must be {self.gray.shape}, got {self.valid.shape}")


def _silent(done: int, total: int, message: str) -> None:
    pass


def estimate_depth(
    reference: StereoImage,
    sources: Sequence[StereoImage],
    depth_range: tuple[float, float],
    config: StereoConfig = StereoConfig(),
    *,
    seed: int = 0,
    num_threads: int = 1,
    progress: Progress = _silent,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Estimate the depth of every pixel of the reference.

    Deterministic for a seed, whatever the number of threads. Nothing is thrown away for being unlikely: that is what
    the score and `matching.consistency` are for.

    Args:
        reference: the photo whose depth is wanted.
        sources: photos of the same scene; two to four at 10 to 40 degrees are best.
        depth_range: smallest and largest depth to expect. The largest may be generous: steps are even in inverse depth.
        config: how to search.
        seed: of the random variations.
        num_threads: threads of the native kernel.
        progress: called once per hypothesis.

    Returns:
        depth [H, W] float32, z in the reference camera; 0 where no source sees the pixel or it is not valid.
        score [H, W] float32, mean normalised cross-correlation of the best `config.num_best` sources, -1 to 1; a
        source that does not see the pixel counts as 0.3; -1 where depth is 0.

    Raises:
        ValueError: no sources, or a depth range that is not 0 < near < far.
    """
    limits = _checked_limits(sources, depth_range, num_threads)
    rng = np.random.default_rng(seed)
    scales = make_scales(reference, sources, limits, config.num_scales, config.window_radius)
    num_best = min(config.num_best, len(sources))
    inverse_depth: NDArray[np.float32] | None = None
    for index, scale in enumerate(scales):
        search = Search(scale, limits, num_best, num_threads)
        if inverse_depth is None:
            search.sweep(config)
        else:
            size = (scale.width, scale.height)
            search.start(np.asarray(cv2.resize(inverse_depth, size, interpolation=cv2.INTER_LINEAR), np.float32))
        for step, total in search.rounds(config.num_rounds, rng):
            progress(index * total + step, len(scales) * total, "estimating depth")
        inverse_depth = search.inverse_depth
    search.settle()
    return _depth_and_score(search, reference)


def refine_depth(
    reference: StereoImage,
    sources: Sequence[StereoImage],
    depth_range: tuple[float, float],
    depth: NDArray[np.float32],
    proposals: Sequence[NDArray[np.float32]],
    planes: Sequence[NDArray[np.float32]],
    config: StereoConfig = StereoConfig(),
    *,
    seed: int = 0,
    num_threads: int = 1,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Improve a depth map by depths that are known from elsewhere, at full size.

    Args:
        reference, sources, depth_range, config, seed, num_threads: as for `estimate_depth`.
        depth: what `estimate_depth` found, [H, W]; where it is 0 the search starts far away.
        proposals: depths [H, W] from other views, 0 = none; they are taken where they score higher.
        planes: depths [H, W] that continue a surface over pixels nothing is known of, 0 = none; they are taken unless
            they score much lower, for where texture is weak the highest score is chance.

    Returns:
        depth and score as from `estimate_depth`.

    Raises:
        ValueError: as `estimate_depth`; or a map has not the size of the reference.
    """
    limits = _checked_limits(sources, depth_range, num_threads)
    for values in (depth, *proposals, *planes):
        if values.shape != reference.gray.shape:
            raise ValueError(f"depth maps must be {reference.gray.shape}, got {values.shape}")
    scale = make_scales(reference, sources, limits, 1, config.window_radius)[0]
    search = Search(scale, limits, min(config.num_best, len(sources)), num_threads)
    search.start(np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), limits[0]))
    for proposal in proposals:
        search.propose(proposal, search.MIN_GAIN)
    for plane in planes:
        search.propose(plane, -search.PLANE_BONUS)
    for _ in search.polish(np.random.default_rng(seed)):
        pass
    search.settle()
    return _depth_and_score(search, reference)


def _checked_limits(
    sources: Sequence[StereoImage], depth_range: tuple[float, float], num_threads: int
) -> tuple[float, float]:
    """Smallest and largest inverse depth."""
    near, far = depth_range
    if not sources:
        raise ValueError("sources must hold at least one photo")
    if not (0 < near < far and np.isfinite(far)):
        raise ValueError(f"depth_range must be 0 < near < far, got {depth_range}")
    if num_threads < 1:
        raise ValueError(f"num_threads must be at least 1, got {num_threads}")
    return 1 / far, 1 / near


def _depth_and_score(search: Search, reference: StereoImage) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    is_known = search.is_seen()
    if reference.valid is not None:
        is_known &= reference.valid
    depth = np.where(is_known, 1 / search.inverse_depth, 0).astype(np.float32)
    return depth, np.where(is_known, search.score, -1).astype(np.float32)
