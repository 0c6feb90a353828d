"""Measure the matchers on photos with true cameras: relative poses, matches, time. Prints a table.

    python -m tests.bench.bench_matchers [MATCHER ...]

All pairs of the three- and six-view splits of three sets, poselib with the true lenses. First all matches as they are
found, then those that agree with one geometry, their keypoints adjusted. A pair counts as solved when its rotation and
direction are both within 10 degrees. CPU seconds of one thread; those of the adjustment are added to the pairs'. Needs
the photo sets (HANDFUL_DATA).
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import poselib
import torch

from matching.matcher import BUILT_IN, SparseMatcher, create
from matching.types import Features
from recon.camera_files import read_cameras
from recon.keypoint_adjustment import adjust_keypoints
from recon.match_graph import MatchGraph, PairMatches
from recon.pair_verification import epipolar_inliers
from recon.photo_loading import load_photos
from recon.undistort import DistortedCamera, undistort_pixels
from tests.photo_sets import scene_dir

SCENES = ("strecha_fountain_p11", "strecha_herz_jesus_p25", "fox")
SPLITS = ("3", "6")
SIDE_PX = 1024
MAX_ERROR_PX = 2.0  # of poselib, at SIDE_PX


@dataclass(frozen=True)
class PairResult:
    """One pair: matches, their median distance from the true epipolar lines, share within 2 px, pose error."""

    num_matches: int
    median_px: float
    precision: float
    error_deg: float
    cpu_s: float


def true_fundamental(a: DistortedCamera, b: DistortedCamera) -> np.ndarray:
    """F [3, 3] with x_b^T F x_a = 0 in undistorted px at full size."""
    b_from_a = b.camera.cam_from_world @ np.linalg.inv(a.camera.cam_from_world)
    x, y, z = b_from_a[:3, 3] / np.linalg.norm(b_from_a[:3, 3])
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ b_from_a[:3, :3]
    return np.linalg.inv(b.camera.K).T @ essential @ np.linalg.inv(a.camera.K)


def epipolar_px(F: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """Mean distance of points [M, 2] from each other's epipolar lines, [M] px."""
    ones = np.ones((len(in_a), 1))
    lines_b, lines_a = np.hstack([in_a, ones]) @ F.T, np.hstack([in_b, ones]) @ F
    algebraic = np.abs(np.sum(np.hstack([in_b, ones]) * lines_b, axis=1))
    return algebraic * (1 / np.linalg.norm(lines_a[:, :2], axis=1) + 1 / np.linalg.norm(lines_b[:, :2], axis=1)) / 2


def pose_error_deg(in_a: np.ndarray, in_b: np.ndarray, a: DistortedCamera, b: DistortedCamera, scale: float) -> float:
    """Larger of rotation and direction error of poselib's pose; `scale` is full size over matching size."""
    if len(in_a) < 5:
        return 180.0
    lenses = [
        {"model": "PINHOLE", "width": c.width, "height": c.height, "params": [*c.K[[0, 1], [0, 1]], *c.K[:2, 2]]}
        for c in (a.camera, b.camera)
    ]
    options = {"max_epipolar_error": MAX_ERROR_PX * scale, "min_iterations": 300, "max_iterations": 5000, "seed": 0}
    pose, _ = poselib.estimate_relative_pose(in_a, in_b, *lenses, options, {})
    truth = b.camera.cam_from_world @ np.linalg.inv(a.camera.cam_from_world)
    rotation = np.degrees(np.arccos(np.clip((np.trace(pose.R @ truth[:3, :3].T) - 1) / 2, -1, 1)))
    cosine = pose.t @ truth[:3, 3] / (np.linalg.norm(pose.t) * np.linalg.norm(truth[:3, 3]) + 1e-12)
    return float(max(rotation, np.degrees(np.arccos(np.clip(cosine, -1, 1)))))


def auc(errors: Sequence[float], limit: float) -> float:
    """Area under the recall curve of the errors up to a limit, in [0, 1]."""
    return float(np.mean(np.clip(1 - np.asarray(errors) / limit, 0, 1)))


class Scene:
    """Photos of one split and their true cameras."""

    def __init__(self, name: str, split: str) -> None:
        folder = scene_dir(name)
        files = json.loads((folder / "splits.json").read_text())["splits"][split]["train"]
        self.name, self.photos = name, load_photos([folder / file for file in files]).photos
        cameras = read_cameras(folder / "cameras.json")
        self.cameras = []
        for photo in self.photos:
            known = cameras[photo.name]
            self.cameras.append(DistortedCamera(known.camera.resized(photo.width, photo.height), known.distortion))

    def scale(self, index: int) -> float:
        photo = self.photos[index]
        return max(photo.width, photo.height) / SIDE_PX

    def undistorted(self, index: int, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints [N, 2] px at SIDE_PX as undistorted px at full size."""
        return undistort_pixels(keypoints * self.scale(index), self.cameras[index])

    def score(self, a: int, b: int, points_a: np.ndarray, points_b: np.ndarray, cpu_s: float) -> PairResult:
        """Judge matched points [M, 2], px at SIDE_PX."""
        in_a, in_b = self.undistorted(a, points_a), self.undistorted(b, points_b)
        F = true_fundamental(self.cameras[a], self.cameras[b])
        off = epipolar_px(F, in_a, in_b) / self.scale(a) if len(in_a) else np.zeros(0)
        near = off[off < MAX_ERROR_PX]
        error = pose_error_deg(in_a, in_b, self.cameras[a], self.cameras[b], self.scale(a))
        median = float(np.median(near)) if len(near) else np.nan
        return PairResult(len(off), median, len(near) / max(1, len(off)), error, cpu_s)


@dataclass(frozen=True)
class Measured:
    """CPU seconds a photo, and the results of every pair: as matched, and verified and adjusted."""

    cpu_s: float
    matched: list[PairResult]
    adjusted: list[PairResult]


def measure(matcher: SparseMatcher, scene: Scene) -> Measured:
    """Match all pairs of a scene."""
    start = time.process_time()
    features: list[Features] = [matcher.detect(photo.pixels(SIDE_PX)) for photo in scene.photos]
    cpu_s = (time.process_time() - start) / len(features)
    matched, pairs = [], []
    for a, b in combinations(range(len(features)), 2):
        start = time.process_time()
        matches = matcher.match(features[a], features[b])
        elapsed = time.process_time() - start
        points = (features[a].keypoints[matches.indices[:, 0]], features[b].keypoints[matches.indices[:, 1]])
        matched.append(scene.score(a, b, *points, elapsed))
        is_inlier = epipolar_inliers(*points, MAX_ERROR_PX)
        pairs.append(PairMatches(a, b, matches.indices[is_inlier], len(matches), None))
    return Measured(cpu_s, matched, adjusted_results(scene, features, pairs, [result.cpu_s for result in matched]))


def adjusted_results(
    scene: Scene, features: Sequence[Features], pairs: Sequence[PairMatches], matching_s: Sequence[float]
) -> list[PairResult]:
    """Results of the verified pairs after their keypoints were adjusted."""
    keypoints = tuple((own.keypoints * scene.scale(i)).astype(np.float32) for i, own in enumerate(features))
    start = time.process_time()
    adjusted = adjust_keypoints(scene.photos, MatchGraph(keypoints, tuple(pairs)), max_side_px=SIDE_PX).keypoints
    share_s = (time.process_time() - start) / len(pairs)
    results = []
    for pair, elapsed in zip(pairs, matching_s, strict=True):
        in_a, in_b = (
            adjusted[i][rows] / scene.scale(i) for i, rows in zip((pair.a, pair.b), pair.indices.T, strict=True)
        )
        results.append(scene.score(pair.a, pair.b, in_a, in_b, elapsed + share_s))
    return results


def row(name: str, scene: str, split: str, cpu_s: float, results: Sequence[PairResult]) -> str:
    """One line of the table."""
    errors = [result.error_deg for result in results]
    return (
        f"| {name} | {scene} | {split} | {len(results)} | {np.mean(np.array(errors) < 10):.2f} "
        f"| {auc(errors, 5):.3f} | {auc(errors, 10):.3f} | {np.median([r.num_matches for r in results]):.0f} "
        f"| {np.nanmedian([r.precision for r in results]):.2f} | {np.nanmedian([r.median_px for r in results]):.2f} "
        f"| {cpu_s:.2f} | {np.mean([r.cpu_s for r in results]):.2f} |"
    )


def main(names: Sequence[str]) -> None:
    """Print the table for some matchers, or for all."""
    torch.set_num_threads(1)
    columns = "matcher, set, views, pairs, solved, AUC@5, AUC@10, matches, within 2 px, median px, s/photo, s/pair"
    print(f"| {columns.replace(', ', ' | ')} |\n" + "|---" * (columns.count(",") + 1) + "|")
    for name in names or BUILT_IN:
        matcher, everything = create(name), []
        matcher.detect(np.zeros((64, 64, 3), np.uint8))  # the first call of a network is slower
        for scene_name, split in product(SCENES, SPLITS):
            measured = measure(matcher, Scene(scene_name, split))
            everything.append(measured)
            print(row(name, scene_name, split, measured.cpu_s, measured.matched), flush=True)
            print(row(f"{name}, adjusted", scene_name, split, measured.cpu_s, measured.adjusted), flush=True)
        cpu_s = float(np.mean([measured.cpu_s for measured in everything]))
        print(row(name, "all", "", cpu_s, [result for measured in everything for result in measured.matched]))
        adjusted = [result for measured in everything for result in measured.adjusted]
        print(row(f"{name}, adjusted", "all", "", cpu_s, adjusted), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
