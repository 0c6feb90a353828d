import numpy as np
import pytest

from recon.focal import TYPICAL, FocalEvidence, combined, evidence_from_matches
from recon.match_graph import MatchGraph
from recon.sparse_model import MappingProblem, to_mapping_frame
from splatting.camera import Camera
from tests.synthetic import arc_of_cameras, exact_scene


def problem_of(cameras: tuple[Camera, ...], *, noise_px: float = 0.3, num_points: int = 400) -> MappingProblem:
    graph: MatchGraph = exact_scene(cameras, noise_px=noise_px, num_points=num_points).graph
    keypoints = tuple(to_mapping_frame(k, c.width, c.height) for k, c in zip(graph.keypoints, cameras, strict=True))
    return MappingProblem(keypoints, graph.pairs, (0,) * len(cameras))


@pytest.mark.parametrize("focal", [0.55, 0.9, 2.0])
def test_pairs_tell_wide_and_long_lenses_apart(focal: float) -> None:
    evidence = evidence_from_matches(problem_of(arc_of_cameras(4, spread_deg=75, focal=focal)), 0, seed=0)
    assert evidence is not None
    assert evidence.focal == pytest.approx(focal, rel=0.15)
    assert abs(evidence.z_score(focal)) < 3
    assert evidence.source == "matches"


def test_parallel_optical_axes_tell_nothing() -> None:
    left = arc_of_cameras(1, spread_deg=0)[0]
    shifted = left.cam_from_world + np.eye(4, k=3) * -0.5
    assert evidence_from_matches(problem_of((left, Camera(left.K, shifted, 640, 480))), 0, seed=0) is None


def test_few_matches_tell_nothing() -> None:
    assert evidence_from_matches(problem_of(arc_of_cameras(3), num_points=60), 0, seed=0) is None


def test_pairs_of_other_lenses_are_not_asked() -> None:
    problem = problem_of(arc_of_cameras(3))
    assert evidence_from_matches(MappingProblem(problem.keypoints, problem.pairs, (0, 1, 2)), 1, seed=0) is None


def test_beliefs_multiply_like_gaussians() -> None:
    sharp = FocalEvidence(1.2, 0.1, "matches")
    both = combined([FocalEvidence(0.8, 0.1, "habit"), sharp])
    assert both.focal == pytest.approx((0.8 * 1.2) ** 0.5)
    assert both.sigma == pytest.approx(0.1 / 2**0.5)
    assert combined([TYPICAL, sharp]).source == "matches"
    assert abs(combined([TYPICAL, sharp]).z_score(1.2)) < 0.5


def test_no_beliefs_are_refused() -> None:
    with pytest.raises(ValueError, match="beliefs"):
        combined([])
