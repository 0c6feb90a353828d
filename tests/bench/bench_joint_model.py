"""Whether cameras placed all at once are worth having beside those of incremental mapping.

    python -m tests.bench.bench_joint_model [--cache FOLDER]

For some photos of sets with known cameras and a focal length that is not known: the best model of incremental mapping
over the focal hypotheses, the best of joint placing (pairs averaged, triangulated, bundle-adjusted) over the same, and
the better of both by the score of mapping. Placed photos, AUC@5, AUC@30 and CPU seconds of each.
"""

import argparse
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from recon.camera_files import read_cameras
from recon.colmap import ColmapError, MapperGates, adjust, triangulate
from recon.focal import TYPICAL, FocalEvidence, combined, evidence_from_matches
from recon.mapping import find_model, focal_hypotheses
from recon.match_photos import MatchGraph, match_photos
from recon.photo import Photo
from recon.photo_loading import load_photos
from recon.pose_metrics import score_poses
from recon.regression.joint_model import place_jointly
from recon.sparse_model import MappingProblem, SparseModel, residuals_px, to_mapping_frame, without_large_errors
from splatting.camera import Camera
from tests.photo_sets import scene_dir

SCENES = ("strecha_fountain_p11", "strecha_herz_jesus_p25", "fox")
GATES = MapperGates()


def spread(names: list[str], count: int) -> list[str]:
    """Photos evenly spaced over the whole capture: as wide apart as it gets."""
    return [names[round(i)] for i in np.linspace(0, len(names) - 1, count)]


def matched(folder: Path, count: int, cache: Path | None) -> tuple[list[Photo], MatchGraph]:
    """The photos and their verified matches, kept in a file of our own between runs."""
    names = spread(sorted(read_cameras(folder / "cameras.json")), count)
    photos = list(load_photos([folder / "images" / name for name in names]).photos)
    file = None if cache is None else cache / f"graph_{folder.name}_{count}.pickle"
    if file is not None and file.exists():
        return photos, pickle.loads(file.read_bytes())
    graph = match_photos(photos)
    if file is not None:
        file.write_bytes(pickle.dumps(graph))
    return photos, graph


def problem_of(photos: list[Photo], graph: MatchGraph) -> tuple[MappingProblem, tuple[FocalEvidence, ...]]:
    """One lens for all photos, its focal length believed as far as matches tell."""
    keypoints = tuple(to_mapping_frame(own, p.width, p.height) for p, own in zip(photos, graph.keypoints, strict=True))
    pairs = tuple(pair for pair in graph.pairs if pair.rejected is None)
    problem = MappingProblem(keypoints, pairs, (0,) * len(photos))
    measured = evidence_from_matches(problem, 0, seed=0)
    return problem, (TYPICAL if measured is None else combined([TYPICAL, measured]),)


def model_score(problem: MappingProblem, model: SparseModel, beliefs: tuple[FocalEvidence, ...]) -> tuple[int, float]:
    """As mapping judges: placed photos, then observations weighed by their errors, less a little for odd focals."""
    support = float(np.sum(np.maximum(0, 1 - (residuals_px(model, problem) / 2) ** 2)))
    return model.num_placed, support * (1 - min(0.5, 0.005 * beliefs[0].z_score(model.lenses[0].focal) ** 2))


def best_joint_model(problem: MappingProblem, beliefs: tuple[FocalEvidence, ...]) -> SparseModel | None:
    """Place all photos at once under every focal hypothesis, adjust, keep the best by the score of mapping.

    Three photos do not determine the focal length; with more it moves.
    """
    found = []
    for lenses in focal_hypotheses(beliefs, 1.25):
        model = place_jointly(problem, lenses, focal_belief=beliefs[0] if len(problem.keypoints) > 3 else None)
        if model is None:
            continue
        try:
            for limit_px in (16.0, 4.0):  # the first triangulation is as rough as the cameras
                model = adjust(problem, triangulate(problem, model, GATES, seed=0)).model
                model = without_large_errors(problem, model, max_error_px=limit_px)
            found.append(model)
        except ColmapError as error:
            print(f"    {error}")
    return max(found, key=lambda model: model_score(problem, model, beliefs), default=None)


def cell(model: SparseModel | None, photos: list[Photo], truth: dict[str, Camera], seconds: float) -> str:
    """Placed photos and areas under the recall."""
    estimated = {}
    if model is not None:
        for i, pose in model.cam_from_world.items():
            photo, focal = photos[i], model.lenses[0].focal
            focal_px = focal * max(photo.width, photo.height)
            K = np.array([[focal_px, 0, photo.width / 2], [0, focal_px, photo.height / 2], [0, 0, 1]])
            estimated[photo.name] = Camera(K, pose, photo.width, photo.height)
    scores = score_poses(estimated, truth, [photo.name for photo in photos])
    return f"{scores.num_placed} {scores.auc_5:.2f} {scores.auc_30:.2f} {seconds:.1f}"


def run(scene: str, count: int, cache: Path | None) -> None:
    """One row."""
    folder = scene_dir(scene)
    photos, graph = matched(folder, count, cache)
    truth = {name: distorted.camera for name, distorted in read_cameras(folder / "cameras.json").items()}
    problem, beliefs = problem_of(photos, graph)
    start = time.process_time()
    mapped = find_model(
        problem, beliefs, GATES, step=1.25, workers=1, seed=0, progress=lambda done, total, message: None
    )
    middle = time.process_time()
    joint = best_joint_model(problem, beliefs)
    end = time.process_time()
    models = [model for model in (mapped, joint) if model is not None]
    both = max(models, key=lambda model: model_score(problem, model, beliefs), default=None)
    cells = [
        cell(model, photos, truth, seconds)
        for model, seconds in ((mapped, middle - start), (joint, end - middle), (both, end - start))
    ]
    print(f"| {scene} | {count} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="folder that keeps the matches")
    options = parser.parse_args()
    print("| scene | photos | mapping | joint | better of both |\n|---|---|---|---|---|")
    for scene in SCENES:
        try:
            for count in (3, 4, 6):
                run(scene, count, options.cache)
        except pytest.skip.Exception as skipped:
            print(skipped)


if __name__ == "__main__":
    main()
