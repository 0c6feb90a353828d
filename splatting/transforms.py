"""Gaussians moved by a similarity, so that they look the same from a camera that moved along."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import evaluate_bases


def transformed(gaussians: Gaussians, scale: float, R: NDArray[np.floating], t: NDArray[np.floating]) -> Gaussians:
    """The Gaussians in the world `scale * R @ x + t`.

    Centres move, ellipsoids turn and grow, and the spherical harmonics turn with them: a camera that is moved by the
    same similarity sees the same picture. Computed in double precision, stored in that of the Gaussians.

    Args:
        gaussians: in the old world.
        scale: positive.
        R: rotation [3, 3].
        t: translation [3], in units of the new world.

    Raises:
        ValueError: this is no similarity: a scale that is not positive and finite, or R is no rotation.
    """
    rotation, translation = np.asarray(R, np.float64), np.asarray(t, np.float64)
    if not (scale > 0 and np.isfinite(scale)) or translation.shape != (3,) or not np.isfinite(translation).all():
        raise ValueError(f"a similarity has a positive scale and a translation [3], got {scale} and {translation}")
    if rotation.shape != (3, 3) or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6):
        raise ValueError("R must be a rotation [3, 3]")
    if np.linalg.det(rotation) < 0:
        raise ValueError("R must be a rotation, not a reflection")
    means = gaussians.means.double() @ _like(rotation.T, gaussians.means) * scale + _like(translation, gaussians.means)
    return Gaussians(
        means=means.to(gaussians.means),
        log_scales=gaussians.log_scales + float(np.log(scale)),
        quats_wxyz=_turned_quats(gaussians.quats_wxyz, rotation),
        opacity_logits=gaussians.opacity_logits,
        sh=rotated_sh(gaussians.sh, rotation),
    )


def rotated_sh(sh: torch.Tensor, R: NDArray[np.floating]) -> torch.Tensor:
    """Coefficients [N, S, 3] of the same colours in a world turned by R [3, 3]: along `R @ d` as before along d."""
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[sh.shape[1]]
    turned = [sh[:, :1]]
    for order in range(1, degree + 1):
        matrix = _like(_sh_rotation(order, np.asarray(R, np.float64)), sh)
        band = sh[:, order**2 : (order + 1) ** 2].double()
        turned.append(torch.einsum("ij,njc->nic", matrix, band).to(sh))
    return torch.cat(turned, dim=1)


def _sh_rotation(order: int, R: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the coefficients of one order mix, [2 order + 1, 2 order + 1]: no order mixes with another.

    With B(d) the bases along d, the turned colour along d is B(R^T d) c = B(d) M c. M follows from enough directions.
    """
    directions, inverse = _directions(order)
    turned = evaluate_bases(order, torch.from_numpy(directions @ R))[:, order**2 :].numpy()  # rows are R^T d
    return inverse @ turned


@lru_cache
def _directions(order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors [D, 3] all around, and the pseudo-inverse [2 order + 1, D] of the bases along them."""
    count = 64  # well above 2 order + 1: the inverse is then as good as exact
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))  # the golden angle
    radius = np.sqrt(1 - z * z)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    bases = evaluate_bases(order, torch.from_numpy(directions))[:, order**2 :].numpy()
    return directions, np.linalg.pinv(bases)


def _turned_quats(quats_wxyz: torch.Tensor, R: NDArray[np.float64]) -> torch.Tensor:
    """Quaternions [N, 4] of `R @ rotation`; lengths stay."""
    x, y, z, w = Rotation.from_matrix(R).as_quat(canonical=True)
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return (quats_wxyz.double() @ _like(left.T, quats_wxyz)).to(quats_wxyz)


def _like(values: NDArray[np.float64], tensor: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(tensor.device)
