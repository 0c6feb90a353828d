"""Whether the pair network knows how wrong it is: promised against true rotation errors on synthetic pairs.

python -m tests.bench.bench_pair_confidence [--weights FILE] [--pairs 2000]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import chi
from torch import Generator

from recon.regression.losses import pose_errors
from recon.regression.synthetic_pairs import draw_pairs
from recon.regression.weights import load_network

_SEED = 515


def main() -> None:
    """Print the shares of errors within promised quantiles, and of poses promised within 2 degrees that are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="weights to test; the shipped ones if left out")
    parser.add_argument("--pairs", type=int, default=2000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(options.weights)
    pairs = draw_pairs(options.pairs, 128, generator=Generator().manual_seed(_SEED))
    prediction = network(pairs.coordinates, pairs.confidence, pairs.context)
    best = prediction.scores.argmax(1, keepdim=True)
    valid = pairs.is_valid
    error = pose_errors(prediction, pairs)[0].gather(1, best)[valid, 0].numpy()
    sigma = prediction.log_sigmas[..., 0].exp().gather(1, best)[valid, 0].numpy()
    for share in (0.5, 0.68, 0.9, 0.95):
        print(f"promised {share:.0%}: {np.mean(error < sigma * chi.ppf(share, 3)):.1%}")
    for limit_deg in (2, 5, 10):
        promised = chi.cdf(np.radians(limit_deg) / sigma, 3) > 0.9
        right = np.mean(error[promised] < np.radians(limit_deg)) if promised.any() else float("nan")
        print(f"promised within {limit_deg} deg with 90%: {promised.mean():.1%} of the pairs, {right:.1%} of them are")


if __name__ == "__main__":
    main()
