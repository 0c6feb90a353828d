"""Which Gaussians are likely floaters: what the fit left hanging where nothing is.

No sign is sure, so each only adds to a score, and a strength between 0 and 1 says how much must speak against a
Gaussian for it to be selected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Gaussians, Splats
from splatting.rasterizer import Rasterizer
from splatting.visibility import SEEN_SHARE, Progress, num_seeing, reduced, visibilities

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

NEIGHBOURS = 6
WEIGHTS = {
    "before_surface": 0.8,
    "lonely": 0.5,
    "near_camera": 0.5,
    "needle": 0.5,
    "seen_once": 0.3,
    "faint": 0.3,
    "huge": 0.3,
}
"""What each sign alone makes of the score. In front of what others saw is the one that a photo contradicts."""
NEAREST, FARTHEST = 0.8, 0.97  # of a surface's depth: in front of the first for sure, behind the second not at all
STRICTEST, LOOSEST = 0.95, 0.15  # score that is needed at strengths next to 0, and at 1


@dataclass(frozen=True)
class FloaterSigns:
    """What speaks for each of N Gaussians being a floater, each sign in [0, 1], float32 [N].

    Attributes:
        before_surface: hangs in front of what photos show there, and more of them than have it on their surface.
        seen_once: a single photo sees it. What none sees is no floater: it fills what stands behind something.
        lonely: far from its neighbours, in its own size.
        faint: hardly opaque.
        near_camera: much nearer to a camera than what that camera shows.
        huge: covers a large part of a photo.
        needle: long and thin, and not small.
        num_supports: int64; how many photos see it on their surface. That speaks for it.
    """

    before_surface: Floats
    seen_once: Floats
    lonely: Floats
    faint: Floats
    near_camera: Floats
    huge: Floats
    needle: Floats
    num_supports: NDArray[np.int64]


def floater_signs(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    rasterizer: Rasterizer,
    *,
    verified_depths: Sequence[Floats] | None = None,
    shares: Tensor | None = None,
    progress: Progress = lambda done, total, message: None,
) -> FloaterSigns:
    """Look at every Gaussian from every training camera.

    Args:
        gaussians: N of them.
        cameras: of the training photos, V of them.
        rasterizer: draws; must know `RenderOptions.with_weights`.
        verified_depths: [H, W] per camera, of the cameras' proportions, 0 where unknown: what several photos agree on.
            Where there is none, the median depth of the splats themselves is the surface.
        shares: `visibilities` of the Gaussians in these cameras, if they are known.
        progress: told how far it is.

    Raises:
        ValueError: there are no cameras, or another number of depth maps.
    """
    if not cameras or (verified_depths is not None and len(verified_depths) != len(cameras)):
        raise ValueError(f"one camera and a depth map for each are needed, got {len(cameras)} cameras")
    if shares is None:
        shares = visibilities(gaussians, cameras, rasterizer, progress=progress)
    splats = gaussians.detach().activate()
    xyz, scales = splats.means.double().numpy(), np.sort(splats.scales.double().numpy(), axis=1)
    looks = []
    for idx, camera in enumerate(cameras):
        progress(idx, len(cameras), "comparing with the surfaces")
        verified = None if verified_depths is None else verified_depths[idx]
        looks.append(_look(xyz, camera, _surface(splats, camera, rasterizer, verified), shares[idx].numpy()))
    nearest = np.min([look.distance for look in looks], axis=0)
    relative = np.min([look.relative_distance for look in looks], axis=0)
    angle = scales / np.maximum(nearest, 1e-12)[:, None]
    before = np.sum([look.before for look in looks], axis=0)
    supports = np.sum([look.is_on_surface for look in looks], axis=0)
    signs = {
        "before_surface": before / np.maximum(before + supports, 1),
        "seen_once": num_seeing(shares).numpy() == 1,
        "lonely": _rising(_loneliness(xyz, scales[:, 1]), 2.0, 8.0),
        "faint": 1 - _rising(splats.opacities.numpy(), 0.0, 0.3),
        "near_camera": 1 - _rising(relative, 0.15, 0.5),
        "huge": _rising(angle[:, 2], 0.04, 0.2),
        "needle": _rising(angle[:, 2], 0.01, 0.03) * _rising(scales[:, 2] / np.maximum(scales[:, 1], 1e-30), 4.0, 12.0),
    }
    return FloaterSigns(
        **{name: np.asarray(sign, np.float32) for name, sign in signs.items()},
        num_supports=supports.astype(np.int64),
    )


def floater_scores(signs: FloaterSigns) -> Floats:
    """How likely each Gaussian is a floater, [N] in [0, 1].

    Signs add up as if they were independent; with each photo that has it on its surface they count less.
    """
    innocent = np.ones(len(signs.faint), np.float32)
    for name, weight in WEIGHTS.items():
        innocent *= 1 - weight * getattr(signs, name)
    return np.asarray((1 - innocent) / (1 + signs.num_supports), np.float32)


def likely_floaters(scores: Floats, strength: float) -> NDArray[np.bool_]:
    """Which Gaussians to select at a strength: none at 0; a larger strength selects more and never fewer.

    Raises:
        ValueError: the strength is not in [0, 1].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be 0 to 1, got {strength}")
    if strength == 0:
        return np.zeros(len(scores), bool)
    return np.asarray(scores > STRICTEST + strength * (LOOSEST - STRICTEST))


@dataclass(frozen=True)
class _Look:
    """What one camera says of each: in front of its surface, seen on it, distance, and that in its usual ones; [N]."""

    before: Doubles
    is_on_surface: NDArray[np.bool_]
    distance: Doubles
    relative_distance: Doubles


def _surface(splats: Splats, camera: Camera, rasterizer: Rasterizer, verified: Floats | None) -> Floats:
    """Depth of what a camera shows [H, W]: verified where it is known, else the median depth of the splats."""
    with torch.no_grad():
        rendered: Floats = rasterizer(splats, reduced(camera)).median_depth.numpy()
    if verified is None:
        return rendered
    height, width = verified.shape
    row, column = (np.arange(n) * m // n for n, m in zip((height, width), rendered.shape, strict=True))
    return np.where(verified > 0, verified, rendered[row[:, None], column])


def _look(xyz: Doubles, camera: Camera, depth: Floats, shares: Floats) -> _Look:
    pixels, z = camera.project(xyz)
    height, width = depth.shape
    column = np.floor(np.clip(pixels[:, 0] * width / camera.width, -1, width)).astype(int)
    row = np.floor(np.clip(pixels[:, 1] * height / camera.height, -1, height)).astype(int)
    inside = (z > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    surface = np.where(inside, depth[row.clip(0, height - 1), column.clip(0, width - 1)], 0.0)
    is_known = surface > 0
    relative = np.where(is_known, z / np.where(is_known, surface, 1), np.inf)
    is_on_surface = (np.abs(relative - 1) < 1 - FARTHEST) & (shares > SEEN_SHARE)
    usual = float(np.median(depth[depth > 0])) if (depth > 0).any() else 1.0
    distance = np.linalg.norm(xyz - camera.center, axis=1)
    return _Look(1 - _rising(relative, NEAREST, FARTHEST), is_on_surface, distance, distance / usual)


def _loneliness(xyz: Doubles, size: Doubles) -> Doubles:
    """Mean distance to the nearest neighbours over the middle axis of each Gaussian [N]."""
    count = min(NEIGHBOURS, len(xyz) - 1)
    if count < 1:
        return np.zeros(len(xyz))
    distances, _ = cKDTree(xyz).query(xyz, count + 1)
    return np.asarray(distances[:, 1:].mean(axis=1) / np.maximum(size, 1e-30))


def _rising(values: NDArray[np.floating], low: float, high: float) -> Doubles:
    """0 up to `low`, 1 from `high` on, straight between."""
    return np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)
