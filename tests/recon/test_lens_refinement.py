import pytest

from recon.colmap import MapperGates, map_photos
from recon.focal import TYPICAL, TYPICAL_FOCAL
from recon.lens_refinement import refine_model
from recon.progress import no_progress
from recon.sparse_model import Lens
from tests.recon.test_colmap import problem_of
from tests.synthetic import arc_of_cameras, exact_scene

GATES = MapperGates()


def refined_focal(*, focal: float, spread_deg: float, noise_px: float) -> tuple[float, tuple[str, ...]]:
    """Three photos of a lens of which nothing is known, mapped with three quarters of its focal length."""
    problem = problem_of(exact_scene(arc_of_cameras(3, spread_deg=spread_deg, focal=focal), noise_px=noise_px))
    model = map_photos(problem, [Lens(0.75 * focal)], GATES, seed=0)
    assert model is not None
    refined, warnings = refine_model(
        problem, model, [TYPICAL], GATES, focal_range=(0.4, 4.0), seed=0, progress=no_progress
    )
    return refined.lenses[0].focal, warnings


def test_a_long_lens_is_believed_against_habit_when_the_photos_contradict_habit() -> None:
    """Three times the longer side is 3.6 sigma from what most lenses have."""
    focal, warnings = refined_focal(focal=3.0, spread_deg=50, noise_px=0.3)
    assert focal == pytest.approx(3.0, rel=0.05)
    assert warnings == ()


def test_habit_is_believed_when_the_photos_hardly_tell() -> None:
    focal, warnings = refined_focal(focal=1.0, spread_deg=14, noise_px=1.5)
    assert focal == TYPICAL_FOCAL
    assert "a typical value is used" in warnings[0]
