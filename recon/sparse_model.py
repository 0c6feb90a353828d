"""What mapping works on and what it finds, in plain arrays and without COLMAP's types.

The *mapping frame* of a photo is a square of `MAPPING_SIDE_PX` pixels with the photo in its middle, its longer
side scaled to the square. Portrait and landscape photos of one lens then share one lens model whose principal point is
the middle of the square, and every threshold in pixels means the same for photos of any size.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon.match_graph import PairMatches
from recon.undistort import distort, straighten

MAPPING_SIDE_PX = 1024
"""Side of the mapping frame; COLMAP's thresholds are meant for photos of about this size."""


@dataclass(frozen=True)
class Lens:
    """A lens with one radial coefficient (COLMAP's SIMPLE_RADIAL), its principal point in the middle of the photo.

    Attributes:
        focal: focal length in units of the photo's longer side.
        radial: r' = r (1 + radial r^2), r in normalised image coordinates.
    """

    focal: float
    radial: float = 0.0

    @property
    def distortion(self) -> NDArray[np.float64]:
        """k1, k2, p1, p2 as in OpenCV, [4]."""
        return np.array([self.radial, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class MappingProblem:
    """Matches between photos, in the mapping frame.

    Attributes:
        keypoints: per photo [N, 2] float64, px in the mapping frame.
        pairs: verified matches; `a`, `b` are positions in `keypoints`.
        lens_of: per photo the position of its lens in `SparseModel.lenses`.
    """

    keypoints: tuple[NDArray[np.float64], ...]
    pairs: tuple[PairMatches, ...]
    lens_of: tuple[int, ...]


@dataclass(frozen=True)
class SparseModel:
    """Placed photos and the points they see.

    Attributes:
        lenses: one per lens of the problem, placed or not.
        cam_from_world: photo position to its rigid transform [4, 4]; only placed photos.
        xyz: points [N, 3] in the world frame; N may be 0.
        point_of, photo_of, keypoint_of: the observations, [O] int64 each: which point, in which photo, at which
            of its keypoints.
    """

    lenses: tuple[Lens, ...]
    cam_from_world: dict[int, NDArray[np.float64]]
    xyz: NDArray[np.float64]
    point_of: NDArray[np.int64]
    photo_of: NDArray[np.int64]
    keypoint_of: NDArray[np.int64]

    @property
    def num_placed(self) -> int:
        """Number of photos with a camera."""
        return len(self.cam_from_world)


def to_mapping_frame(pixels: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
    """Move pixels [N, 2] of a photo of that size into the mapping frame, [N, 2] px."""
    scale = MAPPING_SIDE_PX / max(width, height)
    return (np.asarray(pixels, np.float64) - [width / 2, height / 2]) * scale + MAPPING_SIDE_PX / 2


def residuals_px(model: SparseModel, problem: MappingProblem) -> NDArray[np.float64]:
    """Reprojection error of every observation, [O] px in the mapping frame; infinite behind a camera."""
    errors = np.full(len(model.point_of), np.inf)
    for photo, cam_from_world in model.cam_from_world.items():
        rows = np.flatnonzero(model.photo_of == photo)
        lens = model.lenses[problem.lens_of[photo]]
        in_camera = model.xyz[model.point_of[rows]] @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
        in_front = in_camera[:, 2] > 0
        rows, in_camera = rows[in_front], in_camera[in_front]
        bent = distort(in_camera[:, :2] / in_camera[:, 2:], lens.distortion)
        pixels = bent * lens.focal * MAPPING_SIDE_PX + MAPPING_SIDE_PX / 2
        errors[rows] = np.linalg.norm(pixels - problem.keypoints[photo][model.keypoint_of[rows]], axis=1)
    return errors


def without_large_errors(problem: MappingProblem, model: SparseModel, *, max_error_px: float) -> SparseModel:
    """Drop observations with larger errors, then points that fewer than two photos still see."""
    return with_observations(model, residuals_px(model, problem) <= max_error_px)


def with_observations(model: SparseModel, keep: NDArray[np.bool_]) -> SparseModel:
    """Keep some of the observations [O], and of the points those that two or more of them see."""
    seen = np.bincount(model.point_of[keep], minlength=len(model.xyz))
    alive = seen >= 2
    keep = keep & alive[model.point_of]
    new_index = np.cumsum(alive) - 1
    return replace(
        model,
        xyz=model.xyz[alive],
        point_of=new_index[model.point_of[keep]],
        photo_of=model.photo_of[keep],
        keypoint_of=model.keypoint_of[keep],
    )


def without_photos(model: SparseModel, photos: Collection[int]) -> SparseModel:
    """Take cameras away, with what they observed."""
    kept = {photo: pose for photo, pose in model.cam_from_world.items() if photo not in photos}
    model = replace(model, cam_from_world=kept)
    return with_observations(model, ~np.isin(model.photo_of, list(photos)))


def undistorted_rays(
    problem: MappingProblem, model: SparseModel, photo: int, keypoints: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Rays (x, y, 1) in the camera frame of some keypoints of a photo, [M, 3]."""
    lens = model.lenses[problem.lens_of[photo]]
    bent = (problem.keypoints[photo][keypoints] - MAPPING_SIDE_PX / 2) / (lens.focal * MAPPING_SIDE_PX)
    flat = straighten(bent, lens.distortion)
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
