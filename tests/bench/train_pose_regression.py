"""Train the network that guesses relative poses, on synthetic pairs, and write its weights.

    python -m tests.bench.train_pose_regression --out assets/pose_regression.safetensors --checkpoint out/pose.pt

One core; about 40 CPU minutes, `--smoke` three. Run again after an interruption, it goes on from the checkpoint.
"""

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from recon.regression.training import FULL, SMOKE, ValidationScores, train
from recon.regression.weights import save_network


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="weights to write, .safetensors")
    parser.add_argument("--checkpoint", type=Path, help="state to go on from and to write every few minutes")
    parser.add_argument("--smoke", action="store_true", help="a short training")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)

    def report(step: int, scores: ValidationScores) -> None:
        values = "  ".join(f"{name} {value:.3f}" for name, value in asdict(scores).items())
        print(f"step {step}  {time.process_time():.0f} CPU s  {values}", flush=True)

    network = train(
        replace(SMOKE if options.smoke else FULL, seed=options.seed), checkpoint=options.checkpoint, report=report
    )
    save_network(network, options.out)


if __name__ == "__main__":
    main()
