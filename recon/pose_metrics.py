"""How far estimated cameras are from true ones.

The definitions are those of the image-matching literature: every pair of photos counts, pairs with an unplaced photo
as failures; a pair's error is the larger of its relative rotation error and its translation direction error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recon.undistort import DistortedCamera
from splatting.camera import Camera

_SAME_PLACE = 1e-12  # world units: between nearer cameras a direction means nothing


@dataclass(frozen=True)
class PairErrors:
    """Errors of all pairs of photos, in the order of `itertools.combinations`; infinite where one is unplaced.

    Attributes:
        rotation_deg: angle of the relative rotation error, [P].
        direction_deg: angle between the translation directions, [P]; 180 where a direction does not exist.
    """

    rotation_deg: NDArray[np.float64]
    direction_deg: NDArray[np.float64]

    @property
    def worse_deg(self) -> NDArray[np.float64]:
        """The larger of both, [P]."""
        return np.maximum(self.rotation_deg, self.direction_deg)


@dataclass(frozen=True)
class PoseScores:
    """Accuracy of a set of cameras; shares and areas in [0, 1].

    Attributes:
        num_photos, num_placed: photos asked for and those with an estimated camera.
        rra_5, rra_15: share of pairs with a rotation error below 5 and 15 degrees.
        rta_5, rta_15: the same of the translation direction error.
        auc_5, auc_10, auc_30: area under the recall of `PairErrors.worse_deg` up to so many degrees.
        focal_error: median absolute relative focal error of the placed photos, None if none is placed.
        center_error: median error of the camera centres after alignment by a similarity, relative to the diagonal of
            the true centres' bounding box; None if fewer than two are placed or the box is a point.
    """

    num_photos: int
    num_placed: int
    rra_5: float
    rra_15: float
    rta_5: float
    rta_15: float
    auc_5: float
    auc_10: float
    auc_30: float
    focal_error: float | None
    center_error: float | None


def compare_cameras(
    estimated: Mapping[str, DistortedCamera], truth: Mapping[str, DistortedCamera], names: Sequence[str]
) -> PoseScores:
    """`score_poses` for cameras as `camera_files.read_cameras` gives them; their distortion is not compared."""
    return score_poses(
        {name: distorted.camera for name, distorted in estimated.items()},
        {name: distorted.camera for name, distorted in truth.items()},
        names,
    )


def score_poses(estimated: Mapping[str, Camera], truth: Mapping[str, Camera], names: Sequence[str]) -> PoseScores:
    """Score the photos of some names; those without an estimate count as failures. Image sizes may differ.

    Raises:
        ValueError: fewer than two names, or one without a true camera.
    """
    pairs = pair_errors(estimated, truth, names)
    placed = [name for name in names if name in estimated]
    focal_errors = [abs(focal_error(estimated[name], truth[name])) for name in placed]
    return PoseScores(
        num_photos=len(names),
        num_placed=len(placed),
        rra_5=float(np.mean(pairs.rotation_deg < 5)),
        rra_15=float(np.mean(pairs.rotation_deg < 15)),
        rta_5=float(np.mean(pairs.direction_deg < 5)),
        rta_15=float(np.mean(pairs.direction_deg < 15)),
        auc_5=area_under_recall(pairs.worse_deg, 5),
        auc_10=area_under_recall(pairs.worse_deg, 10),
        auc_30=area_under_recall(pairs.worse_deg, 30),
        focal_error=float(np.median(focal_errors)) if placed else None,
        center_error=_center_error(estimated, truth, names),
    )


def pair_errors(estimated: Mapping[str, Camera], truth: Mapping[str, Camera], names: Sequence[str]) -> PairErrors:
    """Relative rotation and translation direction errors of every pair of the named photos.

    Raises:
        ValueError: fewer than two names, or one without a true camera.
    """
    if len(names) < 2:
        raise ValueError(f"pair errors need at least 2 photos, got {len(names)}")
    missing = [name for name in names if name not in truth]
    if missing:
        raise ValueError(f"no true camera for {', '.join(missing)}")
    rotation_deg, direction_deg = [], []
    for a, b in combinations(names, 2):
        if a not in estimated or b not in estimated:
            rotation_deg.append(np.inf)
            direction_deg.append(np.inf)
            continue
        found, true = _b_from_a(estimated[a], estimated[b]), _b_from_a(truth[a], truth[b])
        rotation_deg.append(rotation_angle_deg(found[:3, :3] @ true[:3, :3].T))
        direction_deg.append(_angle_deg(found[:3, 3], true[:3, 3]))
    return PairErrors(np.array(rotation_deg), np.array(direction_deg))


def area_under_recall(errors_deg: NDArray[np.floating], limit_deg: float) -> float:
    """Exact area under the share of errors below x, for x from 0 to the limit, as a share of the limit.

    Raises:
        ValueError: there are no errors.
    """
    if len(errors_deg) == 0:
        raise ValueError("errors_deg must not be empty")
    return float(np.mean(np.clip(limit_deg - errors_deg, 0, limit_deg) / limit_deg))


def focal_error(estimated: Camera, truth: Camera) -> float:
    """Relative focal error, mean of x and y, signed; cameras may have different image sizes."""
    ratio_x = estimated.K[0, 0] / estimated.width / (truth.K[0, 0] / truth.width)
    ratio_y = estimated.K[1, 1] / estimated.height / (truth.K[1, 1] / truth.height)
    return float(ratio_x + ratio_y) / 2 - 1


def rotation_angle_deg(R: NDArray[np.floating]) -> float:
    """Angle of a rotation [3, 3]."""
    return float(np.degrees(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1))))


def align_cameras(
    source: Sequence[Camera], target: Sequence[Camera]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Similarity `target = scale * R @ source + t` from camera centres and orientations together.

    Umeyama's fit of the centres with the orientations added to its correlation matrix, so that two cameras, or
    centres on a line, are enough.

    Raises:
        ValueError: numbers differ or there are fewer than two cameras.
    """
    if len(source) != len(target) or len(source) < 2:
        raise ValueError(f"alignment needs two or more pairs of cameras, got {len(source)} and {len(target)}")
    x, y = np.array([c.center for c in source]), np.array([c.center for c in target])
    centred_x, centred_y = x - x.mean(axis=0), y - y.mean(axis=0)
    size_x, size_y = np.linalg.norm(centred_x), np.linalg.norm(centred_y)
    correlation = np.mean([b.R.T @ a.R for a, b in zip(source, target, strict=True)], axis=0)
    if size_x > _SAME_PLACE and size_y > _SAME_PLACE:
        correlation += centred_y.T @ centred_x / (size_x * size_y)
    U, _, Vt = np.linalg.svd(correlation)
    R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    scale = 1.0
    if size_x > _SAME_PLACE:
        scale = float(np.sum(centred_y * (centred_x @ R.T)) / size_x**2)
        if scale <= 0:  # the centres contradict the orientations
            scale = float(size_y / size_x)
    return scale, R, y.mean(axis=0) - scale * R @ x.mean(axis=0)


def _center_error(estimated: Mapping[str, Camera], truth: Mapping[str, Camera], names: Sequence[str]) -> float | None:
    placed = [name for name in names if name in estimated]
    true_centers = np.array([truth[name].center for name in names])
    extent = float(np.linalg.norm(np.ptp(true_centers, axis=0)))
    if len(placed) < 2 or extent <= _SAME_PLACE:
        return None
    scale, R, t = align_cameras([estimated[name] for name in placed], [truth[name] for name in placed])
    errors = [np.linalg.norm(scale * R @ estimated[name].center + t - truth[name].center) for name in placed]
    return float(np.median(errors)) / extent


def _b_from_a(a: Camera, b: Camera) -> NDArray[np.float64]:
    return np.asarray(b.cam_from_world @ np.linalg.inv(a.cam_from_world))


def _angle_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if np.linalg.norm(a) <= _SAME_PLACE or np.linalg.norm(b) <= _SAME_PLACE:
        return 180.0
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))
