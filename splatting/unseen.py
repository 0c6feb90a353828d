"""Gaussians that no photo shows: most fill gaps in surfaces, some hang on beyond them as sheets."""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from splatting.gaussians import Gaussians

REACH = 4.0  # times its own size: an unseen Gaussian with a seen one this near fills a gap


def beyond_the_seen(gaussians: Gaussians, num_seeing: Tensor) -> Tensor:
    """Gaussians that no photo shows and that fill no gap between those that photos show.

    A surface is several Gaussians deep: what lies under the first is seen by no photo but closes the holes that another
    view finds, so it stays. Sheets that carry on what a photo showed past its frame are only Gaussians of this kind.

    Args:
        gaussians: N of them, finite.
        num_seeing: how many photos see each, [N]; see `splatting.visibility`.

    Returns:
        bool [N].
    """
    is_unseen = num_seeing == 0
    if is_unseen.all() or not is_unseen.any():
        return is_unseen
    means, size = gaussians.means.detach().cpu().numpy(), gaussians.log_scales.detach().exp().amax(1).cpu().numpy()
    unseen = is_unseen.cpu().numpy()
    rows = np.flatnonzero(unseen)
    distance, _ = cKDTree(means[~unseen]).query(means[rows])
    beyond = np.zeros(len(means), bool)
    beyond[rows] = distance > REACH * size[rows]
    return torch.from_numpy(beyond)
