import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.align import moved_camera
from recon.pose_metrics import align_cameras, area_under_recall, pair_errors, score_poses
from splatting.camera import Camera
from tests.synthetic import arc_of_cameras

NAMES = [f"{i}.png" for i in range(6)]
TRUTH = dict(zip(NAMES, arc_of_cameras(6), strict=True))
ROTATION = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()


def turned(camera: Camera, axis: list[float], degrees: float) -> Camera:
    """The camera turned about its centre."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.array(axis)).as_matrix()
    return replace(camera, cam_from_world=turn @ camera.cam_from_world)


def disturbed() -> dict[str, Camera]:
    """Turned, shifted and refocused cameras in another world and size, one of them missing."""
    generator = np.random.default_rng(3)
    estimated = {}
    for name in NAMES[:-1]:
        camera = turned(TRUTH[name], [0.6, 0.0, 0.8], generator.uniform(1, 14))
        camera = replace(camera, cam_from_world=camera.cam_from_world + np.eye(4, k=3) * generator.normal(0, 0.2))
        camera = replace(camera, K=camera.K * [[1.04], [1.02], [1]]).resized(320, 240)
        estimated[name] = moved_camera(camera, 3.0, ROTATION, np.ones(3))
    return estimated


def test_a_similarity_of_the_world_costs_nothing() -> None:
    estimated = {name: moved_camera(camera, 5.0, ROTATION, np.ones(3)) for name, camera in TRUTH.items()}
    scores = score_poses(estimated, TRUTH, NAMES)
    assert scores.auc_5 == pytest.approx(1, abs=1e-6)
    assert (scores.rra_5, scores.rta_5, scores.num_placed) == (1, 1, 6)
    assert scores.focal_error == pytest.approx(0, abs=1e-12)
    assert scores.center_error == pytest.approx(0, abs=1e-9)


def test_a_turned_camera_shows_its_angle_in_its_pairs_only() -> None:
    estimated = TRUTH | {NAMES[2]: turned(TRUTH[NAMES[2]], [0, 0, 1.0], 12)}
    errors = pair_errors(estimated, TRUTH, NAMES).rotation_deg
    assert np.sum(np.isclose(errors, 12, atol=1e-6)) == 5
    assert np.sum(errors < 1e-4) == 10


def test_unplaced_photos_fail_in_all_their_pairs() -> None:
    scores = score_poses({name: TRUTH[name] for name in NAMES[:-1]}, TRUTH, NAMES)
    assert scores.num_placed == 5
    assert scores.rra_15 == pytest.approx(10 / 15)
    assert scores.auc_30 == pytest.approx(10 / 15, abs=1e-6)


def test_nothing_placed_scores_zero_and_has_no_focal_error() -> None:
    scores = score_poses({}, TRUTH, NAMES)
    assert (scores.auc_30, scores.focal_error, scores.center_error) == (0, None, None)


def test_area_under_recall_is_exact() -> None:
    assert area_under_recall(np.array([0.0, 5.0, 10.0, np.inf]), 10) == pytest.approx((1 + 0.5) / 4)


def test_two_cameras_are_enough_to_align() -> None:
    pair = [TRUTH[name] for name in NAMES[:2]]
    scale, R, t = align_cameras(pair, [moved_camera(camera, 3.0, ROTATION, np.ones(3)) for camera in pair])
    assert scale == pytest.approx(3)
    np.testing.assert_allclose(R, ROTATION, atol=1e-9)
    np.testing.assert_allclose(t, 1, atol=1e-9)


@pytest.mark.parametrize("names", [NAMES[:1], ["0.png", "absent.png"]])
def test_impossible_comparisons_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"at least 2|absent\.png"):
        pair_errors(TRUTH, TRUTH, names)


@pytest.mark.data
def test_scores_agree_with_the_stand_alone_evaluator() -> None:
    tool = Path(os.environ.get("HANDFUL_DATA", "../shared/data")) / ".." / "tools" / "eval_poses.py"
    if not tool.exists():
        pytest.skip("the stand-alone evaluator is not beside the photo sets")
    spec = importlib.util.spec_from_file_location("eval_poses", tool)
    evaluator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evaluator)

    def as_dicts(cameras: dict[str, Camera]) -> dict[str, dict]:
        return {
            name: {"w2c": c.cam_from_world[:3], "fx": c.K[0, 0], "fy": c.K[1, 1], "width": c.width, "height": c.height}
            for name, c in cameras.items()
        }

    theirs = evaluator.evaluate(as_dicts(disturbed()), as_dicts(TRUTH), NAMES)
    ours = score_poses(disturbed(), TRUTH, NAMES)
    shares = {"RRA@5": ours.rra_5, "RRA@15": ours.rra_15, "RTA@5": ours.rta_5, "RTA@15": ours.rta_15}
    shares |= {"AUC@5": ours.auc_5, "AUC@10": ours.auc_10, "AUC@30": ours.auc_30}
    for key, share in shares.items():  # theirs are percent, rounded to 3 digits
        assert 100 * share == pytest.approx(theirs[key], abs=6e-4), key
    assert 100 * ours.focal_error == pytest.approx(theirs["focal_error_percent"]["median_abs"], abs=1e-4)
    assert 100 * ours.center_error == pytest.approx(theirs["centre_error_percent_of_extent"]["median"], abs=1e-4)
    assert 0 < ours.auc_10 < 0.8  # the example is not trivial
