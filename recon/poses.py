"""Cameras from matches: focal hypotheses, frozen-lens mapping, one robust adjustment at the end."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recon.bounds import check_bounds
from recon.colmap import MapperGates, triangulate
from recon.errors import ReconError
from recon.focal import (
    TYPICAL,
    FocalEvidence,
    combined,
    evidence_from_exif,
    evidence_from_matches,
    evidence_from_scene,
    given_focal,
)
from recon.lens_refinement import refine_model
from recon.mapping import find_model
from recon.match_graph import MatchGraph
from recon.photo import Photo
from recon.placement import explain_unplaced, without_contradicted_photos
from recon.pose_additions import in_frame_of, lenses_of_scene, start_of_mapping
from recon.pose_review import examine_poses, review_poses
from recon.progress import Progress, no_progress
from recon.scene import Reconstruction, UnplacedPhoto
from recon.sparse_model import Lens, MappingProblem, to_mapping_frame, without_large_errors
from recon.sparse_scene import assemble, camera_with_lens, cameras_of_photos, known_problem, straight_keypoints
from recon.undistort import DistortedCamera, moved


@dataclass(frozen=True)
class PoseConfig:
    """How cameras are placed. Pixels are those of a photo whose longer side is 1024 px."""

    min_pair_matches: int = field(
        default=12, metadata={"help": "verified matches a pair of photos needs", "unit": "", "low": 6, "high": 1000}
    )
    min_pose_inliers: int = field(
        default=12,
        metadata={"help": "ties to the scene that a photo needs to be placed", "unit": "", "low": 6, "high": 1000},
    )
    min_points: int = field(
        default=30,
        metadata={"help": "common points that tell a scene from chance", "unit": "", "low": 6, "high": 10_000},
    )
    min_point_angle_deg: float = field(
        default=1.0, metadata={"help": "smallest ray angle of a point", "unit": "deg", "low": 0.1, "high": 20.0}
    )
    max_error_px: float = field(
        default=3.0,
        metadata={"help": "largest reprojection error of a point in a photo", "unit": "px", "low": 0.5, "high": 16.0},
    )
    hypothesis_step: float = field(
        default=1.25,
        metadata={
            "help": "factor between focal hypotheses of a lens not known well",
            "unit": "",
            "low": 1.05,
            "high": 2.0,
        },
    )
    min_focal: float = field(
        default=0.4,
        metadata={"help": "shortest focal length", "unit": "longer sides", "low": 0.1, "high": 1.0},
    )
    max_focal: float = field(
        default=4.0,
        metadata={"help": "longest focal length", "unit": "longer sides", "low": 1.0, "high": 20.0},
    )
    num_workers: int = field(
        default=2, metadata={"help": "hypotheses tried at the same time", "unit": "threads", "low": 1, "high": 16}
    )

    def __post_init__(self) -> None:
        check_bounds(self)


def mapper_gates(config: PoseConfig) -> MapperGates:
    """How much evidence mapping asks for."""
    return MapperGates(config.min_pair_matches, min_pose_inliers=config.min_pose_inliers)


def estimate_poses(
    photos: Sequence[Photo],
    graph: MatchGraph,
    config: PoseConfig,
    *,
    working_side_px: int,
    heldout: frozenset[str],
    seed: int,
    calibrated: Mapping[str, DistortedCamera] | None = None,
    progress: Progress = no_progress,
    before: Reconstruction | None = None,
) -> Reconstruction:
    """Place the photos and triangulate their matches.

    Focal lengths are believed before they are measured: EXIF, the median of single pairs, or habit. Mapping runs
    once for each of a few focal hypotheses with the lens held, since three photos let a freed focal run away. The
    best model is then bundle-adjusted with the lens freed, which is kept only where the photos determine it.

    Args:
        photos: the readable photos.
        graph: verified matches between them, keypoints at full photo size.
        config: how cameras are placed.
        working_side_px: longest side of the undistorted views.
        heldout: names of photos that are placed like the others but marked in their views.
        seed: of every random choice.
        calibrated: by photo name, cameras whose lenses are right and stay as they are; their places are not used.
        progress: may raise `Cancelled`, which takes effect at the next placed photo.
        before: what was estimated from some of the photos: the others are placed beside these, with the lenses that are
            known from them, before all cameras are adjusted.

    Returns:
        Undistorted views in the order of the photos, points with tracks, photos left out with the reason, warnings,
        and how sure each camera is.
        Frame and unit of the world are those of `before`, else arbitrary.

    Raises:
        ReconError: fewer than two photos (held-out ones not counted) could be placed, or too few points hold them
            together, or a calibrated camera has another shape than its photo.
        ValueError: the graph belongs to other photos.
    """
    _check_sizes(photos, graph)
    given = cameras_of_photos(photos, calibrated or {})
    known = {} if before is None else lenses_of_scene(photos, before)
    problem, beliefs = _pose_problem(photos, graph, given, known, seed=seed)
    gates = mapper_gates(config)
    start = None
    if before is not None:
        lenses = [Lens(belief.focal, belief.radial) for belief in beliefs]
        start = start_of_mapping(photos, problem, lenses, before, gates, max_error_px=config.max_error_px, seed=seed)
    model = find_model(
        problem,
        beliefs,
        gates,
        step=config.hypothesis_step,
        workers=config.num_workers,
        seed=seed,
        progress=progress,
        start=start,
    )
    warnings: tuple[str, ...] = ()
    if model is not None:
        settled = start.cam_from_world if start else ()
        model = without_contradicted_photos(problem, model, max_error_px=config.max_error_px, settled=settled)
        model, warnings = refine_model(
            problem,
            model,
            beliefs,
            gates,
            focal_range=(config.min_focal, config.max_focal),
            seed=seed,
            progress=progress,
        )
        model = without_large_errors(problem, model, max_error_px=config.max_error_px)
    _require_two(photos, {} if model is None else model.cam_from_world, heldout)
    assert model is not None
    if len(model.xyz) < config.min_points:
        raise ReconError(
            f"Only {len(model.xyz)} common points were found in all photos: too few to tell one scene from chance.",
            "Check that all photos show the same thing, and take them closer together.",
        )
    progress(95, 100, "checking the cameras")
    names = [photo.name for photo in photos]
    findings = examine_poses(problem, model, beliefs, gates, max_error_px=config.max_error_px, seed=seed)
    tried = {(pair.a, pair.b) for pair in graph.pairs}
    review = review_poses(problem, findings, model, names=names, tried=tried)
    progress(97, 100, "undistorting photos")
    cameras = {
        photo: moved(given[photo], cam_from_world)
        if photo in given
        else camera_with_lens(photos[photo], model.lenses[problem.lens_of[photo]], cam_from_world)
        for photo, cam_from_world in model.cam_from_world.items()
    }
    unplaced = explain_unplaced(names, graph.pairs, model, config.min_pose_inliers)
    scene = assemble(photos, graph, model, cameras, working_side_px=working_side_px, heldout=heldout)
    progress(100, 100, f"{model.num_placed} of {len(photos)} photos placed")
    scene = replace(
        scene,
        unplaced=unplaced,
        warnings=(*warnings, *review.warnings),
        confidences=tuple(review.confidences[photo] for photo in sorted(cameras)),
    )
    return scene if before is None else in_frame_of(scene, before)


def reconstruction_from_cameras(
    photos: Sequence[Photo],
    graph: MatchGraph,
    cameras: Mapping[str, DistortedCamera],
    *,
    working_side_px: int,
    heldout: frozenset[str],
    progress: Progress = no_progress,
) -> Reconstruction:
    """Triangulate the matches with cameras that are known already; cameras and their frame stay as they are.

    Args:
        photos: the readable photos.
        graph: verified matches between them, keypoints at full photo size.
        cameras: by photo name, with or without extension; of the photos' full size or of a resized copy.
        working_side_px: longest side of the undistorted views.
        heldout: names of photos whose views are marked.
        progress: called at each step.

    Returns:
        As `estimate_poses`; photos without a camera are unplaced.

    Raises:
        ReconError: fewer than two photos (held-out ones not counted) have a camera, or one has another shape than
            its photo.
        ValueError: the graph belongs to other photos.
    """
    _check_sizes(photos, graph)
    config = PoseConfig()
    progress(0, 3, "reading cameras")
    known = cameras_of_photos(photos, cameras)
    problem, model = known_problem(photos, graph, known)
    _require_two(photos, known, heldout)
    progress(1, 3, "triangulating")
    gates = mapper_gates(config)
    model = triangulate(problem, model, gates, seed=0)
    model = without_large_errors(problem, model, max_error_px=config.max_error_px)
    progress(2, 3, "undistorting photos")
    unplaced = tuple(
        UnplacedPhoto(photo.name, "The given cameras have none for it.")
        for i, photo in enumerate(photos)
        if i not in known
    )
    scene = assemble(photos, graph, model, known, working_side_px=working_side_px, heldout=heldout)
    progress(3, 3, f"{len(known)} of {len(photos)} photos have cameras")
    return replace(scene, unplaced=unplaced)


def _pose_problem(
    photos: Sequence[Photo],
    graph: MatchGraph,
    given: Mapping[int, DistortedCamera],
    known: Mapping[str, Lens],
    *,
    seed: int,
) -> tuple[MappingProblem, tuple[FocalEvidence, ...]]:
    """The matches in the mapping frame, and what is known of each lens.

    Photos of one label share a lens; each photo with a given camera has a lens of its own, without distortion. `known`
    are lenses by label that were estimated before.
    """
    labels = [f"given {i}" if i in given else photo.camera_label for i, photo in enumerate(photos)]
    lenses = list(dict.fromkeys(labels))
    straight = {i: straight_keypoints(photos[i], graph.keypoints[i], camera) for i, camera in given.items()}
    keypoints = tuple(
        straight[i][1] if i in given else to_mapping_frame(graph.keypoints[i], photo.width, photo.height)
        for i, photo in enumerate(photos)
    )
    usable = tuple(pair for pair in graph.pairs if pair.rejected is None)
    problem = MappingProblem(keypoints, usable, tuple(lenses.index(label) for label in labels))
    beliefs = []
    for lens_idx, label in enumerate(lenses):
        members = [i for i, own_label in enumerate(labels) if own_label == label]
        if members[0] in given:
            beliefs.append(given_focal(straight[members[0]][0].focal))
            continue
        if label in known:
            beliefs.append(evidence_from_scene(known[label]))
            continue
        own = [photos[i] for i in members]
        told = [p.focal_prior_px / max(p.width, p.height) for p in own if p.focal_prior_px is not None]
        if told:
            beliefs.append(evidence_from_exif(float(np.median(told))))
            continue
        measured = evidence_from_matches(problem, lens_idx, seed=seed)
        beliefs.append(TYPICAL if measured is None else combined([TYPICAL, measured]))
    return problem, tuple(beliefs)


def _check_sizes(photos: Sequence[Photo], graph: MatchGraph) -> None:
    if len(graph.keypoints) != len(photos):
        raise ValueError(f"the graph has keypoints of {len(graph.keypoints)} photos, there are {len(photos)}")


def _require_two(photos: Sequence[Photo], placed: Collection[int], heldout: frozenset[str]) -> None:
    num_placed = sum(photos[photo].name not in heldout for photo in placed)
    if num_placed < 2:
        wanted = sum(photo.name not in heldout for photo in photos)
        raise ReconError(
            f"Only {num_placed} of {wanted} photos could be placed.",
            "Add photos in between, taken a step apart, so that neighbours show mostly the same things.",
        )
