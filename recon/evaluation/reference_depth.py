"""Depth of all photos of a set that no model under test had a part in: given with the set, else by stereo over all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from matching.consistency import check_consistency
from recon.artefacts import ArtefactError, load_artefact, save_artefact, to_json
from recon.benchmark_scenes import BenchScene
from recon.dense_depth import DenseConfig, estimate_depths
from recon.errors import ReconError
from recon.match_photos import MatchingConfig, match_photos
from recon.photo import Photo
from recon.photo_loading import load_photos
from recon.poses import reconstruction_from_cameras
from recon.progress import Progress
from recon.project import fingerprint, identities
from recon.scene import View
from recon.undistort import DistortedCamera, distort, undistort_pixels
from splatting.camera import Camera

MIN_VERIFIED_BY = 2  # other photos that agree with a depth by stereo
MIN_SEEN_BY = 2  # training photos that see a covered pixel's point
HOLE_RADIUS = 4 / 640  # of the longer side: what stereo cannot tell is covered in holes as small as this
_VERSION = 1
_MM = 1000.0
# Only ranges of depth and neighbours come from these matches: few keypoints and few pairs will do.
_MATCHING = MatchingConfig(max_keypoints=1024, refine=False, all_pairs_up_to=6, neighbours=3)
_DENSE = DenseConfig()


@dataclass(frozen=True)
class ReferenceDepths:
    """Depth of the undistorted photos under the known cameras.

    Attributes:
        depths: by file name [H, W] float32, z in the camera frame; 0 where unknown.
        cameras: by file name, pinholes of that size.
        is_given: the set came with it; else it is by stereo.
    """

    depths: dict[str, NDArray[np.float32]]
    cameras: dict[str, Camera]
    is_given: bool


def reference_depths(scene: BenchScene, working_side_px: int, cache: Path, progress: Progress) -> ReferenceDepths:
    """Find the depth of every photo with a known camera, or read it from an earlier run.

    A set brings true depth as `depth/NAME.png`, 16 bits, in thousandths of its unit. Otherwise the photos are matched,
    triangulated and compared by stereo under the known cameras; a depth counts that two other photos agree with.

    Args:
        scene: the photo set.
        working_side_px: longest side of the maps.
        cache: folder where the result is kept.
        progress: called per photo.

    Raises:
        ReconError: photos or depth cannot be read, or too little of the scene matches.
    """
    photos = load_photos([scene.folder / "images" / name for name in scene.truth]).photos
    has_depth = all((scene.folder / "depth" / f"{Path(photo.name).stem}.png").is_file() for photo in photos)
    settings = [working_side_px, has_depth, to_json(_DENSE), to_json(_MATCHING), _VERSION]
    path = cache / f"reference_{scene.name}_{fingerprint(identities(photos), scene.camera_numbers, settings)[:16]}.npz"
    if path.exists():
        try:
            return load_artefact(path, (ReferenceDepths, Camera))
        except ArtefactError:
            path.unlink()
    find = _given_depths if has_depth else _stereo_depths
    found = find(scene, photos, working_side_px, progress)
    cache.mkdir(parents=True, exist_ok=True)
    save_artefact(found, path)
    return found


def _given_depths(scene: BenchScene, photos: Sequence[Photo], side: int, progress: Progress) -> ReferenceDepths:
    depths, cameras = {}, {}
    for done, photo in enumerate(photos):
        progress(done, len(photos), f"reading the depth of {photo.name}")
        stored = cv2.imread(str(scene.folder / "depth" / f"{Path(photo.name).stem}.png"), cv2.IMREAD_UNCHANGED)
        if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
            raise ReconError(f"The depth of {photo.name} is no picture of 16 bits.", "Mend the photo set.")
        known = scene.truth[photo.name]
        if known.distortion.any():
            raise ReconError(f"{photo.name} has depth and a distorting lens.", "Undistort the set.")
        scale = min(1.0, side / max(photo.width, photo.height))
        width, height = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
        resized = cv2.resize(stored.astype(np.float32) / _MM, (width, height), interpolation=cv2.INTER_NEAREST)
        depths[photo.name] = np.asarray(resized, np.float32)
        cameras[photo.name] = known.camera.resized(width, height)
    return ReferenceDepths(depths, cameras, is_given=True)


def _stereo_depths(scene: BenchScene, photos: Sequence[Photo], side: int, progress: Progress) -> ReferenceDepths:
    graph = match_photos(photos, _MATCHING, lambda done, total, text: progress(done, 2 * max(1, total), text))
    posed = reconstruction_from_cameras(
        photos, graph, scene.truth, working_side_px=side, heldout=frozenset(), progress=lambda *_: progress(1, 2, "")
    )
    maps = estimate_depths(
        posed.views,
        posed.points,
        _DENSE,
        seed=0,
        num_threads=torch.get_num_threads(),
        progress=lambda done, total, text: progress(total + done, 2 * max(1, total), text),
    )
    depths = {
        view.name: np.where(own.num_agreeing >= MIN_VERIFIED_BY, own.depth, 0).astype(np.float32)
        for view, own in zip(posed.views, maps, strict=True)
    }
    return ReferenceDepths(depths, {view.name: view.camera for view in posed.views}, is_given=False)


def covered_pixels(reference: ReferenceDepths, name: str, training: Sequence[str]) -> NDArray[np.bool_]:
    """Which pixels of a photo show points that at least two training photos see, [H, W] bool.

    A point is seen where it projects to and the depth there agrees, forward and backward; see `check_consistency`.
    Holes of a few pixels, where stereo found nothing in the middle of what is covered, are covered, too: else only what
    is easy to match would count.

    Args:
        reference: depth of all these photos.
        name: the photo to predict.
        training: the photos that a scene is made from.
    """
    together = [name, *training]
    cameras = [(reference.cameras[other].K, reference.cameras[other].cam_from_world) for other in together]
    depths = [reference.depths[other] for other in together]
    trusted = [np.ones_like(depth) for depth in depths]
    checked = check_consistency(depths, cameras, trusted, num_threads=torch.get_num_threads())
    _, num_agreeing = checked[0]
    seen = ((depths[0] > 0) & (num_agreeing >= MIN_SEEN_BY)).astype(np.uint8)
    radius = round(HOLE_RADIUS * max(seen.shape))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.morphologyEx(seen, cv2.MORPH_CLOSE, disc), np.bool_)


def as_seen_in(view: View, mask: NDArray[np.bool_], truth: DistortedCamera) -> NDArray[np.bool_]:
    """A mask [H, W] of the photo undistorted by its true lens, in the view that an estimated lens undistorted.

    Args:
        view: of the same photo and size.
        mask: made under the true camera.
        truth: that camera, at any size.
    """
    height, width = mask.shape
    K = view.camera.K
    true_lens = DistortedCamera(truth.camera.resized(width, height), truth.distortion)
    x, y = np.meshgrid(np.arange(view.camera.width) + 0.5, np.arange(view.camera.height) + 0.5)
    flat = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]], axis=-1).reshape(-1, 2)
    photo_px = distort(flat, np.array(view.removed_distortion)) * [K[0, 0], K[1, 1]] + K[:2, 2]
    column, row = np.floor(undistort_pixels(photo_px, true_lens)).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = inside & mask[row.clip(0, height - 1), column.clip(0, width - 1)]
    return np.asarray(seen.reshape(view.camera.height, view.camera.width))
