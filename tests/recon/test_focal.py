from types import SimpleNamespace

import numpy as np
import poselib
import pytest

from recon.focal import TYPICAL, FocalEvidence, combined, evidence_from_matches
from recon.mapping import focal_hypotheses
from recon.match_graph import MatchGraph, PairMatches
from recon.sparse_model import MAPPING_SIDE_PX, MappingProblem, to_mapping_frame
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


def _pairs_say(monkeypatch: pytest.MonkeyPatch, *focals: float) -> FocalEvidence | None:
    """What is made of pairs that tell these focal lengths, whatever the matches."""
    told = iter(focals)
    turned = SimpleNamespace(R=np.diag([1.0, 0.9, 0.9]))

    def solve(*_: object) -> tuple[SimpleNamespace, dict[str, int]]:
        focal_px = next(told) * MAPPING_SIDE_PX
        camera = SimpleNamespace(focal=lambda: focal_px)
        return SimpleNamespace(camera1=camera, pose=turned), {}

    monkeypatch.setattr(poselib, "estimate_shared_focal_relative_pose", solve)
    nothing = np.zeros((200, 2), np.int64)
    pairs = tuple(PairMatches(0, i, nothing, 200, None) for i in range(1, len(focals) + 1))
    keypoints = (np.zeros((1, 2)),) * (len(focals) + 1)
    return evidence_from_matches(MappingProblem(keypoints, pairs, (0,) * len(keypoints)), 0, seed=0)


def test_a_lone_pair_is_believed_only_near_what_most_cameras_have(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _pairs_say(monkeypatch, 3.95) is None
    near = _pairs_say(monkeypatch, 1.1)
    assert near is not None
    assert near.focal == pytest.approx(1.1)
    agreeing = _pairs_say(monkeypatch, 2.9, 3.0, 3.1)
    assert agreeing is not None
    assert agreeing.focal == pytest.approx(3.0)


def test_pairs_that_contradict_each_other_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _pairs_say(monkeypatch, 0.99, 1.02, 4.89, 0.67, 4.06, 0.72, 0.72, 4.65) is None


def test_long_lenses_are_tried_where_only_habit_speaks() -> None:
    assert max(lenses[0].focal for lenses in focal_hypotheses([TYPICAL], 1.25)) > 2.3
    measured = FocalEvidence(0.9, 0.12, "matches")
    assert [round(lenses[0].focal, 3) for lenses in focal_hypotheses([measured], 1.25)] == [0.9, 0.72, 1.125]
