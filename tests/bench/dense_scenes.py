"""Photo sets for measuring stereo: views with true cameras, tracks to test against, true depth where there is any."""

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from recon.benchmark_scenes import choose_photos, read_scene
from recon.match_photos import match_photos
from recon.photo_loading import load_photos
from recon.poses import reconstruction_from_cameras
from recon.scene import PointCloud, Reconstruction, View, training_part
from tests.photo_sets import scene_dir

LARGEST_SPLIT = 12  # photos; all splits up to it are matched together, for tracks and reference depth
TRACK_VIEWS = 3  # photos that must see a track, of all that are matched
# Mean reprojection error at working size. Tracks of up to 1 px are themselves off by more than a pixel in one out of
# eight cases (fountain), of up to .3 px in one out of fifty.
TRACK_ERROR_PX = 0.3


@dataclass(frozen=True)
class DenseScene:
    """What stereo gets, and what it is measured against.

    Attributes:
        name: scene and split.
        views: those whose depth is wanted.
        points: sparse points that stereo may use: every second one.
        tracks: the others, as far as at least three photos of the set agree on them; `view_indices` into `views`.
        all_views, all_points: everything that is known of the scene, for reference depth.
        is_own: [len(all_views)] which of `all_views` are `views`.
        true_depths: per view [H, W] z in the camera, 0 = unknown; None where the set has none.
    """

    name: str
    views: tuple[View, ...]
    points: PointCloud
    tracks: PointCloud
    all_views: tuple[View, ...]
    all_points: PointCloud
    is_own: np.ndarray
    true_depths: tuple[np.ndarray, ...] | None


def load(name: str, side_px: int, cache: Path | None) -> DenseScene:
    """A split `SCENE:NUMBER`, or `SCENE:all` for the photos of all splits; matches are kept in the folder `cache`."""
    folder_name, split = name.split(":")
    folder = scene_dir(folder_name)
    known = read_scene(folder)
    splits = [size for size in known.splits if size <= LARGEST_SPLIT]
    whole = sorted({Path(path).name for size in splits for path in choose_photos(known, size)})
    scene = _matched(folder, whole, side_px, cache)
    own = whole if split == "all" else [Path(path).name for path in choose_photos(known, int(split))]
    views = tuple(replace(view, is_heldout=view.name not in own) for view in scene.views)
    is_own = np.array([not view.is_heldout for view in views])
    num_seen, error_px = scene.points.num_views, scene.points.error_px
    is_test = np.arange(len(scene.points)) % 2 == 1
    chosen, points = training_part(replace(scene, views=views, points=_part(scene.points, ~is_test)))
    good = is_test & (num_seen >= TRACK_VIEWS) & (error_px < TRACK_ERROR_PX)
    _, tracks = training_part(replace(scene, views=views, points=_part(scene.points, good)))
    return DenseScene(name, chosen, points, tracks, scene.views, scene.points, is_own, _true_depths(folder, chosen))


def _part(points: PointCloud, use: np.ndarray) -> PointCloud:
    tracks = points.view_indices or ()
    return PointCloud(
        points.xyz[use],
        points.rgb[use],
        points.num_views[use],
        points.error_px[use],
        tuple(tracks[i] for i in np.flatnonzero(use)),
    )


def _matched(folder: Path, names: list[str], side_px: int, cache: Path | None) -> Reconstruction:
    file = None if cache is None else cache / f"{folder.name}_{len(names)}_{side_px}.pickle"
    if file is not None and file.exists():
        return pickle.loads(file.read_bytes())
    photos = load_photos([folder / "images" / name for name in names]).photos
    known = read_scene(folder).truth
    graph = match_photos(photos)
    scene = reconstruction_from_cameras(photos, graph, known, working_side_px=side_px, heldout=frozenset())
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(scene))
    return scene


def _true_depths(folder: Path, views: tuple[View, ...]) -> tuple[np.ndarray, ...] | None:
    """Depth files of the set, each at the centres of its own pixels; at most as large as the view."""
    document = json.loads((folder / "cameras.json").read_text())
    files = {Path(image["file"]).name: image["depth"] for image in document["images"] if "depth" in image}
    if not files:
        return None
    scale = document.get("depth", {}).get("scale", 1000)  # the living room's are millimetres
    stored = (cv2.imread(str(folder / files[view.name]), cv2.IMREAD_UNCHANGED) for view in views)
    return tuple(depth.astype(np.float32) / scale for depth in stored)
