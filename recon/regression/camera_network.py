"""A graph network that moves all cameras of a scene at once until their pairs agree.

Nodes are cameras, edges are pairs. In each of a few steps every edge looks at how the present cameras disagree with
its relative pose and with its matches, weighs what it would move its cameras by, and every camera moves. The order of
the cameras does not matter; camera 0 only fixes the frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from recon.regression.eight_point import essential, in_front, sampson
from recon.regression.network import rays
from recon.regression.rotations import rotation_from_vector

STEPS = 5
_WIDTH = 64
_EDGE_INPUTS = 3 + 3 + 3 + 3 + 1 + 2 + 6
_TURN_SCALE = 0.052  # rad, three degrees
_SHIFT_SCALE = 0.05  # half the sine of an angle, for a baseline of 1
_WITHIN_PX = (1.0, 3.0, 10.0)


@dataclass(frozen=True)
class GraphTensors:
    """B graphs of C cameras; entry [i, j] is the pair seen from camera i.

    Attributes:
        R, t: j_from_i, [B, C, C, 3, 3] and [B, C, C, 3], t of unit length.
        exists: [B, C, C], whether there is such a pair; never on the diagonal.
        evidence: [B, C, C, 2], log(1 + inliers) / 6 and the share of inliers.
        places: [B, C, C, S, 4], some likely matches in units: in i, then in j.
        focals: [B] units.
    """

    R: Tensor
    t: Tensor
    exists: Tensor
    evidence: Tensor
    places: Tensor
    focals: Tensor


@dataclass(frozen=True)
class Cameras:
    """B sets of C cameras in the frame of camera 0, at a mean distance of 1 from their middle.

    Attributes:
        R: cam_from_world, [B, C, 3, 3].
        centres: [B, C, 3].
    """

    R: Tensor
    centres: Tensor


class CameraNetwork(nn.Module):
    """Moves cameras; every step uses the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.message = nn.Sequential(
            nn.Linear(_EDGE_INPUTS + 2 * _WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU()
        )
        self.pull = nn.Linear(_WIDTH, 2)
        self.update = nn.GRUCell(2 * _WIDTH, _WIDTH)
        self.move = nn.Linear(_WIDTH, 6)
        for layer in (self.pull, self.move):  # at first every step is one of the classical iteration
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, graph: GraphTensors, cameras: Cameras) -> list[Cameras]:
        """The cameras after every step, the last ones best."""
        hidden = torch.zeros(*cameras.centres.shape[:2], _WIDTH)
        after = []
        for _ in range(STEPS):
            cameras, hidden = self._step(graph, cameras, hidden)
            after.append(cameras)
        return after

    def _step(self, graph: GraphTensors, cameras: Cameras, hidden: Tensor) -> tuple[Cameras, Tensor]:
        batch, count, _ = hidden.shape
        turn, shift, inputs = _disagreement(graph, cameras)
        own, other = hidden[:, :, None].expand(-1, -1, count, -1), hidden[:, None].expand(-1, count, -1, -1)
        message = self.message(torch.cat([inputs, own, other], -1))
        exists = graph.exists[..., None].float()
        message = message * exists
        # How much each pair turns and shifts its camera: what robust averaging says, corrected.
        pulls = _robust_weights(graph, turn, shift) * exists * self.pull(message).clamp(-8, 8).exp()
        pulls = pulls / (pulls.sum(2, keepdim=True) + 1.0)
        degree = exists.sum(2).clamp(min=1)
        pooled = torch.cat([message.sum(2) / degree, message.amax(2)], -1)
        hidden = self.update(pooled.flatten(0, 1), hidden.flatten(0, 1)).view(batch, count, _WIDTH)
        free = self.move(hidden)
        turn = (pulls[..., :1] * turn).sum(2) + 0.1 * free[..., :3]  # [B, C, 3], frame of the camera
        shift = (pulls[..., 1:] * shift).sum(2) + 0.1 * free[..., 3:]
        moved = cameras.centres + (cameras.R.transpose(-1, -2) @ shift[..., None])[..., 0]
        return in_frame_of_first(Cameras(rotation_from_vector(turn) @ cameras.R, moved)), hidden


def _robust_weights(graph: GraphTensors, turn: Tensor, shift: Tensor) -> Tensor:
    """Inliers of each pair, fewer where it disagrees, as in `camera_graph`: [B, C, C, 2] for turning and shifting."""
    inliers = (6 * graph.evidence[..., :1]).expm1()
    size = torch.stack([turn.norm(dim=-1) / _TURN_SCALE, shift.norm(dim=-1) / _SHIFT_SCALE], -1)
    return inliers / (1 + size.square()).square()


def in_frame_of_first(cameras: Cameras) -> Cameras:
    """The same cameras with camera 0 as the world, at a mean distance of 1 from their middle."""
    first = cameras.R[:, :1]
    centres = ((cameras.centres - cameras.centres[:, :1])[..., None, :] @ first.transpose(-1, -2))[..., 0, :]
    size = (centres - centres.mean(1, keepdim=True)).norm(dim=-1).mean(1)
    return Cameras(cameras.R @ first.transpose(-1, -2), centres / size.clamp(min=1e-6)[:, None, None])


def _disagreement(graph: GraphTensors, cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    """What each pair would turn and shift camera i by, in its frame, [B, C, C, 3]; and all the edge is told."""
    R, centres = cameras.R, cameras.centres
    wanted = graph.R.transpose(-1, -2) @ R[:, None]  # orientation of i as j and the pair see it
    turn = _rotation_vector(wanted @ R[:, :, None].transpose(-1, -2))
    towards = (R[:, :, None] @ (centres[:, None] - centres[:, :, None])[..., None])[..., 0]  # to j in the frame of i
    baseline = towards.norm(dim=-1, keepdim=True)
    now = towards / baseline.clamp(min=1e-6)
    measured = -(graph.R.transpose(-1, -2) @ graph.t[..., None])[..., 0]
    shift = 0.5 * baseline.clamp(max=5) * (now - measured)
    relative = R[:, None] @ R[:, :, None].transpose(-1, -2)  # j_from_i
    step = -(relative @ towards[..., None])[..., 0]
    fits = _match_fits(graph, relative, normalize(step, dim=-1))
    inputs = [turn, now, measured, now - measured, baseline.clamp(min=1e-3).log(), graph.evidence, fits]
    return turn, shift, torch.cat(inputs, -1)


def _match_fits(graph: GraphTensors, R: Tensor, t: Tensor) -> Tensor:
    """How well the matches of each pair fit relative poses, [B, C, C, 6]: shares within limits, in front, mean log."""
    shape = graph.exists.shape
    places = graph.places.flatten(0, 2)
    focals = graph.focals[:, None, None].expand(shape).flatten()
    rays_a, rays_b = rays(places[..., :2], focals), rays(places[..., 2:], focals)
    R, t = R.flatten(0, 2), t.flatten(0, 2)
    errors_px = 1024 * sampson(rays_a, rays_b, essential(R, t), focals)
    logs = errors_px.clamp(max=1000).log1p()
    parts = [torch.sigmoid(2 * (limit - errors_px) / limit).mean(1) for limit in _WITHIN_PX]
    parts += [logs.mean(1) / 3, logs.square().mean(1) / 9, in_front(rays_a, rays_b, R, t).float().mean(1)]
    return torch.stack(parts, -1).view(*shape, len(parts))


def _rotation_vector(R: Tensor) -> Tensor:
    """Rotation vectors [..., 3], with finite gradients; the direction is lost within a degree of half a turn."""
    skew = torch.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1)
    sine = (skew.square().sum(-1, keepdim=True) / 4).clamp(min=1e-12).sqrt()
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    return skew / (2 * sine) * torch.atan2(sine, cosine)
