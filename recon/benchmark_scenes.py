"""Photo sets with known cameras, and which of their photos a measurement with few of them takes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recon.camera_files import read_cameras
from recon.errors import ReconError
from recon.undistort import DistortedCamera

Spacing = Literal["splits", "wide"]

_WHAT_A_SCENE_IS = "A scene is a folder with images/, splits.json and cameras.json."


@dataclass(frozen=True)
class BenchScene:
    """A folder of photos with known cameras.

    Attributes:
        folder: holds `images/`.
        truth: cameras by file name, of photos that are there.
        splits: number of photos -> their paths relative to the folder.
        order: paths such that each photo overlaps with earlier ones; empty where the scene has none.
        heldout: number of photos -> paths of the photos that a split of that size is to predict.
    """

    folder: Path
    truth: dict[str, DistortedCamera]
    splits: dict[int, tuple[str, ...]]
    order: tuple[str, ...]
    heldout: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def camera_numbers(self) -> dict[str, list[Any]]:
        """All numbers of the known cameras, for fingerprints."""
        return {
            name: [own.camera.K.tolist(), own.camera.cam_from_world.tolist(), own.distortion.tolist()]
            for name, own in self.truth.items()
        }


def read_scene(folder: Path) -> BenchScene:
    """Read what is known of a photo set.

    Raises:
        ReconError: it is no such folder, a file is damaged, or photos of its splits or their cameras are missing.
    """
    for name in ("images", "splits.json", "cameras.json"):
        if not (folder / name).exists():
            raise ReconError(f"{folder} is no scene to measure on: it has no {name}.", _WHAT_A_SCENE_IS)
    known = _with_our_pixel_centres(folder / "cameras.json", read_cameras(folder / "cameras.json"))
    truth = {name: camera for name, camera in known.items() if (folder / "images" / name).is_file()}
    try:
        document = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
        splits = {int(key): _paths(split["train"]) for key, split in document["splits"].items() if key.isdigit()}
        heldout = {int(k): _paths(split.get("test") or ()) for k, split in document["splits"].items() if k.isdigit()}
        order = _paths(document.get("order") or ())
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReconError(f"{folder / 'splits.json'} does not hold splits: {error!s}.", _WHAT_A_SCENE_IS) from error
    named = [path for split in (*splits.values(), *heldout.values()) for path in split]
    for path in dict.fromkeys([*order, *named]):
        if not (folder / path).is_file():
            raise ReconError(f"{folder} has no {path}, which its splits.json names.", "Complete the photo set.")
        if Path(path).name not in truth:
            raise ReconError(f"{folder / 'cameras.json'} has no camera for {path}.", "Complete the photo set.")
    return BenchScene(folder, truth, splits, order, heldout)


def _with_our_pixel_centres(path: Path, cameras: dict[str, DistortedCamera]) -> dict[str, DistortedCamera]:
    """Cameras of sets that count pixels from the centre of the first one, as their `pixel_centre` then says: (0,0)."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if "(0,0)" not in str(document.get("pixel_centre", "")).replace(" ", ""):
        return cameras
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    return {name: replace(own, camera=replace(own.camera, K=own.camera.K + half)) for name, own in cameras.items()}


def choose_photos(scene: BenchScene, num_views: int, spacing: Spacing = "splits") -> tuple[str, ...]:
    """Which photos of a scene a measurement takes, sorted paths relative to its folder.

    By `splits` neighbours overlap well: the split of that size; where there is none, the first photos of `order`, so
    that the set holds the smaller splits and lies in the larger ones; without an order, photos spaced evenly in the
    next larger split. `wide` takes photos spaced evenly over the whole capture, in the order of their names.

    Raises:
        ReconError: the scene has no set of that size.
    """
    if spacing == "wide":
        if num_views > len(scene.truth):
            raise ReconError(f"{scene.name} has {len(scene.truth)} photos, not {num_views}.", "Ask for fewer views.")
        return _spaced_evenly([f"images/{name}" for name in scene.truth], num_views)
    if num_views in scene.splits:
        return tuple(sorted(scene.splits[num_views]))
    larger = min((size for size in scene.splits if size > num_views), default=None)
    if larger is None:
        sizes = ", ".join(str(size) for size in sorted(scene.splits))
        raise ReconError(f"{scene.name} has no set of {num_views} photos.", f"Its splits have {sizes} photos.")
    if len(scene.order) >= num_views and set(scene.order[:num_views]) <= set(scene.splits[larger]):
        return tuple(sorted(scene.order[:num_views]))
    return _spaced_evenly(scene.splits[larger], num_views)


def choose_heldout(scene: BenchScene, num_views: int) -> tuple[str, ...]:
    """The photos that `choose_photos(scene, num_views)` is to predict: near it, but not in it, sorted.

    Raises:
        ReconError: the scene has no split that it could come from, or that split none to predict.
    """
    size = min((size for size in scene.splits if size >= num_views), default=None)
    chosen = scene.heldout.get(size, ()) if size is not None else ()
    if not chosen:
        raise ReconError(
            f"{scene.name} has no photos to predict from {num_views}.", "Its splits.json must name some under test."
        )
    return tuple(sorted(set(chosen) - set(choose_photos(scene, num_views))))


def _spaced_evenly(paths: Iterable[str], number: int) -> tuple[str, ...]:
    ordered = sorted(paths)
    return tuple(ordered[index] for index in np.round(np.linspace(0, len(ordered) - 1, number)).astype(int))


def _paths(value: Any) -> tuple[str, ...]:
    if not all(isinstance(path, str) for path in value):
        raise ValueError("a path is not a text")
    return tuple(value)
