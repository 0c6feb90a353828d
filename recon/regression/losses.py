"""What the network is trained for."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from recon.regression.network import PairPrediction
from recon.regression.rotations import direction_angle, rotation_angle
from recon.regression.synthetic_pairs import SyntheticPairs

_DIRECTION_WEIGHT = 0.4  # directions are known about half as well as rotations
_FOCAL_WEIGHT = 0.4
_OTHERS_SHARE = 0.03  # hypotheses that are not the closest are pulled a little, lest they die
_SCORE_SCALE = 0.1  # rad: hypotheses this much worse are not asked to score well
_SIGMA_WEIGHT = 0.02
_PARALLAX_WEIGHT = 0.1
_FIRST_WEIGHT = 0.4


def pose_errors(prediction: PairPrediction, truth: SyntheticPairs) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation (rad), direction (rad) and log-focal errors of all hypotheses, [B, K] each."""
    rotation = rotation_angle(prediction.rotations, truth.R[:, None])
    direction = direction_angle(prediction.directions, truth.t[:, None])
    log_focal = (prediction.log_focals - (truth.focals.log() - truth.context[:, 0])[:, None]).abs()
    return rotation, direction, log_focal


def pair_loss(prediction: PairPrediction, truth: SyntheticPairs) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its parts by name."""
    parts = {
        "inliers": _inlier_loss(prediction.inlier_logits, truth),
        "first_inliers": _FIRST_WEIGHT * _inlier_loss(prediction.first_logits, truth),
        **_pose_losses(prediction, truth),
    }
    parts["parallax"] = _PARALLAX_WEIGHT * binary_cross_entropy_with_logits(
        prediction.parallax_logits, truth.has_parallax.float()
    )
    return torch.stack(list(parts.values())).sum(), parts


def _inlier_loss(logits: Tensor, truth: SyntheticPairs) -> Tensor:
    """Cross entropy, right and wrong matches of a pair weighing the same; unjudgeable ones nothing."""
    right = truth.is_true.float()
    wrong = (truth.is_judged & ~truth.is_true).float()
    weights = 0.5 * (right / right.sum(1, keepdim=True).clamp(min=4) + wrong / wrong.sum(1, keepdim=True).clamp(min=4))
    return (binary_cross_entropy_with_logits(logits, right, reduction="none") * weights).sum(1).mean()


def _pose_losses(prediction: PairPrediction, truth: SyntheticPairs) -> dict[str, Tensor]:
    rotation, direction, log_focal = pose_errors(prediction, truth)
    seen = truth.has_parallax.float()[:, None]
    cost = rotation + _DIRECTION_WEIGHT * direction * seen + _FOCAL_WEIGHT * log_focal
    valid = truth.is_valid.float()
    closest = cost.min(1)
    pulled = (1 - _OTHERS_SHARE) * closest.values + _OTHERS_SHARE * cost.mean(1)
    target = torch.softmax(-cost.detach() / _SCORE_SCALE, 1)
    score = cross_entropy(prediction.scores, target, reduction="none")
    nll = _negative_log_likelihood(prediction.log_sigmas, rotation, direction, log_focal, seen)
    num_valid = valid.sum().clamp(min=1)
    return {
        "pose": (pulled * valid).sum() / num_valid,
        "score": 0.1 * (score * valid).sum() / num_valid,
        "sigma": _SIGMA_WEIGHT * (nll.mean(1) * valid).sum() / num_valid,
    }


def _negative_log_likelihood(
    log_sigmas: Tensor, rotation: Tensor, direction: Tensor, log_focal: Tensor, seen: Tensor
) -> Tensor:
    """Of the errors under Gaussians of 3, 2 and 1 dimensions, [B, K]; the errors are not pulled by it."""
    total = torch.zeros_like(rotation)
    always = torch.ones_like(seen)
    kinds = ((3, rotation, always), (2, direction, seen), (1, log_focal, always))
    for log_sigma, (dimensions, error, weight) in zip(log_sigmas.unbind(-1), kinds, strict=True):
        z = error.detach().square() * torch.exp(-2 * log_sigma)
        total = total + weight * (dimensions * log_sigma + 0.5 * z)
    return total
