"""From a sparse model to the scene: undistorted views and coloured points; and from known cameras to a model."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recon.errors import ReconError
from recon.focal import TYPICAL_FOCAL
from recon.match_graph import MatchGraph
from recon.photo import Photo
from recon.scene import PointCloud, Reconstruction, View
from recon.sparse_model import MAPPING_SIDE_PX, Lens, MappingProblem, SparseModel
from recon.undistort import DistortedCamera, undistort_pixels, undistorted_view
from splatting.camera import Camera


def camera_with_lens(photo: Photo, lens: Lens, cam_from_world: NDArray[np.float64]) -> DistortedCamera:
    """The camera of a photo at its full size."""
    focal = lens.focal * max(photo.width, photo.height)
    K = np.array([[focal, 0, photo.width / 2], [0, focal, photo.height / 2], [0, 0, 1]])
    camera = Camera(K, cam_from_world, photo.width, photo.height)
    return DistortedCamera(camera, lens.distortion)


def assemble(
    photos: Sequence[Photo],
    graph: MatchGraph,
    model: SparseModel,
    cameras: Mapping[int, DistortedCamera],
    *,
    working_side_px: int,
    heldout: frozenset[str],
) -> Reconstruction:
    """Views of the placed photos, in the order of `photos`, and the model's points; nothing unplaced, no warnings.

    Points are coloured by the training views that see them; points that only held-out photos see are left out.

    Args:
        photos, graph: as given to the pose stage.
        model: its points and observations.
        cameras: of each placed photo, by position, at full size.
        working_side_px: longest side of the views.
        heldout: names of photos whose views are marked.
    """
    placed = sorted(cameras)
    views = tuple(
        undistorted_view(photos[i], cameras[i], working_side_px, is_heldout=photos[i].name in heldout) for i in placed
    )
    view_of = np.full(len(photos), -1)
    view_of[placed] = np.arange(len(placed))
    observed = np.zeros((len(model.point_of), 2))  # [O, 2] px in the views
    for i, view in zip(placed, views, strict=True):
        rows = np.flatnonzero(model.photo_of == i)
        full = undistort_pixels(graph.keypoints[i][model.keypoint_of[rows]], cameras[i])
        observed[rows] = full * [view.camera.width / photos[i].width, view.camera.height / photos[i].height]
    return Reconstruction(views, _points(model, views, view_of[model.photo_of], observed), ())


def _points(
    model: SparseModel, views: Sequence[View], view_of: NDArray[np.int64], observed: NDArray[np.float64]
) -> PointCloud:
    """Coloured points of the model; `view_of` [O] and `observed` [O, 2] belong to its observations."""
    num_points, point_of = len(model.xyz), model.point_of
    colours, error_px = np.zeros((len(point_of), 3)), np.zeros(len(point_of))
    trains = np.array([not view.is_heldout for view in views])[view_of]
    for position, view in enumerate(views):
        rows = np.flatnonzero(view_of == position)
        pixels, _ = view.camera.project(model.xyz[point_of[rows]])
        error_px[rows] = np.linalg.norm(pixels - observed[rows], axis=1)
        columns, lines = np.floor(observed[rows]).astype(int).T
        height, width = view.rgb.shape[:2]
        colours[rows] = view.rgb[lines.clip(0, height - 1), columns.clip(0, width - 1)]
    num_training = np.bincount(point_of, trains, num_points)
    num_views = np.bincount(point_of, minlength=num_points)
    sums = np.stack([np.bincount(point_of, colours[:, c] * trains, num_points) for c in range(3)], axis=1)
    rgb = np.round(sums / np.maximum(num_training, 1)[:, None]).astype(np.uint8)
    mean_error = np.bincount(point_of, error_px, num_points) / np.maximum(num_views, 1)
    order = np.argsort(point_of, kind="stable")
    tracks = np.split(view_of[order], np.cumsum(num_views)[:-1])
    keep = np.flatnonzero(num_training > 0)
    return PointCloud(
        xyz=model.xyz[keep],
        rgb=rgb[keep],
        num_views=num_views[keep].astype(np.int32),
        error_px=mean_error[keep].astype(np.float32),
        view_indices=tuple(tuple(sorted(tracks[i].tolist())) for i in keep),
    )


def cameras_of_photos(photos: Sequence[Photo], cameras: Mapping[str, DistortedCamera]) -> dict[int, DistortedCamera]:
    """Find each photo's camera by name, else by name without extension, scaled to the photo's size.

    Returns:
        Cameras by position of the photo; photos without one are absent.

    Raises:
        ReconError: a camera has another shape than its photo.
    """
    by_stem = {name.rsplit(".", 1)[0]: camera for name, camera in cameras.items()}
    found = {}
    for position, photo in enumerate(photos):
        known = cameras.get(photo.name, by_stem.get(photo.name.rsplit(".", 1)[0]))
        if known is None:
            continue
        given = known.camera
        if abs(given.width * photo.height - given.height * photo.width) > max(photo.width, photo.height):
            raise ReconError(
                f"The camera given for {photo.name} is for {given.width} x {given.height} px, "
                f"the photo has {photo.width} x {photo.height}.",
                "Give cameras of the photos as they are, not cropped or turned.",
            )
        found[position] = DistortedCamera(given.resized(photo.width, photo.height), known.distortion)
    return found


def known_problem(
    photos: Sequence[Photo], graph: MatchGraph, known: Mapping[int, DistortedCamera]
) -> tuple[MappingProblem, SparseModel]:
    """The matches as seen by known cameras, as a problem for triangulation and a model without points.

    Keypoints become those of a camera without distortion, with one focal length and its principal point in the
    middle, so that any pinhole fits the mapping frame; each photo has a lens of its own.
    """
    lenses, keypoints = [], []
    for position, own in enumerate(graph.keypoints):
        if position not in known:
            lenses.append(Lens(TYPICAL_FOCAL))
            keypoints.append(np.zeros((len(own), 2)))
            continue
        K = known[position].camera.K
        focal = float(K[0, 0] + K[1, 1]) / 2 / max(photos[position].width, photos[position].height)
        flat = (undistort_pixels(own, known[position]) - K[:2, 2]) / [K[0, 0], K[1, 1]]
        lenses.append(Lens(focal))
        keypoints.append((flat * focal + 0.5) * MAPPING_SIDE_PX)
    pairs = tuple(p for p in graph.pairs if p.rejected is None and p.a in known and p.b in known)
    problem = MappingProblem(tuple(keypoints), pairs, tuple(range(len(photos))))
    poses = {position: distorted.camera.cam_from_world for position, distorted in known.items()}
    nothing = np.zeros(0, np.int64)
    return problem, SparseModel(tuple(lenses), poses, np.zeros((0, 3)), nothing, nothing, nothing)
