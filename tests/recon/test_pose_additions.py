"""Photos are placed beside cameras that were estimated before, and the old frame stays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon.align import moved_camera, similarity_from_cameras, upright
from recon.errors import ReconError
from recon.match_graph import MatchGraph, PairMatches
from recon.photo import Photo
from recon.pose_additions import cameras_beside, require_progress
from recon.poses import PoseConfig, estimate_poses, mapper_gates
from recon.progress import no_progress
from recon.scene import Reconstruction
from recon.undistort import DistortedCamera
from splatting.camera import Camera
from tests.synthetic import SyntheticScene, arc_of_cameras, exact_scene, write_photos

NOTHING = np.zeros((0, 2), np.int64)


def place(photos: list[Photo], graph: MatchGraph, before: Reconstruction | None = None) -> Reconstruction:
    return estimate_poses(photos, graph, PoseConfig(), working_side_px=160, heldout=frozenset(), seed=0, before=before)


def first(scene: SyntheticScene, num: int) -> MatchGraph:
    """The matches of the first photos only."""
    return MatchGraph(scene.graph.keypoints[:num], tuple(pair for pair in scene.graph.pairs if pair.b < num))


def angle_deg(a: Camera, b: Camera) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(a.R @ b.R.T) - 1) / 2, -1, 1))))


def assert_same_place(after: Reconstruction, before: Reconstruction, *, max_shift: float = 0.01) -> None:
    """Old cameras stay within .5 degrees and `max_shift` of the scene's unit, the usual distance of its points."""
    old = {view.name: view.camera for view in before.views}
    common = [view for view in after.views if view.name in old]
    assert len(common) == len(old)
    for view in common:
        assert np.linalg.norm(view.camera.center - old[view.name].center) < max_shift
        assert angle_deg(view.camera, old[view.name]) < 0.5


@pytest.mark.parametrize("num_before", [2, 4])
def test_added_photos_are_placed_and_the_old_ones_stay_where_they_are(tmp_path: Path, num_before: int) -> None:
    scene = exact_scene(arc_of_cameras(num_before + 2, focal=1.1), noise_px=0.2)
    photos = write_photos(tmp_path, scene.cameras, focal_prior_px=1.1 * 640)
    before = upright(place(photos[:num_before], first(scene, num_before)))
    after = place(photos, scene.graph, before)
    assert [view.name for view in after.views] == [photo.name for photo in photos]
    assert_same_place(after, before)
    # the added cameras, brought into the true world by the old ones, lie where they are
    cameras = [view.camera for view in after.views]
    scale, R, t = similarity_from_cameras(cameras[:num_before], scene.cameras[:num_before])
    for found, true in zip(cameras[num_before:], scene.cameras[num_before:], strict=True):
        assert np.linalg.norm(scale * R @ found.center + t - true.center) < 0.05  # at a distance of 4


def test_a_photo_that_was_left_out_is_placed_when_an_added_one_leads_to_it(tmp_path: Path) -> None:
    """The third photo matches none of the first two, but the fourth."""
    scene = exact_scene(arc_of_cameras(4), noise_px=0.2)
    pairs = [replace(p, indices=NOTHING, rejected="too few") if p.b == 2 else p for p in scene.graph.pairs]
    scene = replace(scene, graph=MatchGraph(scene.graph.keypoints, tuple(pairs)))
    photos = write_photos(tmp_path, scene.cameras, focal_prior_px=0.9 * 640)
    before = upright(place(photos[:3], first(scene, 3)))
    assert [photo.name for photo in before.unplaced] == ["2.png"]
    after = place(photos, scene.graph, before)
    assert len(after.views) == 4
    assert_same_place(after, before)


def test_a_photo_of_another_lens_gets_a_focal_of_its_own(tmp_path: Path) -> None:
    cameras = arc_of_cameras(6, focal=1.2)
    wide = tuple(replace(c, K=c.K * [[0.6, 1, 1], [1, 0.6, 1], [1, 1, 1]]) for c in cameras[4:])
    scene = exact_scene((*cameras[:4], *wide), noise_px=0.2)
    photos = write_photos(tmp_path, scene.cameras)
    photos = [*photos[:4], *(replace(photo, camera_label="another") for photo in photos[4:])]
    before = upright(place(photos[:4], first(scene, 4)))
    after = place(photos, scene.graph, before)
    focals = [view.camera.K[0, 0] / 160 for view in after.views]
    np.testing.assert_allclose(focals, [1.2] * 4 + [0.72] * 2, rtol=0.02)
    assert_same_place(after, before)


def test_a_photo_without_matches_changes_nothing_and_is_refused(tmp_path: Path) -> None:
    scene = exact_scene(arc_of_cameras(4))
    photos = write_photos(tmp_path, scene.cameras)
    before = upright(place(photos[:3], first(scene, 3)))
    lost = tuple(PairMatches(p.a, p.b, NOTHING, 5, "too few") if p.b == 3 else p for p in scene.graph.pairs)
    after = place(photos, MatchGraph(scene.graph.keypoints, lost), before)
    assert_same_place(after, before)
    with pytest.raises(ReconError, match="None of the photos could be placed") as caught:
        require_progress(after, before)
    assert "3.png: It has no verified matches" in caught.value.message


def test_the_similarity_of_two_cameras_is_that_of_their_world() -> None:
    cameras = arc_of_cameras(2)
    R = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0.0]])
    target = [moved_camera(camera, 2.5, R, np.array([1.0, 2, 3])) for camera in cameras]
    scale, found, t = similarity_from_cameras(cameras, target)
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(found, R, atol=1e-12)
    np.testing.assert_allclose(t, [1, 2, 3], atol=1e-12)


def test_cameras_at_one_place_give_no_similarity() -> None:
    camera = arc_of_cameras(2)[0]
    with pytest.raises(ValueError, match="one place"):
        similarity_from_cameras([camera, camera], [camera, camera])
    with pytest.raises(ValueError, match="same cameras"):
        similarity_from_cameras([camera], [camera, camera])


def test_photos_without_a_given_camera_are_placed_beside_the_given_ones(tmp_path: Path) -> None:
    """Of the same lens, whatever it is, and of another one whose focal length EXIF tells."""
    K = np.array([[580, 0, 330], [0, 600, 230], [0, 0, 1.0]])
    cameras = [replace(camera, K=K) for camera in arc_of_cameras(6)]
    cameras[5] = arc_of_cameras(6, focal=1.3)[5]
    scene = exact_scene(tuple(cameras))
    photos = write_photos(tmp_path, scene.cameras)
    photos[5] = replace(photos[5], camera_label="another", focal_prior_px=1.3 * 640)
    known = {
        photo.name: DistortedCamera(camera, np.zeros(4)) for photo, camera in zip(photos[:4], cameras, strict=False)
    }
    found = cameras_beside(
        photos, scene.graph, known, mapper_gates(PoseConfig()), max_error_px=3.0, seed=0, progress=no_progress
    )
    assert set(found) == {"4.png", "5.png"}
    for name, true in (("4.png", cameras[4]), ("5.png", cameras[5])):
        assert np.linalg.norm(found[name].camera.center - true.center) < 0.01
        assert angle_deg(found[name].camera, true) < 0.1
        np.testing.assert_allclose(found[name].camera.K, true.K)
