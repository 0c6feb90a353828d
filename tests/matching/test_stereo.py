import numpy as np
import pytest
from synthetic_stereo import Shape, intrinsics, looking_at, plane, render, sphere

from matching import _native
from matching.stereo import StereoConfig, StereoImage, estimate_depth, refine_depth
from matching.stereo_scale import make_scales

WIDTH, HEIGHT = 200, 150
K = intrinsics(WIDTH, HEIGHT, 220.0)
# About ten degrees apart as seen from the surfaces at depth 2.
CENTRES = [(0.0, 0.0, 0.0), (0.35, 0.0, 0.0), (-0.35, 0.05, 0.0), (0.0, 0.3, 0.05)]
FRONTAL = [plane((0, 0, 2), (0, 0, -1))]
SLANTED = [plane((0, 0, 2), (0.7, 0.2, -1))]
BALL = [sphere((0, 0, 2.3), 0.6), plane((0, 0, 3), (0, 0, -1), period=0.03)]


def photos(shapes: list[Shape], scale: float = 1.0) -> tuple[list[StereoImage], np.ndarray]:
    """The photos and the true depth of the first; `scale` multiplies every length."""
    images, truth = [], None
    reference = looking_at(CENTRES[0], (0, 0, 2))
    for centre in CENTRES:
        cam_from_world = looking_at(centre, (0, 0, 2))
        gray, depth = render(shapes, K, cam_from_world, WIDTH, HEIGHT)
        cam_from_reference = cam_from_world @ np.linalg.inv(reference)
        cam_from_reference[:3, 3] *= scale
        images.append(StereoImage(gray, K, cam_from_reference))
        truth = scale * depth if truth is None else truth
    return images, truth


def inner(values: np.ndarray) -> np.ndarray:
    """Without the border, where one source or none sees the surface."""
    return values[12:-12, 25:-25]


@pytest.mark.parametrize(("shapes", "least_share"), [(FRONTAL, 0.99), (SLANTED, 0.97), (BALL, 0.90)])
def test_depth_is_within_one_percent(shapes, least_share):
    (reference, *sources), truth = photos(shapes)
    depth, score = estimate_depth(reference, sources, (0.9, 25.0))
    error = np.abs(depth - truth) / truth
    assert (inner(error) < 0.01).mean() > least_share
    assert inner(score).mean() > 0.85


def test_depth_has_no_bias_and_is_sub_pixel():
    (reference, *sources), truth = photos(FRONTAL)
    depth, _ = estimate_depth(reference, sources, (0.9, 25.0))
    error_px = 220 * 0.35 * (1 / inner(depth) - 1 / inner(truth))  # disparity
    assert abs(np.median(error_px)) < 0.02
    assert np.median(np.abs(error_px)) < 0.06


def test_depth_does_not_depend_on_the_number_of_threads():
    (reference, *sources), _ = photos(BALL)
    one = estimate_depth(reference, sources, (0.9, 25.0), seed=3, num_threads=1)
    three = estimate_depth(reference, sources, (0.9, 25.0), seed=3, num_threads=3)
    np.testing.assert_array_equal(one[0], three[0])
    np.testing.assert_array_equal(one[1], three[1])


def test_another_seed_changes_little():
    (reference, *sources), _ = photos(BALL)
    a, _ = estimate_depth(reference, sources, (0.9, 25.0), seed=1)
    b, _ = estimate_depth(reference, sources, (0.9, 25.0), seed=2)
    assert not np.array_equal(a, b)
    assert (np.abs(inner(a) - inner(b)) < 0.005 * inner(a)).mean() > 0.8


def test_scaling_the_scene_scales_the_depth():
    (reference, *sources), _ = photos(SLANTED)
    (_, *larger_sources), _ = photos(SLANTED, scale=2.0)
    depth, score = estimate_depth(reference, sources, (0.9, 25.0))
    larger, larger_score = estimate_depth(reference, larger_sources, (1.8, 50.0))
    # A power of two: only the logarithm-free arithmetic below the float's mantissa, so nearly every pixel is exact.
    assert (larger == 2 * depth).mean() > 0.99
    np.testing.assert_allclose(larger_score, score, atol=0.05)


def test_sources_of_other_sizes_and_intrinsics_are_welcome():
    (reference, *_), truth = photos(FRONTAL)
    other_K = intrinsics(160, 180, 190.0)
    sources = []
    for centre in CENTRES[1:]:
        T = looking_at(centre, (0, 0, 2))
        sources.append(StereoImage(render(FRONTAL, other_K, T, 160, 180)[0], other_K, T))
    depth, score = estimate_depth(reference, sources, (0.9, 25.0))
    seen = inner(score) > 0.7
    assert seen.mean() > 0.8
    assert (np.abs(inner(depth) - inner(truth))[seen] < 0.01 * 2).mean() > 0.97


def test_gain_and_offset_of_a_source_change_nothing_much():
    (reference, *sources), truth = photos(SLANTED)
    darker = [StereoImage(0.7 * s.gray + 20, s.K, s.cam_from_reference) for s in sources]
    depth, _ = estimate_depth(reference, darker, (0.9, 25.0))
    assert (np.abs(inner(depth) - inner(truth)) < 0.01 * inner(truth)).mean() > 0.97


def test_pixels_that_are_not_valid_have_no_depth():
    (reference, *sources), _ = photos(FRONTAL)
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:, :80] = False
    masked = StereoImage(reference.gray, K, np.eye(4), valid)
    depth, score = estimate_depth(masked, sources, (0.9, 25.0))
    assert (depth[:, :80] == 0).all()
    assert (score[:, :80] == -1).all()
    assert (depth[20:-20, 100:150] > 0).all()


def test_a_source_that_is_nowhere_valid_is_not_seen():
    (reference, source, *_), _ = photos(FRONTAL)
    blind = StereoImage(source.gray, K, source.cam_from_reference, np.zeros((HEIGHT, WIDTH), bool))
    depth, score = estimate_depth(reference, [blind], (0.9, 25.0))
    assert (depth == 0).all()
    assert (score == -1).all()


def test_no_sources_are_refused():
    (reference, *_), _ = photos(FRONTAL)
    with pytest.raises(ValueError, match="sources"):
        estimate_depth(reference, [], (1.0, 10.0))


@pytest.mark.parametrize("depth_range", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 2.0)])
def test_a_bad_depth_range_is_refused(depth_range):
    (reference, *sources), _ = photos(FRONTAL)
    with pytest.raises(ValueError, match="depth_range"):
        estimate_depth(reference, sources, depth_range)


def test_a_source_looking_away_gives_no_depth():
    (reference, source, *_), _ = photos(FRONTAL)
    away = source.cam_from_reference.copy()
    away[:3, :3] = np.diag([-1.0, 1.0, -1.0]) @ away[:3, :3]
    away[:3, 3] = np.diag([-1.0, 1.0, -1.0]) @ away[:3, 3]
    depth, score = estimate_depth(reference, [StereoImage(source.gray, K, away)], (0.9, 25.0))
    assert (depth == 0).all()
    assert (score == -1).all()


def test_a_source_looking_away_does_no_harm_beside_good_ones():
    (reference, *sources), truth = photos(FRONTAL)
    away = sources[0].cam_from_reference.copy()
    away[:3] = np.diag([-1.0, 1.0, -1.0]) @ away[:3]
    depth, _ = estimate_depth(reference, [*sources, StereoImage(sources[0].gray, K, away)], (0.9, 25.0))
    assert (np.abs(inner(depth) - inner(truth)) < 0.01 * 2).mean() > 0.99


def test_plain_photos_score_zero():
    flat = np.full((HEIGHT, WIDTH), 90.0, np.float32)
    (_, *sources), _ = photos(FRONTAL)
    plain = [StereoImage(flat, s.K, s.cam_from_reference) for s in sources]
    _, score = estimate_depth(StereoImage(flat, K, np.eye(4)), plain, (0.9, 25.0))
    assert np.abs(score[score > -1]).max() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40), (31, 9)])
def test_tiny_photos_do_not_crash(size):
    rng = np.random.default_rng(0)
    images = []
    for x in (0.0, 0.1):
        T = np.eye(4)
        T[0, 3] = -x
        gray = rng.uniform(0, 255, size).astype(np.float32)
        images.append(StereoImage(gray, intrinsics(size[1], size[0], 30.0), T))
    depth, score = estimate_depth(images[0], images[1:], (0.5, 10.0))
    assert depth.shape == score.shape == size
    assert np.isfinite(depth).all()


def test_progress_runs_to_the_end():
    (reference, *sources), _ = photos(FRONTAL)
    calls: list[tuple[int, int]] = []
    estimate_depth(reference, sources, (0.9, 25.0), progress=lambda done, total, _: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]


def test_config_names_the_bad_field():
    with pytest.raises(ValueError, match="window_radius"):
        StereoConfig(window_radius=0)


def direct_score(reference, source, inverse_depth, radius, noise=0.25):
    """NCC in float64 from its definition, pixel by pixel: windows that lie inside, sources that see the centre."""
    height, width = reference.gray.shape
    H = source.K @ source.cam_from_reference[:3, :3] @ np.linalg.inv(reference.K)
    e = source.K @ source.cam_from_reference[:3, 3]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    p = np.stack([x, y, np.ones_like(x)], -1) @ H.T + inverse_depth[..., None] * e
    u, v = p[..., 0] / p[..., 2] - 0.5, p[..., 1] / p[..., 2] - 0.5
    rows, columns = source.gray.shape
    seen = (u >= 0) & (u <= columns - 1) & (v >= 0) & (v <= rows - 1)
    u, v = np.clip(u, 0, columns - 1), np.clip(v, 0, rows - 1)
    x0, y0 = np.minimum(u.astype(int), columns - 2), np.minimum(v.astype(int), rows - 2)
    fx, fy, g = u - x0, v - y0, source.gray.astype(np.float64)
    warped = (1 - fy) * ((1 - fx) * g[y0, x0] + fx * g[y0, x0 + 1])
    warped += fy * ((1 - fx) * g[y0 + 1, x0] + fx * g[y0 + 1, x0 + 1])
    score = np.full((height, width), np.nan)
    for row in range(radius, height - radius):
        for column in range(radius, width - radius):
            window = np.s_[row - radius : row + radius + 1, column - radius : column + radius + 1]
            a, b = reference.gray[window].astype(np.float64), warped[window]
            covariance = (a * b).mean() - a.mean() * b.mean()
            score[row, column] = covariance / np.sqrt((a.var() + noise) * (b.var() + noise))
    return np.where(seen, score, np.nan)


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("radius", [1, 2, 3, 4])
def test_score_equals_the_definition_of_ncc(isa, radius):
    (reference, source, *_), truth = photos(BALL)
    crop = np.s_[40:90, 60:130]
    K_crop = K.copy()
    K_crop[0, 2] -= 60
    K_crop[1, 2] -= 40
    reference = StereoImage(np.ascontiguousarray(reference.gray[crop]), K_crop, np.eye(4))
    noise = np.random.default_rng(0).normal(0, 0.01, (50, 70))
    candidate = (1 / truth[crop] + noise).astype(np.float32)
    scale = make_scales(reference, [source], (0.1, 1.0), 1, radius)[0]
    score = np.empty_like(candidate)
    _native.score_candidate(
        scale.padded,
        scale.mean,
        scale.variance,
        radius,
        scale.sources,
        num_best=1,
        unseen=-1.0,
        candidate=candidate,
        inverse_depth=None,
        score=score,
        margin=0.0,
        num_threads=1,
        isa=isa,
    )
    expected = direct_score(reference, source, candidate.astype(np.float64), radius)
    known = np.isfinite(expected)
    assert known.mean() > 0.6
    # Grey in 1/256 steps, coordinates in float32: both far below this.
    np.testing.assert_allclose(score[known], expected[known], atol=2e-3)


def test_proposed_depth_is_taken_where_it_fits_better():
    (reference, *sources), truth = photos(BALL)
    far = np.full_like(truth, 20.0)
    depth, score = refine_depth(reference, sources, (0.9, 25.0), far, [truth], [])
    assert (np.abs(inner(depth) - inner(truth)) < 0.01 * inner(truth)).mean() > 0.95
    assert inner(score).mean() > 0.9


def test_wrong_proposals_do_no_harm():
    (reference, *sources), truth = photos(BALL)
    wrong = (1.3 * truth).astype(np.float32)
    depth, _ = refine_depth(reference, sources, (0.9, 25.0), truth, [wrong], [wrong])
    assert (np.abs(inner(depth) - inner(truth)) < 0.01 * inner(truth)).mean() > 0.95


def test_maps_of_another_size_are_refused():
    (reference, *sources), truth = photos(FRONTAL)
    with pytest.raises(ValueError, match="depth maps"):
        refine_depth(reference, sources, (0.9, 25.0), truth, [truth[1:]], [])
