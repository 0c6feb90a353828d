import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon.colmap import ColmapError, MapperGates, adjust, binary_model_as_text, map_photos, triangulate
from recon.sparse_model import Lens, MappingProblem, SparseModel, residuals_px, to_mapping_frame, without_photos
from tests.synthetic import SyntheticScene, arc_of_cameras, exact_scene

GATES = MapperGates()


def problem_of(scene: SyntheticScene) -> MappingProblem:
    keypoints = tuple(
        to_mapping_frame(own, camera.width, camera.height)
        for own, camera in zip(scene.graph.keypoints, scene.cameras, strict=True)
    )
    return MappingProblem(keypoints, scene.graph.pairs, (0,) * len(keypoints))


def true_model(scene: SyntheticScene, *, focal: float = 0.9) -> SparseModel:
    """The scene itself: every camera sees every point."""
    num_views, num_points = len(scene.cameras), len(scene.xyz)
    poses = {i: camera.cam_from_world for i, camera in enumerate(scene.cameras)}
    points = np.tile(np.arange(num_points), num_views)
    return SparseModel((Lens(focal),), poses, scene.xyz, points, np.repeat(np.arange(num_views), num_points), points)


def test_the_true_model_has_no_residuals() -> None:
    """Our projection in the mapping frame agrees with that of `Camera`."""
    scene = exact_scene(arc_of_cameras(3))
    assert residuals_px(true_model(scene), problem_of(scene)).max() < 1e-3  # keypoints are float32


def test_mapping_holds_the_lens_and_explains_every_match() -> None:
    problem = problem_of(exact_scene(arc_of_cameras(5)))
    model = map_photos(problem, [Lens(0.9)], GATES, seed=0)
    assert model is not None
    assert model.lenses == (Lens(0.9),)
    assert sorted(model.cam_from_world) == [0, 1, 2, 3, 4]
    assert len(model.point_of) > 0.98 * 5 * 300
    assert residuals_px(model, problem).max() < 0.1


def test_mapping_finds_nothing_without_pairs() -> None:
    problem = replace(problem_of(exact_scene(arc_of_cameras(3))), pairs=())
    assert map_photos(problem, [Lens(0.9)], GATES, seed=0) is None


def test_what_a_callback_raises_ends_the_mapping() -> None:
    def stop() -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        map_photos(problem_of(exact_scene(arc_of_cameras(4))), [Lens(0.9)], GATES, seed=0, on_photo=stop)


def test_triangulation_finds_the_points_again_and_leaves_cameras() -> None:
    scene = exact_scene(arc_of_cameras(4))
    model = true_model(scene)
    found = triangulate(problem_of(scene), model, GATES, seed=0)
    for photo, cam_from_world in model.cam_from_world.items():
        np.testing.assert_allclose(found.cam_from_world[photo], cam_from_world, atol=1e-9)
    nearest = np.linalg.norm(found.xyz[:, None] - scene.xyz, axis=-1).min(axis=1)
    assert len(found.xyz) > 0.98 * len(scene.xyz)
    assert nearest.max() < 1e-3


def test_triangulation_uses_placed_photos_only() -> None:
    scene = exact_scene(arc_of_cameras(4))
    found = triangulate(problem_of(scene), without_photos(true_model(scene), {2}), GATES, seed=0)
    assert set(found.photo_of.tolist()) == {0, 1, 3}


def test_adjustment_finds_a_wrong_focal_and_says_how_sure_it_is() -> None:
    scene = exact_scene(arc_of_cameras(5))
    adjusted = adjust(problem_of(scene), true_model(scene, focal=0.95), free_lenses=[0])
    assert adjusted.model.lenses[0].focal == pytest.approx(0.9, rel=1e-4)
    assert 0 < adjusted.focal_sigmas[0] < 0.02


def test_adjustment_holds_lenses_that_are_not_freed() -> None:
    scene = exact_scene(arc_of_cameras(4))
    adjusted = adjust(problem_of(scene), true_model(scene, focal=0.95))
    assert adjusted.model.lenses == (Lens(0.95),)
    assert adjusted.focal_sigmas == {}


def test_nearer_views_determine_a_focal_less() -> None:
    sigmas = []
    for spread_deg in (3.0, 40.0):
        scene = exact_scene(arc_of_cameras(3, spread_deg=spread_deg))
        sigmas.append(adjust(problem_of(scene), true_model(scene), free_lenses=[0]).focal_sigmas[0])
    assert sigmas[0] > 2 * sigmas[1]


def test_a_folder_without_a_model_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ColmapError, match="reading a model"):
        binary_model_as_text(tmp_path, tmp_path)


def test_colmap_stays_silent() -> None:
    """In a process of its own: COLMAP writes to the file descriptor, not to Python's stderr."""
    code = (
        "from tests.recon.test_colmap import *\n"
        "problem = problem_of(exact_scene(arc_of_cameras(3)))\n"
        "model = map_photos(problem, [Lens(0.9)], GATES, seed=0)\n"
        "adjust(problem, triangulate(problem, model, GATES, seed=0), free_lenses=[0])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
