import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon.camera_files import read_cameras
from recon.errors import ReconError
from recon.match_graph import MatchGraph, PairMatches
from recon.match_photos import MatchingConfig, match_photos
from recon.photo_loading import load_photos
from recon.pose_metrics import focal_error, score_poses
from recon.poses import PoseConfig, estimate_poses, reconstruction_from_cameras
from recon.progress import Cancelled
from recon.undistort import DistortedCamera, distort
from splatting.camera import Camera
from tests.photo_sets import scene_dir
from tests.synthetic import SyntheticScene, arc_of_cameras, exact_scene, write_photos

NO_DISTORTION = np.zeros(4)
CONFIG = PoseConfig()


def estimate(photos: list, scene: SyntheticScene, **changes: object):
    settings: dict = {"working_side_px": 160, "heldout": frozenset(), "seed": 0} | changes
    return estimate_poses(photos, scene.graph, CONFIG, **settings)


def truth_of(photos: list, scene: SyntheticScene) -> dict[str, Camera]:
    return {photo.name: camera for photo, camera in zip(photos, scene.cameras, strict=True)}


def keep_pairs(scene: SyntheticScene, keep: object) -> SyntheticScene:
    """Replace each pair of photos by `keep(pair)`."""
    return replace(scene, graph=MatchGraph(scene.graph.keypoints, tuple(map(keep, scene.graph.pairs))))


def test_cameras_of_an_exact_scene_are_found_with_their_focal(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(5, focal=1.1), noise_px=0.2)
    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, scene)
    truth = truth_of(photos, scene)
    scores = score_poses({view.name: view.camera for view in found.views}, truth, [p.name for p in photos])
    assert scores.num_placed == 5
    assert scores.auc_5 > 0.97  # 0.2 px at 640 px are 0.02 degrees a point
    assert scores.focal_error < 0.01
    assert found.unplaced == ()
    assert len(found.points) > 0.95 * len(scene.xyz)
    assert np.median(found.points.error_px) < 0.1  # in views of 160 px


def test_three_photos_do_not_let_the_focal_run_away(tmp_path: Path) -> None:
    """Plain mapping from a typical start multiplies it by 12 to 19 on real photos."""
    scene = exact_scene(arc_of_cameras(3, spread_deg=35, focal=0.72), noise_px=0.5)
    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, scene)
    assert len(found.views) == 3
    assert abs(focal_error(found.views[0].camera, scene.cameras[0])) < 0.1


def test_an_exif_focal_is_believed_and_still_refined(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(5, focal=1.0), noise_px=0.2)
    photos = write_photos(tmp_path, scene.cameras, focal_prior_px=1.05 * 640)
    found = estimate(photos, scene)
    assert abs(focal_error(found.views[0].camera, scene.cameras[0])) < 0.01


def test_radial_distortion_is_found_and_removed(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(6), noise_px=0.1)
    K = scene.cameras[0].K
    bent = tuple(
        (distort((points - K[:2, 2]) / K[0, 0], np.array([-0.12, 0, 0, 0])) * K[0, 0] + K[:2, 2]).astype(np.float32)
        for points in scene.graph.keypoints
    )
    scene = replace(scene, graph=MatchGraph(bent, scene.graph.pairs))
    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, scene)
    assert abs(focal_error(found.views[0].camera, scene.cameras[0])) < 0.01
    assert np.median(found.points.error_px) < 0.08
    assert len(found.points) > 0.95 * len(scene.xyz)


def test_held_out_photos_are_placed_and_marked(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(4))
    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, scene, heldout=frozenset({"2.png"}))
    assert [view.is_heldout for view in found.views] == [False, False, True, False]
    assert all(set(track) - {2} for track in found.points.view_indices)


def test_a_photo_without_matches_is_left_out_and_named(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(4))
    nothing = np.zeros((0, 2), np.int64)
    scene = keep_pairs(scene, lambda p: PairMatches(p.a, p.b, nothing, 9, "too few") if p.b == 3 else p)
    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, scene)
    assert [view.name for view in found.views] == ["0.png", "1.png", "2.png"]
    assert found.unplaced[0].name == "3.png"
    assert "no verified matches" in found.unplaced[0].reason


def test_a_photo_with_too_few_ties_is_left_out_with_their_number(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(4))
    scene = keep_pairs(scene, lambda p: replace(p, indices=p.indices[:8]) if p.b == 3 else p)
    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, scene)
    assert len(found.views) == 3
    assert "Only 8 of its matches" in found.unplaced[0].reason


def test_a_photo_that_most_of_its_matches_contradict_is_left_out(tmp_path: Path) -> None:
    """As with repeated structure: a few true matches place it, many with another photo say otherwise."""
    scene = exact_scene(arc_of_cameras(4))
    shuffled = np.stack([np.arange(300), np.random.default_rng(0).permutation(300)], axis=1)

    def disturb(pair: PairMatches) -> PairMatches:
        if pair.b != 3:
            return pair
        return replace(pair, indices=shuffled if pair.a == 1 else pair.indices[:40])

    photos = write_photos(tmp_path, scene.cameras)
    found = estimate(photos, keep_pairs(scene, disturb))
    assert [view.name for view in found.views] == ["0.png", "1.png", "2.png"]
    assert "contradict" in found.unplaced[0].reason


def test_photos_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(3))
    nothing = np.zeros((0, 2), np.int64)
    scene = keep_pairs(scene, lambda p: PairMatches(p.a, p.b, nothing, 5, "too few"))
    with pytest.raises(ReconError, match="Only 0 of 3 photos could be placed"):
        estimate(write_photos(tmp_path, scene.cameras), scene)


def test_a_handful_of_points_is_not_taken_for_a_scene(tmp_path: Path) -> None:
    """Pictures of coarse noise gave two photos and 13 points."""
    scene = exact_scene(arc_of_cameras(3), num_points=20)
    photos = write_photos(tmp_path, scene.cameras)
    with pytest.raises(ReconError, match="common points") as caught:
        estimate(photos, scene)
    assert caught.value.hint


def test_rejected_pairs_are_not_used(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(3))
    scene = keep_pairs(scene, lambda p: replace(p, rejected="scattered"))
    with pytest.raises(ReconError, match="Only 0 of 3"):
        estimate(write_photos(tmp_path, scene.cameras), scene)


def test_the_same_seed_gives_the_same_cameras(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(4), noise_px=0.5)
    photos = write_photos(tmp_path, scene.cameras)
    first, second = (estimate(photos, scene, seed=3) for _ in range(2))
    for a, b in zip(first.views, second.views, strict=True):
        np.testing.assert_array_equal(a.camera.cam_from_world, b.camera.cam_from_world)
        np.testing.assert_array_equal(a.camera.K, b.camera.K)


def test_cancelling_takes_effect(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(4))

    def cancel(done: int, total: int, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        estimate(write_photos(tmp_path, scene.cameras), scene, progress=cancel)


def test_portrait_and_landscape_photos_share_one_focal(tmp_path: Path) -> None:
    upright_cameras = arc_of_cameras(4, size=(640, 480))
    turned = arc_of_cameras(4, size=(480, 640))
    scene = exact_scene((*upright_cameras[:2], *turned[2:]), noise_px=0.2)
    found = estimate(write_photos(tmp_path, scene.cameras), scene)
    focals = [view.camera.K[0, 0] for view in found.views]
    assert np.ptp(focals) < 1e-9
    assert focals[0] == pytest.approx(0.9 * 160, rel=0.02)


def test_resized_photos_share_one_focal_in_longer_sides(tmp_path: Path) -> None:
    scene = exact_scene((*arc_of_cameras(4)[:2], *arc_of_cameras(4, size=(320, 240))[2:]), noise_px=0.2)
    found = estimate(write_photos(tmp_path, scene.cameras), scene)
    shares = [view.camera.K[0, 0] / view.camera.width for view in found.views]
    assert np.ptp(shares) < 1e-9
    assert shares[0] == pytest.approx(0.9, rel=0.02)


def test_known_cameras_are_kept_and_their_matches_triangulated(tmp_path: Path) -> None:
    K = np.array([[580, 0, 330], [0, 600, 230], [0, 0, 1.0]])
    cameras = tuple(replace(camera, K=K) for camera in arc_of_cameras(4))
    scene = exact_scene(cameras)
    photos = write_photos(tmp_path, cameras)
    known = {f"{i}.jpg": DistortedCamera(camera, NO_DISTORTION) for i, camera in enumerate(cameras[:3])}
    found = reconstruction_from_cameras(photos, scene.graph, known, working_side_px=640, heldout=frozenset())
    assert [view.name for view in found.views] == ["0.png", "1.png", "2.png"]
    assert [photo.name for photo in found.unplaced] == ["3.png"]
    np.testing.assert_array_equal(found.views[1].camera.cam_from_world, cameras[1].cam_from_world)
    np.testing.assert_allclose(found.views[1].camera.K, cameras[1].K)
    distances = np.linalg.norm(found.points.xyz[:, None] - scene.xyz, axis=-1).min(axis=1)
    assert len(found.points) > 0.95 * len(scene.xyz)
    assert distances.max() < 1e-3


def test_a_known_camera_of_another_shape_is_refused(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(3))
    photos = write_photos(tmp_path, scene.cameras)
    known = {f"{i}.png": DistortedCamera(c, NO_DISTORTION) for i, c in enumerate(arc_of_cameras(3, size=(640, 640)))}
    with pytest.raises(ReconError, match="640 x 640"):
        reconstruction_from_cameras(photos, scene.graph, known, working_side_px=640, heldout=frozenset())


@pytest.mark.parametrize("name", ["min_pair_matches", "max_error_px", "num_workers"])
def test_absurd_settings_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        PoseConfig(**{name: -1})


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize("name", ["strecha_fountain_p11", "strecha_herz_jesus_p25"])
def test_real_photos_with_surveyed_cameras_are_all_placed(name: str) -> None:
    folder = scene_dir(name)
    names = json.loads((folder / "splits.json").read_text())["splits"]["6"]["train"]
    photos = load_photos([folder / photo for photo in names]).photos
    found = estimate_poses(
        photos, match_photos(photos, MatchingConfig()), CONFIG, working_side_px=640, heldout=frozenset(), seed=0
    )
    truth = {photo: known.camera for photo, known in read_cameras(folder / "cameras.json").items()}
    scores = score_poses({view.name: view.camera for view in found.views}, truth, [photo.name for photo in photos])
    assert scores.num_placed == 6
    assert scores.auc_30 >= 0.97
    assert scores.focal_error < 0.01
