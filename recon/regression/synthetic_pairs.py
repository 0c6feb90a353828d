"""Matches between two cameras of random scenes, as bad as those of real matchers.

Errors are locally correlated and sometimes rounded to whole pixels. Wrong matches come in four kinds, of which two
agree with each other: a wrong plane, and a repeated pattern. Random ones alone would make it unrealistically easy.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from recon.focal import TYPICAL
from recon.regression.rotations import cross_matrix
from recon.regression.synthetic_scenes import SceneKind, Scenes, draw_scenes, log_uniform, uniform

_PX = 1 / 1024  # pixels are those of a photo whose longer side is 1024 px
_EXIF_SIGMA = 0.08
_MIN_TRUE = 8
_MIN_PARALLAX_DEG = 1.0  # below, the direction of the translation is not asked for
_MIN_FACING = 0.15  # cosine between normal and ray from which a surface is matched


@dataclass(frozen=True)
class SyntheticPairs:
    """B pairs with N matches each, and the truth.

    Attributes:
        coordinates: [B, N, 4], x and y in photo a, then in photo b, units.
        confidence: [B, N] in [0, 1]; zero where the matcher gives none.
        context: [B, 3], log of the believed focal length, its sigma, and 1 where there are confidences.
        is_true: [B, N].
        is_judged: [B, N], false for wrong matches that nobody could tell: they lie on the epipolar line.
        R, t: [B, 3, 3] and [B, 3], b_from_a, t of unit length.
        focals: [B] units.
        has_parallax: [B], the median ray angle is above one degree, so that t means something.
        is_valid: [B], there are enough true matches to ask for a pose.
        kinds: [B] as in `Scenes`.
    """

    coordinates: Tensor
    confidence: Tensor
    context: Tensor
    is_true: Tensor
    is_judged: Tensor
    R: Tensor
    t: Tensor
    focals: Tensor
    has_parallax: Tensor
    is_valid: Tensor
    kinds: Tensor


@dataclass(frozen=True)
class Corruption:
    """How bad the matches are; all ranges are drawn from uniformly, per pair.

    Attributes:
        outliers: share of wrong matches.
        noise_px: standard deviation of each coordinate, at 1024 px.
        known_focal: share of pairs whose focal length is known up to EXIF's rounding.
        exact_focal: those know it exactly, with EXIF's sigma.
    """

    outliers: tuple[float, float] = (0.0, 0.9)
    noise_px: tuple[float, float] = (0.3, 2.0)
    known_focal: float = 0.5
    exact_focal: bool = False


def draw_pairs(
    num_pairs: int,
    num_matches: int,
    *,
    generator: Generator,
    corruption: Corruption = Corruption(),
    kind: SceneKind | None = None,
) -> SyntheticPairs:
    """Draw pairs of new scenes; about 0.4 ms per pair of 128 matches on one core."""
    scenes = draw_scenes(num_pairs, 2, max(4 * num_matches, 160), generator=generator, kind=kind)
    return match_cameras(scenes, 0, 1, num_matches, generator=generator, corruption=corruption)


def match_cameras(
    scenes: Scenes, a: int, b: int, num_matches: int, *, generator: Generator, corruption: Corruption = Corruption()
) -> SyntheticPairs:
    """Match two cameras of every scene; matches that are missing for want of common points become wrong ones."""
    in_a, seen_a = _project(scenes, a)
    in_b, seen_b = _project(scenes, b)
    seen = seen_a & seen_b & ~_hidden(in_a, generator) & ~_hidden(in_b, generator)
    chosen = _choose(seen, in_a, num_matches, generator)
    take = chosen[..., None]
    in_a, in_b = in_a.gather(1, take.expand(-1, -1, 2)), in_b.gather(1, take.expand(-1, -1, 2))
    xyz = scenes.xyz.gather(1, take.expand(-1, -1, 3))
    rate = uniform(*corruption.outliers, len(seen), 1, generator=generator)
    is_true = seen.gather(1, chosen) & (torch.rand(chosen.shape, generator=generator) >= rate)
    sigma = uniform(*corruption.noise_px, len(seen), 1, 1, generator=generator) * _PX
    noisy_a, noisy_b = _blurred(in_a, in_a, sigma, generator), _blurred(in_b, in_a, sigma, generator)
    wrong = _wrong_places(in_a, in_b, scenes.half_sizes[:, b], generator)
    wrong_b = wrong + sigma * torch.randn(wrong.shape, generator=generator)
    noisy_b = torch.where(is_true[..., None], noisy_b, wrong_b)
    # Wrong matches of points that camera a does not see start anywhere in photo a.
    anywhere = uniform(-1, 1, *in_a.shape, generator=generator) * scenes.half_sizes[:, None, a]
    noisy_a = torch.where((is_true | seen.gather(1, chosen))[..., None], noisy_a, anywhere)
    noisy_a, noisy_b = _rounded(noisy_a, generator), _rounded(noisy_b, generator)
    R = scenes.R[:, b] @ scenes.R[:, a].transpose(-1, -2)
    t = scenes.t[:, b] - (R @ scenes.t[:, a, :, None])[..., 0]
    has_parallax = _parallax_deg(xyz, is_true, scenes, a, b) > _MIN_PARALLAX_DEG
    unit_t = normalize(t, dim=-1)
    errors = _epipolar_errors(noisy_a, noisy_b, R, unit_t, scenes.focals)
    confidence, has_confidence = _confidence(is_true, generator)
    return SyntheticPairs(
        torch.cat([noisy_a, noisy_b], -1),
        confidence,
        torch.cat([_focal_belief(scenes.focals, corruption, generator), has_confidence], -1),
        is_true,
        is_true | (errors > 3 * _PX) | ~has_parallax[:, None],
        R,
        unit_t,
        scenes.focals,
        has_parallax,
        is_true.sum(1) >= _MIN_TRUE,
        scenes.kinds,
    )


def _project(scenes: Scenes, camera: int) -> tuple[Tensor, Tensor]:
    """Where points land [B, M, 2], and whether they are seen there."""
    R, t = scenes.R[:, camera], scenes.t[:, camera]
    in_camera = scenes.xyz @ R.transpose(-1, -2) + t[:, None]
    normals = scenes.normals @ R.transpose(-1, -2)
    facing = -(normals * normalize(in_camera, dim=-1)).sum(-1)
    is_facing = (facing > _MIN_FACING) | (scenes.normals.square().sum(-1) < 0.5)
    flat = in_camera[..., :2] / in_camera[..., 2:].clamp(min=1e-3) * scenes.focals[:, None, None]
    flat = flat * (1 + scenes.radial[:, None, None] * flat.square().sum(-1, keepdim=True))
    inside = (flat.abs() < scenes.half_sizes[:, None, camera]).all(-1) & (in_camera[..., 2] > 0.05)
    return flat, inside & is_facing


def _hidden(places: Tensor, generator: Generator) -> Tensor:
    """Points behind something that is in the way: up to three discs per photo, [B, M]."""
    count = len(places)
    middles = uniform(-0.5, 0.5, count, 1, 3, 2, generator=generator)
    radii = uniform(-0.15, 0.2, count, 1, 3, generator=generator)  # half of the discs do not exist
    return ((places[:, :, None] - middles).norm(dim=-1) < radii).any(-1)


def _choose(seen: Tensor, places: Tensor, num_matches: int, generator: Generator) -> Tensor:
    """Points to match [B, N]: common ones first, denser near two random places where the texture is."""
    count = len(seen)
    middles = uniform(-0.4, 0.4, count, 1, 2, 2, generator=generator)
    width = log_uniform(0.08, 1.0, count, 1, generator=generator)
    distance = (places[:, :, None] - middles).norm(dim=-1).amin(-1)
    weight = torch.exp(-0.5 * (distance / width).square()) + 0.03
    # Exponential race: the smallest of -log(u) / weight are a weighted sample without replacement.
    race = -torch.rand(seen.shape, generator=generator).clamp(min=1e-9).log() / weight
    return torch.where(seen, race, 1e6 + race).topk(num_matches, dim=1, largest=False).indices


def _blurred(places: Tensor, where: Tensor, sigma: Tensor, generator: Generator) -> Tensor:
    """Add noise of which a part is a smooth function of the place in photo a."""
    count = len(places)
    frequencies = 2 * math.pi * uniform(-3, 3, count, 2, 4, generator=generator)
    phases = uniform(0, 2 * math.pi, count, 1, 4, generator=generator)
    amplitudes = 0.7 * torch.randn(count, 4, 2, generator=generator) / 2**0.5
    smooth = torch.sin(where @ frequencies + phases) @ amplitudes
    share = torch.rand(count, 1, 1, generator=generator) * 0.7
    return places + sigma * ((1 - share) * torch.randn(places.shape, generator=generator) + share * smooth)


def _rounded(places: Tensor, generator: Generator) -> Tensor:
    """Some matchers give whole pixels."""
    is_whole = torch.rand(len(places), 1, 1, generator=generator) < 0.2
    return torch.where(is_whole, (places / _PX).round() * _PX, places)


def _wrong_places(in_a: Tensor, in_b: Tensor, half_size_b: Tensor, generator: Generator) -> Tensor:
    """Places in photo b of wrong matches [B, N, 2]: anywhere, drifted, on a wrong plane, or a period off."""
    count, num = in_a.shape[:2]
    anywhere = uniform(-1, 1, count, num, 2, generator=generator) * half_size_b[:, None]
    reach = log_uniform(0.02, 0.15, count, 1, 1, generator=generator)
    drifted = in_b + reach * torch.randn(count, num, 2, generator=generator)
    linear = torch.eye(2) + 0.25 * torch.randn(count, 2, 2, generator=generator)
    shift = 0.2 * torch.randn(count, 1, 2, generator=generator)
    on_plane = in_a @ linear + shift
    period = log_uniform(0.03, 0.25, count, 1, 1, generator=generator)
    direction = normalize(torch.randn(count, 1, 2, generator=generator), dim=-1)
    steps = torch.randint(1, 3, (count, num, 1), generator=generator)
    steps = steps * torch.where(torch.rand(count, num, 1, generator=generator) < 0.8, 1, -1)
    repeated = in_b + period * direction * steps
    shares = torch.rand(count, 4, generator=generator) ** 3 + 1e-3  # usually one or two kinds rule
    kind = torch.multinomial(shares, num, replacement=True, generator=generator)[..., None]
    return (
        torch.where(kind < 2, torch.where(kind == 0, anywhere, drifted), torch.where(kind == 2, on_plane, repeated))
        .maximum(-half_size_b[:, None])
        .minimum(half_size_b[:, None])
    )


def _confidence(is_true: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Confidences [B, N] that tell something or nothing, none in half of the pairs; and whether there are, [B, 1]."""
    count = len(is_true)
    power = uniform(0, 1.2, count, 1, generator=generator).exp()
    numbers = torch.rand(is_true.shape, generator=generator)
    confidence = torch.where(is_true, numbers ** (1 / power), numbers**power)
    exists = (torch.rand(count, 1, generator=generator) < 0.5).float()
    return confidence * exists, exists


def _focal_belief(focals: Tensor, corruption: Corruption, generator: Generator) -> Tensor:
    """Log of the believed focal length and its sigma, [B, 2]: from EXIF, or what is typical."""
    is_known = torch.rand(len(focals), generator=generator) < corruption.known_focal
    error = _EXIF_SIGMA * torch.randn(len(focals), generator=generator) * (not corruption.exact_focal)
    log_focal = torch.where(is_known, focals.log() + error, math.log(TYPICAL.focal))
    return torch.stack([log_focal, torch.where(is_known, _EXIF_SIGMA, TYPICAL.sigma)], -1)


def _parallax_deg(xyz: Tensor, is_true: Tensor, scenes: Scenes, a: int, b: int) -> Tensor:
    """Median angle between the two rays of the true matches, [B] degrees; 0 without any."""
    centres = -(scenes.R.transpose(-1, -2) @ scenes.t[..., None])[..., 0]
    to_a = normalize(centres[:, None, a] - xyz, dim=-1)
    to_b = normalize(centres[:, None, b] - xyz, dim=-1)
    angle = 2 * torch.asin(((to_a - to_b).norm(dim=-1) / 2).clamp(max=1))
    angle = torch.where(is_true, angle, torch.nan)
    return torch.rad2deg(torch.nanmedian(angle, dim=1).values.nan_to_num(0))


def _epipolar_errors(in_a: Tensor, in_b: Tensor, R: Tensor, t: Tensor, focals: Tensor) -> Tensor:
    """Sampson distance [B, N] in units under the true pose."""
    one = torch.ones_like(in_a[..., :1])
    rays_a = torch.cat([in_a / focals[:, None, None], one], -1)
    rays_b = torch.cat([in_b / focals[:, None, None], one], -1)
    E = cross_matrix(t) @ R
    lines_b, lines_a = rays_a @ E.transpose(-1, -2), rays_b @ E
    slope = lines_b[..., :2].square().sum(-1) + lines_a[..., :2].square().sum(-1)
    return (rays_b * lines_b).sum(-1).abs() / slope.clamp(min=1e-12).sqrt() * focals[:, None]
