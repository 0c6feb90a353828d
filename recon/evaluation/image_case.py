"""A set of photos of a scene, made ready for fitting: cameras, sparse points, dense start, and photos to predict."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matching.types import Features
from recon.align import upright
from recon.artefacts import ArtefactError, load_artefact, save_artefact, to_json
from recon.benchmark_scenes import BenchScene
from recon.config import ReconConfig
from recon.dense import DenseScene, make_dense
from recon.errors import ReconError
from recon.evaluation.image_rows import CameraSource
from recon.match_graph import MatchGraph, PairMatches
from recon.match_photos import match_photos
from recon.photo import Photo
from recon.photo_loading import load_photos
from recon.poses import estimate_poses, reconstruction_from_cameras
from recon.progress import Progress
from recon.project import fingerprint, identities
from recon.scene import DepthMap, PointCloud, Reconstruction, View, training_part
from recon.sparse_scene import cameras_of_photos
from recon.stages import VERSIONS
from recon.undistort import undistorted_view
from recon.version import program_version
from splatting.gaussians import Gaussians


@dataclass(frozen=True)
class ImageCase:
    """What is reconstructed and what is to be predicted; paths relative to the scene's folder.

    With true cameras only the training photos are matched, and the others take no part at all. With estimated ones the
    photos to predict are matched and placed together with the training photos, as `--holdout` does it.
    """

    scene: BenchScene
    training: tuple[str, ...]
    heldout: tuple[str, ...]
    cameras: CameraSource
    seed: int

    @property
    def title(self) -> str:
        """`fox, 6 photos, true cameras, seed 0`."""
        return f"{self.scene.name}, {len(self.training)} photos, {self.cameras} cameras, seed {self.seed}"


@dataclass(frozen=True)
class PlacedCase:
    """The photos of a case with cameras.

    Attributes:
        views: to train on.
        points: sparse points with `view_indices` into `views`.
        heldout: views to predict, those that have a camera.
        matching_cpu_s, pose_cpu_s: CPU seconds that it took.
        warnings: one sentence each.
    """

    views: tuple[View, ...]
    points: PointCloud
    heldout: tuple[View, ...]
    matching_cpu_s: float
    pose_cpu_s: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Timed:
    """A result that may be kept in a file, and the CPU seconds that it took when it was made."""

    value: MatchGraph | DenseScene
    cpu_s: float


def place(case: ImageCase, config: ReconConfig, cache: Path, progress: Progress) -> PlacedCase:
    """Match and place the photos of a case.

    Args:
        case: which.
        config: matching, poses and working size.
        cache: folder where matches are kept and found again.
        progress: told how far it is.

    Raises:
        ReconError: photos cannot be read, do not match, or fewer than two are placed.
    """
    training, heldout = _load(case)
    photos = training if case.cameras == "true" else (*training, *heldout)
    matches = _matches(photos, config, cache, lambda done, total, text: progress(done, 2 * max(1, total), text))
    assert isinstance(matches.value, MatchGraph)
    started, side = cpu_seconds(), config.working_side_px

    def second_half(done: int, total: int, text: str) -> None:
        progress(total + done, 2 * max(1, total), text)

    if case.cameras == "true":
        scene = reconstruction_from_cameras(
            photos,
            matches.value,
            case.scene.truth,
            working_side_px=side,
            heldout=frozenset(),
            progress=second_half,
        )
        spent = cpu_seconds() - started
        known = cameras_of_photos(heldout, case.scene.truth)
        apart = tuple(undistorted_view(heldout[i], known[i], side, is_heldout=True) for i in sorted(known))
    else:
        scene = estimate_poses(
            photos,
            matches.value,
            config.poses,
            working_side_px=side,
            heldout=frozenset(photo.name for photo in heldout),
            seed=case.seed,
            progress=second_half,
        )
        scene = upright(scene)
        spent = cpu_seconds() - started
        apart = tuple(view for view in scene.views if view.is_heldout)
    views, points = training_part(scene)
    return PlacedCase(views, points, apart, matches.cpu_s, spent, _warnings(scene))


def dense_start(
    case: ImageCase, placed: PlacedCase, config: ReconConfig, cache: Path, progress: Progress
) -> tuple[DenseScene, float]:
    """Our dense depth and the Gaussians that start from it, and the CPU seconds that this took.

    Found again in `cache` where photos, settings and the program's version are the same.

    Raises:
        ReconError: hardly anything of the scene can be confirmed.
    """
    parts = [to_json(config.matching), to_json(config.poses), to_json(config.dense), to_json(config.initialise)]
    versions = [VERSIONS[name] for name in ("matches", "cameras", "points")]
    photos = [identities(part) for part in _load(case)]
    if case.cameras == "true":
        photos.pop()
        parts.append(case.scene.camera_numbers)
    key = fingerprint(photos, parts, config.working_side_px, case.cameras, case.seed, versions, program_version())
    path = cache / f"dense_{key[:16]}.npz"
    stored = _stored(path)
    if stored is None:
        started = cpu_seconds()
        made = make_dense(
            placed.views, placed.points, config.dense, config.initialise, seed=case.seed, progress=progress
        )
        stored = _keep(Timed(made, cpu_seconds() - started), path)
    assert isinstance(stored.value, DenseScene)
    return stored.value, stored.cpu_s


def cpu_seconds() -> float:
    """CPU seconds of this process so far, all threads."""
    times = os.times()
    return times.user + times.system


def _matches(photos: Sequence[Photo], config: ReconConfig, cache: Path, progress: Progress) -> Timed:
    key = fingerprint(identities(photos), to_json(config.matching), program_version(), VERSIONS["matches"])
    path = cache / f"image_matches_{key[:16]}.npz"
    stored = _stored(path)
    if stored is not None:
        return stored
    started = cpu_seconds()
    graph = match_photos(photos, config.matching, progress)
    return _keep(Timed(graph, cpu_seconds() - started), path)


def _stored(path: Path) -> Timed | None:
    if not path.exists():
        return None
    types = (Timed, MatchGraph, PairMatches, Features, DenseScene, DepthMap, Gaussians)
    try:
        return load_artefact(path, types)
    except ArtefactError:
        path.unlink()
        return None


def _keep(made: Timed, path: Path) -> Timed:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_artefact(made, path)
    return made


def _load(case: ImageCase) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """The training photos and those to predict, of which there may be a single one."""
    found = load_photos([case.scene.folder / path for path in (*case.training, *case.heldout)])
    if found.rejected:
        raise ReconError(f"{case.scene.name}: {found.rejected[0].reason}", "Mend the photo set.")
    return found.photos[: len(case.training)], found.photos[len(case.training) :]


def _warnings(scene: Reconstruction) -> tuple[str, ...]:
    return (*scene.warnings, *(f"{photo.name} was not placed: {photo.reason}" for photo in scene.unplaced))
