"""Sparse models made by hand: exact cameras and points, with any choice of who sees what."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recon.match_graph import PairMatches
from recon.sparse_model import Lens, MappingProblem, SparseModel, to_mapping_frame
from splatting.camera import Camera


def exact_model(
    cameras: Sequence[Camera], xyz: NDArray[np.float64], seen: NDArray[np.bool_], *, noise_px: float = 0.0
) -> tuple[MappingProblem, SparseModel]:
    """The model whose camera i sees point j where `seen[i, j]`, and matches between all that see the same points.

    Args:
        cameras: of one focal length and with the principal point in the middle.
        xyz: points [N, 3].
        seen: [V, N].
        noise_px: of keypoints, in the mapping frame.
    """
    generator = np.random.default_rng(0)
    size = max(cameras[0].width, cameras[0].height)
    keypoints, row_of = [], np.cumsum(seen, axis=1) - 1
    for camera, own in zip(cameras, seen, strict=True):
        exact = to_mapping_frame(camera.project(xyz[own])[0], camera.width, camera.height)
        keypoints.append(exact + noise_px * generator.normal(0, 1, exact.shape))
    pairs = []
    for a, b in combinations(range(len(cameras)), 2):
        both = seen[a] & seen[b]
        if both.any():
            indices = np.stack([row_of[a, both], row_of[b, both]], axis=1)
            pairs.append(PairMatches(a, b, indices, len(indices), None))
    photo_of, point_of = np.nonzero(seen)
    lens = Lens(float(cameras[0].K[0, 0]) / size)
    poses = {i: camera.cam_from_world for i, camera in enumerate(cameras)}
    problem = MappingProblem(tuple(keypoints), tuple(pairs), (0,) * len(cameras))
    return problem, SparseModel((lens,), poses, xyz, point_of, photo_of, row_of[photo_of, point_of])
