"""A network over the set of matches of a pair: which are right, and what the relative pose may be.

It does not depend on the order of the matches, and swapping the photos inverts what it says (`symmetric_prediction`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize, relu

from recon.regression.eight_point import epipolar_fit, essential, monomials, pose_in_front, refined_pose, sampson
from recon.regression.rotations import rotation_from_two_rows

WIDTH = 80
BLOCKS = 6
TOKENS = 10
HYPOTHESES = 6
_HIDDEN = 224
_MATCH_INPUTS = 8 + 3 + 4 + 1
_CONTEXT = 3
_FEEDBACK = 4
_MOST_LOG_FOCAL = 2.0  # a focal length is at most seven times the believed one
_ANCHOR = 9 + 3 + 4
_PER_HYPOTHESIS = 6 + 3 + 1 + 1 + 3  # rotation, direction, focal, score, log sigmas


@dataclass(frozen=True)
class PairPrediction:
    """What the network says of B pairs with N matches; K hypotheses each.

    Attributes:
        inlier_logits: [B, N].
        first_logits: [B, N], what the first half of the network thought; for training.
        rotations: [B, K, 3, 3] b_from_a.
        directions: [B, K, 3] of b_from_a, unit length.
        log_focals: [B, K] of the focal length over the believed one.
        scores: [B, K] logits of being the closest to the truth.
        log_sigmas: [B, K, 3] of the rotation (rad, per axis), the direction (rad, per axis) and the log of the focal.
        parallax_logits: [B] of a median ray angle above one degree.
    """

    inlier_logits: Tensor
    first_logits: Tensor
    rotations: Tensor
    directions: Tensor
    log_focals: Tensor
    scores: Tensor
    log_sigmas: Tensor
    parallax_logits: Tensor


class _AttentiveNorm(nn.Module):
    """Normalise each channel over the matches, weighted by how much each match is attended to [1].

    [1] Sun et al., ACNe: Attentive Context Normalization for Robust Permutation-Equivariant Learning, 2020.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:  # [B, N, C]
        weights = torch.softmax(self.attention(features), 1).transpose(1, 2)  # [B, 1, N]
        # Attention to a single match would make the variance nothing and the others huge.
        weights = (weights + 1 / features.shape[1]) / 2
        mean = weights @ features
        variance = weights @ features.square() - mean.square()
        return (features - mean) * (variance.clamp(min=0) + 1e-3).rsqrt()


class _Block(nn.Module):
    """Two layers with attentive normalisation around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.norms = nn.ModuleList([_AttentiveNorm(width) for _ in range(2)])
        self.scales = nn.Parameter(torch.ones(2, width))
        self.shifts = nn.Parameter(torch.zeros(2, width))

    def forward(self, features: Tensor) -> Tensor:
        hidden = features
        for linear, norm, scale, shift in zip(self.linears, self.norms, self.scales, self.shifts, strict=True):
            hidden = relu(torch.addcmul(shift, norm(linear(hidden)), scale))
        return features + hidden


class PairNetwork(nn.Module):
    """Matches of pairs to inlier logits and K hypotheses of the relative pose."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(_MATCH_INPUTS + _CONTEXT, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.blocks = nn.ModuleList([_Block(WIDTH) for _ in range(BLOCKS)])
        self.first_inlier = nn.Linear(WIDTH, 1)
        self.feedback = nn.Linear(_FEEDBACK, WIDTH)
        self.inlier = nn.Linear(WIDTH, 1)
        self.queries = nn.Parameter(0.3 * torch.randn(TOKENS, WIDTH))
        self.keys = nn.Linear(WIDTH, WIDTH)
        self.values = nn.Linear(WIDTH, WIDTH)
        pooled = TOKENS * WIDTH + 81 + _ANCHOR + _CONTEXT
        self.head = nn.Sequential(
            nn.Linear(pooled, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, HYPOTHESES * _PER_HYPOTHESIS + 1),
        )

    def forward(self, coordinates: Tensor, confidence: Tensor, context: Tensor) -> PairPrediction:
        in_a, in_b = coordinates[..., :2], coordinates[..., 2:]
        focals = context[:, 0].exp()
        rays_a, rays_b = rays(in_a, focals), rays(in_b, focals)
        features = self.embed(_match_features(in_a, in_b, confidence, context))
        for block in self.blocks[: BLOCKS // 2]:
            features = block(features)
        first = self.first_inlier(features)[..., 0]
        features = features + self.feedback(_fit_features(rays_a, rays_b, first.detach(), focals))
        for block in self.blocks[BLOCKS // 2 :]:
            features = block(features)
        logits = self.inlier(features)[..., 0]
        E, weights = epipolar_fit(rays_a, rays_b, torch.sigmoid(logits.detach()), focals)
        R, t = refined_pose(*pose_in_front(E, rays_a, rays_b, weights), rays_a, rays_b, weights, focals)
        anchor = _anchor(rays_a, rays_b, torch.sigmoid(logits.detach()), E, R, t, focals)
        out = self.head(torch.cat([self._pooled(features, logits, rays_a, rays_b), anchor, context], 1))
        return _decode(out, (logits, first), R, t)

    def _pooled(self, features: Tensor, logits: Tensor, rays_a: Tensor, rays_b: Tensor) -> Tensor:
        """Tokens that attend to likely matches, and their weighted normal matrix; [B, tokens * width + 81]."""
        attention = self.keys(features) @ self.queries.T * WIDTH**-0.5 + logsigmoid(logits)[..., None]
        tokens = torch.softmax(attention, 1).transpose(1, 2) @ self.values(features)
        rows = monomials(rays_a, rays_b)
        weights = torch.sigmoid(logits)
        weights = weights / (weights.sum(1, keepdim=True) + 1e-6)
        normal = (rows * weights[..., None]).transpose(1, 2) @ rows
        normal = normal / (normal.abs() + 1e-3).sqrt()  # signed root: entries of all sizes count
        return torch.cat([tokens.flatten(1), normal.flatten(1)], 1)


def rays(places: Tensor, focals: Tensor) -> Tensor:
    """Rays [B, N, 3] with z = 1 of image places [B, N, 2] in units."""
    return torch.cat([places / focals[:, None, None], torch.ones_like(places[..., :1])], -1)


def symmetric_prediction(
    network: PairNetwork, coordinates: Tensor, confidence: Tensor, context: Tensor
) -> PairPrediction:
    """The prediction from both directions: swapping the photos inverts it, in any order of the matches.

    Inlier and parallax logits are means; the hypotheses of b_from_a are followed by the inverted ones of a_from_b, so
    that there are 2 K. Arguments as for the network.
    """
    swapped = coordinates[..., [2, 3, 0, 1]]
    both = network(torch.cat([coordinates, swapped]), torch.cat([confidence] * 2), torch.cat([context] * 2))
    count = len(coordinates)
    R, t = both.rotations[count:].transpose(-1, -2), both.directions[count:]
    inverted = -(R @ t[..., None])[..., 0]
    return PairPrediction(
        (both.inlier_logits[:count] + both.inlier_logits[count:]) / 2,
        (both.first_logits[:count] + both.first_logits[count:]) / 2,
        torch.cat([both.rotations[:count], R], 1),
        torch.cat([both.directions[:count], inverted], 1),
        torch.cat([both.log_focals[:count], both.log_focals[count:]], 1),
        torch.cat([both.scores[:count], both.scores[count:]], 1),
        torch.cat([both.log_sigmas[:count], both.log_sigmas[count:]], 1),
        (both.parallax_logits[:count] + both.parallax_logits[count:]) / 2,
    )


def _match_features(in_a: Tensor, in_b: Tensor, confidence: Tensor, context: Tensor) -> Tensor:
    """[B, N, inputs]: epipolar monomials, how far the match moved, where its rays point, what the matcher thinks."""
    one = torch.ones_like(in_a[..., :1])
    rows = monomials(torch.cat([2 * in_a, one], -1), torch.cat([2 * in_b, one], -1))[..., :8]
    moved = in_b - in_a
    slopes = torch.cat([in_a, in_b], -1) / context[:, None, :1].exp()
    everywhere = context[:, None].expand(-1, in_a.shape[1], -1)
    parts = [rows, moved, moved.norm(dim=-1, keepdim=True), slopes, confidence[..., None], everywhere]
    return torch.cat(parts, -1)


def _fit_features(rays_a: Tensor, rays_b: Tensor, logits: Tensor, focals: Tensor) -> Tensor:
    """How well each match agrees with the epipolar geometry of those that seem right so far, [B, N, 4]."""
    weights = torch.sigmoid(logits)
    E, _ = epipolar_fit(rays_a, rays_b, weights, focals)
    errors_px = 1024 * sampson(rays_a, rays_b, E.float(), focals)
    parts = [errors_px.log1p() / 3, torch.exp(-((errors_px / 3) ** 2)), torch.exp(-((errors_px / 12) ** 2)), weights]
    return torch.stack(parts, -1)


def _anchor(rays_a: Tensor, rays_b: Tensor, weights: Tensor, E: Tensor, R: Tensor, t: Tensor, focals: Tensor) -> Tensor:
    """The refined eight-point pose, and how well it fits: [B, 16].

    The two singular values of E are the same for the right focal length and enough different depths.
    """
    singular = torch.linalg.svdvals(E).float()
    errors = sampson(rays_a, rays_b, essential(R, t), focals) * 1024
    fits = torch.stack([(errors < limit).float() for limit in (2.0, 6.0)], -1)  # [B, N, 2]
    shares = (weights[..., None] * fits).sum(1) / (weights.sum(1, keepdim=True) + 1e-6)
    return torch.cat([R.flatten(1), t, shares, weights.mean(1, keepdim=True), singular[:, 1:2] / singular[:, :1]], 1)


def _decode(out: Tensor, logits: tuple[Tensor, Tensor], R: Tensor, t: Tensor) -> PairPrediction:
    """Hypotheses from the head's numbers; the first half corrects the eight-point pose, the others are free."""
    own = out[:, :-1].reshape(len(out), HYPOTHESES, _PER_HYPOTHESIS)
    turned = rotation_from_two_rows(own[..., :6] + torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))
    corrects = (torch.arange(HYPOTHESES) < HYPOTHESES // 2)[:, None]
    rotations = torch.where(corrects[..., None], turned @ R[:, None], turned)
    log_focals = _MOST_LOG_FOCAL * torch.tanh(own[..., 9] / _MOST_LOG_FOCAL)
    directions = normalize(own[..., 6:9] + torch.where(corrects, t[:, None], torch.zeros(())), dim=-1)
    return PairPrediction(
        *logits, rotations, directions, log_focals, own[..., 10], own[..., 11:14].clamp(-7, 2), out[:, -1]
    )
