"""The last adjustment: the lens is freed where the photos determine it and held where they do not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recon.colmap import Adjusted, MapperGates, adjust, triangulate
from recon.focal import FocalEvidence
from recon.progress import Progress
from recon.sparse_model import Lens, MappingProblem, SparseModel, residuals_px

# Keypoint errors of one scene are not independent: the true error of a focal length was up to three times what the
# covariance says, so 5 % are asked for with that margin.
_MAX_FOCAL_SIGMA = 0.05 / 3
_MAX_Z_SCORE = 3.0
# The robust cost of holding the believed focal lengths over that of freed ones. Measured with three photos: up to 1.12
# where habit was nearer the truth, 1.28 to 4.2 where it was not (temple, tankard: lenses two and three times as long).
_MAX_COST_OF_BELIEF = 1.2
_MIN_PHOTOS_FOR_RADIAL = 5
_MIN_OBSERVATIONS_FOR_RADIAL = 1000
_MAX_RADIAL = 0.3
_MIN_RADIAL_GAIN = 0.03  # of the robust cost; freeing a coefficient on distortion-free photos gains under 1 %


def refine_model(
    problem: MappingProblem,
    model: SparseModel,
    beliefs: Sequence[FocalEvidence],
    gates: MapperGates,
    *,
    focal_range: tuple[float, float],
    seed: int,
    progress: Progress,
) -> tuple[SparseModel, tuple[str, ...]]:
    """Adjust the model with its lenses freed, triangulate anew and adjust once more.

    A freed focal length is kept when the covariance of the adjustment determines it, it lies in `focal_range` and
    within three sigma of what was believed. Otherwise the belief itself is used, unless the photos contradict it
    clearly: what mapping explains best says little when the focal is not determined (three forward-facing photos:
    -18 % by matches, +2 % by habit). A radial coefficient is freed only with enough photos, and kept when it lowers
    the robust error clearly. Given lenses stay.

    Args:
        problem: matches in the mapping frame.
        model: mapped with its lenses held.
        beliefs: what was known of each lens.
        gates: for triangulation.
        focal_range: shortest and longest focal length accepted, in units of the longer side.
        seed: of the triangulation.
        progress: called before each step, with 90 to 94 of 100; may raise `Cancelled`.

    Returns:
        The model and warnings for the user, one sentence each.
    """
    used = {problem.lens_of[photo] for photo in model.cam_from_world}
    free = {lens for lens in used if beliefs[lens].source != "given"}
    progress(90, 100, "adjusting cameras and lenses")
    adjusted = adjust(problem, model, free_lenses=free)
    insane = {lens for lens in free if not focal_range[0] <= adjusted.model.lenses[lens].focal <= focal_range[1]}
    refused = insane | {lens for lens in free if not _is_determined(adjusted, lens, beliefs[lens])}
    if refused:
        believed = tuple(
            Lens(beliefs[i].focal, beliefs[i].radial) if i in refused else lens for i, lens in enumerate(model.lenses)
        )
        held = adjust(problem, replace(model, lenses=believed), free_lenses=free - refused)
        cost_of_belief = _robust_cost(problem, held.model) / _robust_cost(problem, adjusted.model)
        if insane or cost_of_belief <= _MAX_COST_OF_BELIEF:
            free, adjusted = free - refused, held
        else:
            refused = set()
    progress(91, 100, "looking for lens distortion")
    has_radial = free == used and _radial_helps(problem, adjusted.model)
    start = (
        adjust(problem, adjusted.model, free_lenses=free, free_radial=has_radial).model
        if has_radial
        else adjusted.model
    )
    progress(92, 100, "triangulating")
    points = triangulate(problem, start, gates, seed=seed)
    progress(93, 100, "adjusting cameras once more")
    refined = adjust(problem, points, free_lenses=free, free_radial=has_radial).model
    return refined, _warnings(refused, beliefs)


def _is_determined(adjusted: Adjusted, lens_idx: int, belief: FocalEvidence) -> bool:
    focal, sigma = adjusted.model.lenses[lens_idx].focal, adjusted.focal_sigmas[lens_idx]
    return sigma <= _MAX_FOCAL_SIGMA and abs(belief.z_score(focal)) <= _MAX_Z_SCORE


def _radial_helps(problem: MappingProblem, model: SparseModel) -> bool:
    """Whether a freed radial coefficient stays sane and lowers the robust cost clearly."""
    if model.num_placed < _MIN_PHOTOS_FOR_RADIAL or len(model.point_of) < _MIN_OBSERVATIONS_FOR_RADIAL:
        return False
    used = {problem.lens_of[photo] for photo in model.cam_from_world}
    bent = adjust(problem, model, free_lenses=used, free_radial=True).model
    is_sane = all(abs(bent.lenses[lens].radial) <= _MAX_RADIAL for lens in used)
    return is_sane and _robust_cost(problem, bent) <= (1 - _MIN_RADIAL_GAIN) * _robust_cost(problem, model)


def _robust_cost(problem: MappingProblem, model: SparseModel) -> float:
    """Cauchy cost of one px; points behind a camera count as 100 px off."""
    errors = np.minimum(residuals_px(model, problem), 100.0)
    return float(np.sum(np.log1p(errors**2)))


def _warnings(refused: set[int], beliefs: Sequence[FocalEvidence]) -> tuple[str, ...]:
    told = {
        "exif": "the EXIF value",
        "matches": "an estimate from pairs of photos",
        "habit": "a typical value",
        "scene": "what the scene had before",
    }
    return tuple(
        f"The photos do not determine the focal length; {told[beliefs[lens].source]} is used."
        for lens in sorted(refused)
    )
