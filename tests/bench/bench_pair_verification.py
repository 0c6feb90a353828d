"""Which pairs verification lets through: what the matcher's confidence and the pair network tell of them.

    python -m tests.bench.bench_pair_verification [--photos 12] [--cache FOLDER]

All pairs of photos spread over whole captures, and pairs of different captures. First table: of verified pairs, how
well a quantity tells those whose matches are mostly right from those whose are mostly wrong (area under the ROC).
Second table: pairs verified by RANSAC alone, and with the geometries that the network proposes.
"""

import argparse
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import poselib
import pytest
import torch

from matching.matcher import create
from matching.types import Features, Matches
from recon.camera_files import read_cameras
from recon.focal import TYPICAL
from recon.match_graph import PairMatches
from recon.match_photos import MatchingConfig
from recon.pair_verification import sampson_px, verified_pair
from recon.photo_loading import load_photos
from recon.regression.correspondences import Correspondences
from recon.regression.proposals import EpipolarProposals
from recon.regression.regressor import PairRegressor
from recon.undistort import DistortedCamera, undistort_pixels
from tests.bench.real_pairs import WORKING_SIDE_PX, mutual_nearest
from tests.photo_sets import scene_dir

SCENES = (
    "strecha_fountain_p11",
    "strecha_herz_jesus_p25",
    "fox",
    "middlebury_temple_sparse_ring",
    "nerf_synthetic_lego",
    "icl_livingroom1",
    "vork_maryrose",
)
_WAYS = ("fast", "nearest", "sift")
_TRUE_PX = 3.0
_CHANCE_PX = (10.0, 40.0)  # so far off nothing is right: tells how many are within 3 px by chance
_OVERLAP = 12  # right matches beyond chance
_STRANGERS_PER_SCENE = 4
_RIGHT_DEG = 10.0


@dataclass(frozen=True)
class Pair:
    """Matches of two photos and the truth of them.

    Attributes:
        scene: of both, "strangers" for photos of different scenes.
        way: how they were matched.
        features: the matched keypoints of either photo, row by row.
        matches: rows with the same rows.
        error_px: [M] distances from the true epipolar geometry, infinite for strangers.
        rays: [M, 2] without lens distortion, z = 1, in either camera.
        R, t: true b_from_a.
        focal_px: at the size that is matched.
    """

    scene: str
    way: str
    features: tuple[Features, Features]
    matches: Matches
    error_px: np.ndarray
    rays: tuple[np.ndarray, np.ndarray]
    R: np.ndarray
    t: np.ndarray
    focal_px: float

    @property
    def num_overlapping(self) -> float:
        """Right matches, less those that are so by chance."""
        low, high = _CHANCE_PX
        by_chance = np.sum((self.error_px > low) & (self.error_px < high)) * _TRUE_PX / (high - low)
        return float(np.sum(self.error_px < _TRUE_PX) - by_chance)

    def rotation_and_direction_deg(self, rows: np.ndarray) -> float:
        """The larger error of the pose that some of the matches give with the true focal length; 180 for too few."""
        if len(rows) < 6 or self.scene == "strangers":
            return 180.0
        camera = poselib.Camera("SIMPLE_PINHOLE", [self.focal_px, 0.0, 0.0], 0, 0)
        places = [rays[rows] * self.focal_px for rays in self.rays]
        pose, _ = poselib.estimate_relative_pose(*places, camera, camera, {"max_epipolar_error": 2.0, "seed": 0}, {})
        turn = np.arccos(np.clip((np.trace(pose.R @ self.R.T) - 1) / 2, -1, 1))
        aside = np.arccos(np.clip(pose.t @ self.t / max(np.linalg.norm(pose.t), 1e-12), -1, 1))
        return float(np.degrees(max(turn, aside)))


def pairs_of(scenes: tuple[str, ...], num_photos: int) -> list[Pair]:
    """All pairs of the photos of each scene, then some strangers."""
    matchers = {name: create(name) for name in ("fast", "sift")}
    found, strangers = [], []
    for scene in scenes:
        folder = scene_dir(scene)
        cameras = read_cameras(folder / "cameras.json")
        files = sorted(path for path in (folder / "images").iterdir() if path.name in cameras)
        chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, num_photos).astype(int))]
        photos = {
            photo.name: {name: own.detect(photo.pixels(WORKING_SIDE_PX)) for name, own in matchers.items()}
            for photo in load_photos(chosen).photos
        }
        strangers.append(list(photos.values())[:_STRANGERS_PER_SCENE])
        for a, b in combinations(photos, 2):
            for way in _WAYS:
                found.append(
                    _with_truth(scene, way, *_matched(matchers, way, photos[a], photos[b]), cameras[a], cameras[b])
                )
    for first, second in combinations(strangers, 2):
        for a, b in zip(first, second, strict=True):
            found += [_stranger(way, *_matched(matchers, way, a, b)) for way in _WAYS]
    return found


def _matched(matchers, way: str, a: dict[str, Features], b: dict[str, Features]):  # type: ignore[no-untyped-def]
    kind = "sift" if way == "sift" else "fast"
    matches = mutual_nearest(a[kind], b[kind]) if way == "nearest" else matchers[way].match(a[kind], b[kind])
    own = tuple(_rows(features[kind], matches.indices[:, side]) for side, features in enumerate((a, b)))
    rows = np.arange(len(matches))
    return own, Matches(np.stack([rows, rows], axis=1), np.asarray(matches.confidence))


def _rows(features: Features, rows: np.ndarray) -> Features:
    nothing = np.zeros((len(rows), 0), np.float32)
    return Features(features.keypoints[rows], nothing, features.scores[rows], features.width, features.height)


def _stranger(way: str, features: tuple[Features, Features], matches: Matches) -> Pair:
    nowhere = np.full((len(matches), 2), np.nan)
    never = np.full(len(matches), np.inf)
    return Pair("strangers", way, features, matches, never, (nowhere, nowhere), np.eye(3), np.zeros(3), np.nan)


def _with_truth(
    scene: str,
    way: str,
    features: tuple[Features, Features],
    matches: Matches,
    a: DistortedCamera,
    b: DistortedCamera,
) -> Pair:
    rays = (_rays(features[0], a), _rays(features[1], b))
    R = b.camera.R @ a.camera.R.T
    t = b.camera.t - R @ a.camera.t
    t = t / np.linalg.norm(t)
    E = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]]) @ R
    focal_px = float(a.camera.K[0, 0]) / max(a.camera.width, a.camera.height) * WORKING_SIDE_PX
    return Pair(scene, way, features, matches, sampson_px(E, *rays) * focal_px, rays, R, t, focal_px)


def _rays(features: Features, camera: DistortedCamera) -> np.ndarray:
    K, scale = camera.camera.K, np.array([camera.camera.width, camera.camera.height])
    pixels = features.keypoints * scale / [features.width, features.height]
    return (undistort_pixels(pixels, camera) - K[:2, 2]) / [K[0, 0], K[1, 1]]


def quantities(regressor: PairRegressor) -> dict[str, Callable[[Pair, np.ndarray], float]]:
    """What may tell right verified pairs from wrong ones, larger for right ones."""

    def guess(pair: Pair):  # type: ignore[no-untyped-def]
        places = [
            (own.keypoints.astype(np.float64) - [own.width / 2, own.height / 2]) / max(own.width, own.height)
            for own in pair.features
        ]
        return regressor.guess(Correspondences(*places, pair.matches.confidence.astype(np.float64)), TYPICAL)

    return {
        "inliers": lambda pair, rows: len(rows),
        "inlier share": lambda pair, rows: len(rows) / len(pair.matches),
        "matcher's mean confidence": lambda pair, rows: float(pair.matches.confidence[rows].mean()),
        "network's mean inlier probability": lambda pair, rows: float(guess(pair).inlier_probability[rows].mean()),
        "network's parallax probability": lambda pair, rows: guess(pair).parallax_probability,
        "network's certainty of the rotation": lambda pair, rows: -float(guess(pair).rotation_sigma_rad[0]),
    }


def area_under_roc(right: list[float], wrong: list[float]) -> float:
    """Chance that a right pair has more than a wrong one."""
    more = np.array(right)[:, None] - np.array(wrong)[None]
    return float(np.mean((more > 0) + 0.5 * (more == 0)))


def print_doubt(pairs: list[Pair], config: MatchingConfig) -> None:
    """The first table."""
    own_of = quantities(PairRegressor.load())
    print("| matches | verified | right | wrong | " + " | ".join(own_of) + " |\n" + "|---" * (len(own_of) + 4) + "|")
    for way in ("fast", "sift"):
        for most in (10**6, 150):
            right, wrong = [], []
            for pair in pairs:
                if pair.way == way:
                    rows = _verified(pair, config, None).indices[:, 0]
                    share = np.mean(pair.error_px[rows] < _TRUE_PX) if _is_good(pair, config, rows) else np.nan
                    if len(rows) <= most and (share > 0.6 or share < 0.2):
                        (right if share > 0.6 else wrong).append([own(pair, rows) for own in own_of.values()])
            areas = [area_under_roc(*columns) for columns in zip(zip(*right), zip(*wrong))] if wrong else []  # type: ignore[arg-type] # noqa: B905
            cells = " | ".join(f"{area:.3f}" for area in areas)
            size = "all" if most > 1000 else f"up to {most}"
            print(f"| {way} | {size} | {len(right)} | {len(wrong)} | {cells} |", flush=True)


def _verified(pair: Pair, config: MatchingConfig, network: EpipolarProposals | None) -> PairMatches:
    return verified_pair(0, 1, *pair.features, pair.matches, config, network)


def _is_good(pair: Pair, config: MatchingConfig, rows: np.ndarray) -> bool:
    return len(rows) >= max(config.min_inliers, config.min_inlier_share * len(pair.matches))


def print_proposals(pairs: list[Pair], config: MatchingConfig) -> None:
    """The second table."""
    network = EpipolarProposals()
    print(
        "| matches | pairs | verified | pose within 10 degrees | inliers | right ones | lowered | CPU ms |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for way in _WAYS:
        for overlaps in (True, False):
            own = [p for p in pairs if p.way == way and (p.num_overlapping >= _OVERLAP) == overlaps]
            own = [p for p in own if len(p.matches) >= config.min_inliers]
            cells, before = [], np.zeros(len(own))
            for used in (None, network):
                start = time.process_time()
                found = [_verified(pair, config, used) for pair in own]
                spent_ms = 1000 * (time.process_time() - start) / max(len(own), 1)
                count = np.array([len(pair.indices) for pair in found])
                rows = [pair.indices[:, 0] for pair in found]
                good = [pair.rotation_and_direction_deg(r) < _RIGHT_DEG for pair, r in zip(own, rows, strict=True)]
                true = [np.sum(pair.error_px[r] < _TRUE_PX) for pair, r in zip(own, rows, strict=True)]
                num_verified = sum(pair.rejected is None for pair in found)
                cells.append((num_verified, sum(good), count.mean(), np.mean(true), np.sum(count < before), spent_ms))
                before = count
            both = [f"{a:.0f} → {b:.0f}" for a, b in zip(*cells, strict=True)]
            print(
                f"| {way}, {'overlapping' if overlaps else 'not'} | {len(own)} | " + " | ".join(both) + " |", flush=True
            )


def main() -> None:
    """Parse the options and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=12, help="of each scene")
    parser.add_argument("--cache", type=Path, help="file that keeps the matches")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.cache is not None and options.cache.exists():
        pairs = pickle.loads(options.cache.read_bytes())
    else:
        try:
            pairs = pairs_of(SCENES, options.photos)
        except pytest.skip.Exception as skipped:
            raise SystemExit(str(skipped)) from skipped
        if options.cache is not None:
            options.cache.write_bytes(pickle.dumps(pairs))
    config = MatchingConfig(min_confidence=0.0)
    print_doubt(pairs, config)
    print_proposals(pairs, config)


if __name__ == "__main__":
    main()
