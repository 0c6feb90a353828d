"""Matches of real pairs of photos with known cameras, as the matchers give them, not verified."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from matching.matcher import create
from matching.types import Features, Matches
from recon.camera_files import read_cameras
from recon.photo_loading import load_photos
from recon.regression.correspondences import Correspondences
from recon.undistort import DistortedCamera, undistort_pixels

WORKING_SIDE_PX = 1024
_MOST_ROLL_DEG = 40.0  # XFeat does not match photos turned further


@dataclass(frozen=True)
class RealPair:
    """Matches of a pair and its true cameras.

    Attributes:
        scene, names: where it comes from.
        matches: in units, without lens distortion, by way of matching.
        R, t: true b_from_a.
        focal: units.
        angle_deg: between the true orientations.
    """

    scene: str
    names: tuple[str, str]
    matches: dict[str, Correspondences]
    R: np.ndarray
    t: np.ndarray
    focal: float
    angle_deg: float


def real_pairs(folder: Path, *, min_angle_deg: float, max_angle_deg: float, count: int, seed: int) -> list[RealPair]:
    """Up to `count` pairs of a photo set whose cameras are turned by so much against each other."""
    cameras = read_cameras(folder / "cameras.json")
    chosen = []
    for a, b in combinations(sorted(cameras), 2):
        R = cameras[b].camera.R @ cameras[a].camera.R.T
        angle = float(np.degrees(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1))))
        roll = abs(float(np.degrees(np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1]))))
        if min_angle_deg <= angle <= max_angle_deg and roll <= _MOST_ROLL_DEG:
            chosen.append((a, b, angle))
    order = np.random.default_rng(seed).permutation(len(chosen))[:count]
    names = sorted({name for i in order for name in chosen[i][:2]})
    places = _Keypoints(folder, names, cameras)
    return [places.pair(*chosen[i]) for i in sorted(order)]


def cached_pairs(folder: Path, cache: Path | None, **choice: float) -> list[RealPair]:
    """`real_pairs`, kept in a file of our own between runs."""
    file = None if cache is None else cache / f"{folder.name}.pickle"
    if file is not None and file.exists():
        return pickle.loads(file.read_bytes())
    found = real_pairs(folder, **choice)  # type: ignore[arg-type]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(found))
    return found


class _Keypoints:
    """Features of some photos of a set."""

    def __init__(self, folder: Path, names: list[str], cameras: dict[str, DistortedCamera]) -> None:
        self.scene, self.cameras = folder.name, cameras
        self.matchers = {name: create(name) for name in ("fast", "sift")}
        files = {path.name: path for path in (folder / "images").iterdir()}
        self.features: dict[str, dict[str, Features]] = {}
        for photo in load_photos([files[name] for name in names]).photos:
            pixels = photo.pixels(WORKING_SIDE_PX)
            self.features[photo.name] = {name: own.detect(pixels) for name, own in self.matchers.items()}

    def pair(self, a: str, b: str, angle_deg: float) -> RealPair:
        matches = {
            "xfeat + lighterglue": self._matched(a, b, "fast", self.matchers["fast"].match),
            "xfeat, nearest": self._matched(a, b, "fast", mutual_nearest),
            "sift": self._matched(a, b, "sift", self.matchers["sift"].match),
        }
        camera_a, camera_b = self.cameras[a].camera, self.cameras[b].camera
        R = camera_b.R @ camera_a.R.T
        t = camera_b.t - R @ camera_a.t
        return RealPair(self.scene, (a, b), matches, R, t / np.linalg.norm(t), self._focal(a), angle_deg)

    def _matched(self, a: str, b: str, kind: str, match) -> Correspondences:  # type: ignore[no-untyped-def]
        own = [self.features[name][kind] for name in (a, b)]
        found: Matches = match(*own)
        in_a = self._units(a, own[0], found.indices[:, 0])
        in_b = self._units(b, own[1], found.indices[:, 1]) * (self._focal(a) / self._focal(b))
        return Correspondences(in_a, in_b, np.asarray(found.confidence, np.float64))

    def _units(self, name: str, features: Features, rows: np.ndarray) -> np.ndarray:
        camera = self.cameras[name].camera
        scale = np.array([camera.width / features.width, camera.height / features.height])
        flat = undistort_pixels(features.keypoints[rows] * scale, self.cameras[name])
        return (flat - camera.K[:2, 2]) / max(camera.width, camera.height)

    def _focal(self, name: str) -> float:
        camera = self.cameras[name].camera
        return float(camera.K[0, 0] + camera.K[1, 1]) / 2 / max(camera.width, camera.height)


def mutual_nearest(a: Features, b: Features) -> Matches:
    """Each keypoint with its nearest descriptor, if that is mutual: many matches, most of them wrong."""
    similarity = a.descriptors @ b.descriptors.T
    to_b = similarity.argmax(axis=1)
    rows = np.flatnonzero(similarity.argmax(axis=0)[to_b] == np.arange(len(to_b)))
    indices = np.stack([rows, to_b[rows]], axis=1).astype(np.int64)
    return Matches(indices, np.clip(similarity[rows, to_b[rows]], 0, 1).astype(np.float32))


def by_way_of_matching(pairs: list[RealPair]) -> Iterator[tuple[str, list[tuple[Correspondences, RealPair]]]]:
    """The pairs' matches, one way of matching after another."""
    for way in pairs[0].matches if pairs else ():
        yield way, [(pair.matches[way], pair) for pair in pairs]
