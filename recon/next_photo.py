"""Where a scene is weak, and where to take the next photo from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from recon.camera_paths import scene_center
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer, RenderOptions
from splatting.visibility import num_seeing

Floats = NDArray[np.float64]

SIDE_PX = 96  # of the pictures that places are judged by
STEPS_DEG = ((20, 0), (-20, 0), (0, 20), (0, -20), (20, 15), (-20, 15), (30, 0), (-30, 0))
NEAREST_DEG, FARTHEST_DEG = 8.0, 32.0  # to the nearest photo: nearer it tells nothing new, farther it is not placed
LEAST_KNOWN = 0.4  # of what it shows must be known to two photos, or it cannot be placed
STEEPEST_DEG, FLATTEST_DEG = 80.0, -10.0  # nobody lies under the floor
NEED = (0.1, 1.0)  # of what no photo sees, mostly guesses past the frames, and of what one does


@dataclass(frozen=True)
class NextPhoto:
    """A photo worth taking.

    Attributes:
        camera: where from, and with which lens: that of the nearest photo.
        beside: name of that photo.
        words: where that is, one sentence.
        weak_share: of what it shows only one photo sees so far, in [0, 1].
    """

    camera: Camera
    beside: str
    words: str
    weak_share: float


def suggest_next_photo(
    gaussians: Gaussians,
    shares: Tensor,
    cameras: Sequence[Camera],
    names: Sequence[str],
    rasterizer: Rasterizer,
    *,
    up: Sequence[float] = (0.0, 1.0, 0.0),
) -> NextPhoto | None:
    """The place near the photos from which most is seen that fewer than two of them see.

    Args:
        gaussians: N of them.
        shares: `visibilities` of them in the cameras [V, N].
        cameras: of the training photos, V of them.
        names: of the photos.
        rasterizer: draws; must know `RenderOptions.with_weights`.
        up: of the world.

    Returns:
        None if there is no such place: nothing is seen by two photos, or no place near shows enough of that.
    """
    seen = num_seeing(shares)
    known = (seen >= 2).numpy()
    if not known.any():
        return None
    center = scene_center(gaussians.means.double().numpy()[known], cameras)
    need = torch.where(seen == 0, NEED[0], torch.where(seen == 1, NEED[1], 0.0))
    splats, best, best_score = gaussians.detach().activate(), None, 0.0
    for camera, beside in _places(cameras, center, np.asarray(up, np.float64)):
        shrink = SIDE_PX / max(camera.width, camera.height)
        small = camera.resized(max(1, round(shrink * camera.width)), max(1, round(shrink * camera.height)))
        with torch.no_grad():
            weights = rasterizer(splats, small, options=RenderOptions(sh_degree=0, with_weights=True)).weights
        assert weights is not None
        known_share = float(weights[seen >= 2].sum() / weights.sum().clamp_min(1e-12))
        score = float((weights * need).sum()) / (small.width * small.height)
        if score > best_score and known_share >= LEAST_KNOWN:
            once_share = float(weights[seen == 1].sum() / weights.sum())
            best, best_score = (camera, beside, once_share), score
    if best is None:
        return None
    camera, beside, weak_share = best
    words = words_of_place(camera, cameras[beside], names[beside], center, np.asarray(up, np.float64))
    words += f": {100 * weak_share:.0f} % of what it shows only one photo has seen so far"
    return NextPhoto(camera, names[beside], words, weak_share)


def _places(cameras: Sequence[Camera], center: Floats, up: Floats) -> list[tuple[Camera, int]]:
    """Cameras turned about the centre to places that are near one photo and at none; each with its nearest photo."""
    directions = [_unit(camera.center - center) for camera in cameras]
    places = []
    for camera in cameras:
        for right_deg, up_deg in STEPS_DEG:
            moved = _turned(camera, center, up, right_deg, up_deg)
            direction = _unit(moved.center - center)
            angles = [float(np.rad2deg(np.arccos(np.clip(direction @ other, -1, 1)))) for other in directions]
            beside = int(np.argmin(angles))
            if (
                NEAREST_DEG <= angles[beside] <= FARTHEST_DEG
                and FLATTEST_DEG <= _elevation(direction, up) <= STEEPEST_DEG
            ):
                places.append((moved, beside))
    return places


def _turned(camera: Camera, center: Floats, up: Floats, right_deg: float, up_deg: float) -> Camera:
    """The camera carried to its right and upwards around the centre, its view of the centre unchanged."""
    across = np.cross(up, camera.center - center)
    across = _unit(across) if np.linalg.norm(across) > 1e-9 else camera.R[0]
    turn = Rotation.from_rotvec(np.deg2rad(right_deg) * up) * Rotation.from_rotvec(-np.deg2rad(up_deg) * across)
    R = camera.R @ turn.as_matrix().T
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = R
    cam_from_world[:3, 3] = -R @ (center + turn.apply(camera.center - center))
    return Camera(camera.K, cam_from_world, camera.width, camera.height)


def words_of_place(camera: Camera, beside: Camera, name: str, center: Floats, up: Floats) -> str:
    """Where a camera lies beside another one, as seen from there, around a centre [3]."""
    offset, own = beside.center - center, camera.center - center
    rise = _elevation(_unit(own), up) - _elevation(_unit(offset), up)
    flat_a, flat_b = (vector - (vector @ up) * up for vector in (offset, own))
    around = np.rad2deg(np.arctan2(np.cross(flat_a, flat_b) @ up, flat_a @ flat_b))
    parts = []
    if abs(around) >= 5:
        parts.append(f"{abs(around):.0f}° further to the {'right' if around > 0 else 'left'}")
    if abs(rise) >= 5:
        parts.append(f"{abs(rise):.0f}° {'higher' if rise > 0 else 'lower'}")
    return f"Take the next photo from beside {name}, {' and '.join(parts) or 'a little to the side'}"


def _elevation(direction: Floats, up: Floats) -> float:
    return float(np.rad2deg(np.arcsin(np.clip(direction @ up, -1, 1))))


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-30)
