"""Training of the pair network on synthetic pairs: seeded, resumable, and the same again from the same seed."""

import io
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from recon.bounds import check_bounds
from recon.regression.losses import pair_loss, pose_errors
from recon.regression.network import PairNetwork
from recon.regression.synthetic_pairs import SyntheticPairs, draw_pairs
from recon.whole_files import write_whole

log = logging.getLogger(__name__)

_VALIDATION_SEED = 1_000_003
_FEWEST, _MOST = 24, 512  # matches per pair in the last part of the training


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how the pair network is trained; a step takes about 0.25 CPU seconds."""

    num_steps: int = field(default=2800, metadata={"help": "batches of 64 pairs", "unit": "", "low": 1, "high": 10**7})
    num_matches: int = field(
        default=128, metadata={"help": "matches of a pair at first", "unit": "", "low": 16, "high": 2048}
    )
    batch_matches: int = field(
        default=8192,
        metadata={"help": "matches of a batch, of at most 128 pairs", "unit": "", "low": 64, "high": 10**6},
    )
    varied_share: float = field(
        default=0.2,
        metadata={"help": "last part of the steps, with 24 to 512 matches", "unit": "", "low": 0.0, "high": 1.0},
    )
    learning_rate: float = field(
        default=1.2e-3, metadata={"help": "highest of the cosine", "unit": "", "low": 1e-6, "high": 0.1}
    )
    warmup_steps: int = field(
        default=200, metadata={"help": "steps until it is reached", "unit": "", "low": 1, "high": 10_000}
    )
    averaging: float = field(
        default=0.999, metadata={"help": "decay of the averaged weights", "unit": "", "low": 0.0, "high": 0.99999}
    )
    checkpoint_every: int = field(
        default=400, metadata={"help": "steps between checkpoints and scores", "unit": "", "low": 1, "high": 10**6}
    )
    seed: int = field(default=0, metadata={"help": "of weights and data", "unit": "", "low": 0, "high": 2**31 - 1})

    def __post_init__(self) -> None:
        check_bounds(self)


FULL = TrainingConfig()
SMOKE = TrainingConfig(num_steps=600, warmup_steps=100, averaging=0.99, checkpoint_every=100)
"""About three CPU minutes: shows that everything works, not how good it gets."""


@dataclass(frozen=True)
class ValidationScores:
    """How well a network does on pairs it has not seen.

    Attributes:
        loss: as in training.
        precision, recall: of matches with an inlier probability above one half.
        rotation_deg, direction_deg: median errors of the hypothesis with the best score.
        closest_rotation_deg: median error of the hypothesis that is closest in rotation.
        focal: median relative error of the focal length where it is not known.
        within_sigma: share of rotation errors below the median that the predicted sigma promises; 0.5 is calibrated.
    """

    loss: float
    precision: float
    recall: float
    rotation_deg: float
    direction_deg: float
    closest_rotation_deg: float
    focal: float
    within_sigma: float


def validation_pairs(num_pairs: int = 512, num_matches: int = 128) -> SyntheticPairs:
    """The fixed validation set; its seed is never used in training."""
    return draw_pairs(num_pairs, num_matches, generator=Generator().manual_seed(_VALIDATION_SEED))


@torch.no_grad()
def validate(network: PairNetwork, pairs: SyntheticPairs) -> ValidationScores:
    """Score a network on pairs with truth."""
    prediction = network(pairs.coordinates, pairs.confidence, pairs.context)
    loss, _ = pair_loss(prediction, pairs)
    judged, said, right = pairs.is_judged, prediction.inlier_logits > 0, pairs.is_true
    agreed = (said & right).sum().float()
    rotation, direction, log_focal = pose_errors(prediction, pairs)
    best = prediction.scores.argmax(1, keepdim=True)
    valid, seen = pairs.is_valid, pairs.is_valid & pairs.has_parallax
    open_focal = valid & (pairs.context[:, 1] > 0.2)
    # 1.538 is the median of the length of a standard normal vector in three dimensions.
    promised = 1.538 * prediction.log_sigmas[..., 0].gather(1, best).exp()
    own_rotation = rotation.gather(1, best)
    return ValidationScores(
        float(loss),
        float(agreed / (said & judged).sum().clamp(min=1)),
        float(agreed / right.sum().clamp(min=1)),
        _median_deg(own_rotation[valid]),
        _median_deg(direction.gather(1, best)[seen]),
        _median_deg(rotation.min(1).values[valid]),
        float(log_focal.gather(1, best)[open_focal].expm1().median()),
        float((own_rotation < promised)[valid].float().mean()),
    )


def train(
    config: TrainingConfig,
    *,
    checkpoint: Path | None = None,
    validation: SyntheticPairs | None = None,
    report: Callable[[int, ValidationScores], None] = lambda step, scores: None,
) -> PairNetwork:
    """Train a network, going on from the checkpoint if there is one of the same config.

    The result depends on the config only, however often the training was interrupted (up to the last bits, as sums
    of another number of threads differ).

    Args:
        config: length, rates and seed.
        checkpoint: file for the state, written every few steps; None keeps nothing.
        validation: what is scored; None is the fixed set of `validation_pairs`.
        report: called with the validation scores of the averaged weights at every checkpoint; may raise to stop.

    Returns:
        The network with averaged weights, for inference.

    Raises:
        ValueError: the checkpoint is of another config.
    """
    run = _Run(config)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    validation = validation or validation_pairs()
    while run.step < config.num_steps:
        run.advance()
        if run.step % config.checkpoint_every == 0 or run.step == config.num_steps:
            if checkpoint is not None:
                run.save(checkpoint)
            report(run.step, validate(run.averaged, validation))
    return run.averaged


class _Run:
    """The state of a training: weights, their average, the optimiser and the generator of the data."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config, self.step = config, 0
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self.network, self.averaged = PairNetwork(), PairNetwork()
        self.averaged.load_state_dict(self.network.state_dict())
        self.averaged.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), config.learning_rate, weight_decay=1e-3)
        self.generator = Generator().manual_seed(config.seed)

    def advance(self) -> None:
        """One batch: gradient step and average."""
        for group in self.optimizer.param_groups:
            group["lr"] = _learning_rate(self.step, self.config)
        pairs = self._batch()
        loss, _ = pair_loss(self.network(pairs.coordinates, pairs.confidence, pairs.context), pairs)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.step += 1
        if not torch.isfinite(norm):  # one degenerate pair must not end a training of hours
            log.warning("step %d is left out: its gradient is not finite", self.step)
            return
        self.optimizer.step()
        # The average starts as a plain mean, so that the random start is soon forgotten.
        decay = min(self.config.averaging, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, own in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(own, 1 - decay)

    def _batch(self) -> SyntheticPairs:
        num_matches = self.config.num_matches
        if self.step >= (1 - self.config.varied_share) * self.config.num_steps:
            drawn = torch.rand((), generator=self.generator).item()
            num_matches = round(_FEWEST * (_MOST / _FEWEST) ** drawn)
        num_pairs = min(128, max(8, self.config.batch_matches // num_matches))
        return draw_pairs(num_pairs, num_matches, generator=self.generator)

    def save(self, path: Path) -> None:
        """Write everything needed to go on."""
        state: dict[str, Any] = {
            "config": asdict(self.config),
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(path, buffer.getvalue())

    def restore(self, path: Path) -> None:
        """Go on where a checkpoint left off."""
        state = torch.load(path, weights_only=True)
        if state["config"] != asdict(self.config):
            raise ValueError(f"{path} is a checkpoint of another training: {state['config']}")
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])


def _learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine down to 2 %."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return config.learning_rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / config.num_steps)))


def _median_deg(radians: Tensor) -> float:
    return math.degrees(float(radians.median()))
