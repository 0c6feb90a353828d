"""Which way is up in a file, and the turn between the two customs.

Our world is right-handed with +Y up, as glTF's. SPZ and glTF say the same of theirs. 3DGS PLY, compressed PLY, .splat
and SOG say nothing; by custom they hold the world of the cameras they were trained on, y down and z forward, and
viewers turn them over. A half turn about x, (x, y, z) -> (x, -y, -z), leads from one to the other.
"""

from typing import Literal

from splatting.gaussians import Gaussians

Up = Literal["+y", "-y"]

# Spherical harmonics along (x, -y, -z): odd in y and z together changes the sign. Order of `evaluate_bases`.
_SIGNS = (1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1)


def half_turn(gaussians: Gaussians) -> Gaussians:
    """Turned by 180 degrees about x; exact, nothing is rounded, and twice gives the same bits.

    The ellipsoids are turned about their own x axes, too, which changes none of them: identities stay identities.
    """
    flip = gaussians.means.new_tensor((1, -1, -1))
    signs = gaussians.sh.new_tensor(_SIGNS[: gaussians.sh.shape[1]])
    return Gaussians(
        means=gaussians.means * flip,
        log_scales=gaussians.log_scales,
        quats_wxyz=gaussians.quats_wxyz * gaussians.quats_wxyz.new_tensor((1, 1, -1, -1)),
        opacity_logits=gaussians.opacity_logits,
        sh=gaussians.sh * signs[:, None],
    )


def between(gaussians: Gaussians, source: Up, target: Up) -> Gaussians:
    """The Gaussians of a world with one way up in a world with another."""
    return gaussians if source == target else half_turn(gaussians)
