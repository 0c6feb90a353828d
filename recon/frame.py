"""The frame that people get: upright, on the ground, in metres once a length is known.

The stages work in a frame of their own, and their stored results stay in it. What lands in the project folder is moved
by one `Frame`, so that splats, mesh, points and cameras cannot part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recon import align
from recon.camera_paths import scene_center, subject_center
from recon.dense import DenseScene
from recon.report import FrameReport
from recon.scene import DepthMap, Mesh, Reconstruction, View
from recon.up import Plane, Surface, find_up, surface_of_depth
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.transforms import transformed

Floats = NDArray[np.float64]
Unit = Literal["m"]

_Y = np.array([0.0, 1.0, 0.0])
_LOWEST_SHARE = 0.02  # of the points may lie below the ground where no floor was found


@dataclass(frozen=True)
class Frame:
    """How the world of the project folder lies to that of the stages: `x = scale * R @ x_stages + t`.

    Attributes:
        scale: positive.
        R: rotation [3, 3].
        t: translation [3].
        unit: of lengths; None: arbitrary.
        is_upright: +Y is up; else nobody knows.
        up: one sentence, how it was decided which way is up.
        length: one sentence, how the unit was decided.
    """

    scale: float
    R: Floats
    t: Floats
    unit: Unit | None
    is_upright: bool
    up: str
    length: str


AS_IT_IS = Frame(1.0, np.eye(3), np.zeros(3), None, False, "As the cameras have it.", "Arbitrary.")
"""The frame of the stages themselves."""


def is_same(a: Frame, b: Frame) -> bool:
    """Whether two frames are one, but for how they were found."""
    return a.scale == b.scale and a.unit == b.unit and np.array_equal(a.R, b.R) and np.array_equal(a.t, b.t)


def framed_camera(frame: Frame, camera: Camera) -> Camera:
    """A camera of the stages in the frame."""
    return align.moved_camera(camera, frame.scale, frame.R, frame.t)


def framed_scene(frame: Frame, scene: Reconstruction) -> Reconstruction:
    """Cameras and sparse points in the frame."""
    return align.moved(scene, frame.scale, frame.R, frame.t)


def framed_gaussians(frame: Frame, gaussians: Gaussians) -> Gaussians:
    """Gaussians in the frame; they show the same pictures to its cameras."""
    return transformed(gaussians, frame.scale, frame.R, frame.t)


def framed_dense(frame: Frame, dense: DenseScene) -> DenseScene:
    """Verified points and depths in the frame."""
    depth_maps = tuple(replace(m, depth=(frame.scale * m.depth).astype(np.float32)) for m in dense.depth_maps)
    return replace(dense, depth_maps=depth_maps, gaussians=framed_gaussians(frame, dense.gaussians))


def framed_mesh(frame: Frame, mesh: Mesh) -> Mesh:
    """A mesh in the frame."""
    vertices = frame.scale * mesh.vertices.astype(np.float64) @ frame.R.T + frame.t
    return replace(mesh, vertices=vertices.astype(np.float32))


def frame_report(frame: Frame) -> FrameReport:
    """What the report says of a frame."""
    return FrameReport(up=frame.up, unit=frame.unit or "arbitrary", scale=frame.length)


def frame_to_document(frame: Frame) -> dict[str, Any]:
    """Numbers and texts for `project.json`."""
    return {**vars(frame), "R": frame.R.tolist(), "t": frame.t.tolist()}


def frame_from_document(document: Mapping[str, Any]) -> Frame:
    """Undo `frame_to_document`.

    Raises:
        ValueError, TypeError, KeyError: the document holds no frame.
    """
    R, t = np.array(document["R"], np.float64), np.array(document["t"], np.float64)
    if R.shape != (3, 3) or t.shape != (3,) or not float(document["scale"]) > 0:
        raise ValueError("the frame is damaged")
    return Frame(
        float(document["scale"]),
        R,
        t,
        document["unit"],
        bool(document["is_upright"]),
        str(document["up"]),
        str(document["length"]),
    )


def unscaled_frame(
    scene: Reconstruction, depth_maps: Sequence[DepthMap] | None, up: str | Floats, *, were_given: bool
) -> Frame:
    """Turn a scene upright, set it on the ground and put its subject above the origin; lengths stay.

    The ground (y = 0) is the floor or table that is found, else the lowest of the surface.

    Args:
        scene: cameras and sparse points; at least one view.
        depth_maps: one per training view; None before there are any.
        up: "auto", "none" (the frame of the stages stays) or a direction [3] in that frame.
        were_given: the cameras came from the user, with a unit of theirs.
    """
    length = "Arbitrary: that of the cameras that were given." if were_given else _ARBITRARY
    if isinstance(up, str) and up == "none":
        return replace(AS_IT_IS, up="As the cameras have it: --up none.", length=length)
    views = [view for view in scene.views if not view.is_heldout] or list(scene.views)
    surface = Surface(scene.points.xyz)
    if depth_maps is not None:
        dense = surface_of_depth(views, depth_maps)
        surface = dense if len(dense.xyz) else surface
    floor: Plane | None = None
    if isinstance(up, str):
        found = find_up(np.array([view.camera.R for view in views]), surface, _median_distance(views, surface))
        direction, floor, told = found.direction, found.floor, _told(found.floor, found.num_walls)
    else:
        direction, told = up / np.linalg.norm(up), f"As asked for: {', '.join(f'{value:g}' for value in up)}."
    R = align.rotation_between(direction, _Y)
    return Frame(1.0, R, -_origin(views, surface, R, floor), None, True, told, length)


_ARBITRARY = "Arbitrary: the median distance from the cameras to what they see is about 1."


def _told(floor: Plane | None, num_walls: int) -> str:
    parts = ["the cameras"]
    if floor is not None:
        parts.append(f"the floor or table that makes {100 * floor.share:.0f} % of the surface")
    if num_walls:
        parts.append(f"{num_walls} upright {'plane' if num_walls == 1 else 'planes'}")
    return f"From {' and '.join(parts)}."


def _origin(views: Sequence[View], surface: Surface, R: Floats, floor: Plane | None) -> Floats:
    """What becomes the origin, [3] in the turned frame: the subject's place on the ground."""
    cameras = [view.camera for view in views]
    if not len(surface.xyz):
        return np.asarray(np.mean([camera.center for camera in cameras], axis=0) @ R.T, np.float64)
    ground = float(np.quantile(surface.xyz @ R[1], _LOWEST_SHARE))
    if floor is not None:
        normal, (x, _, z) = R @ floor.normal, R @ scene_center(surface.xyz, cameras)
        height = (floor.offset - normal[0] * x - normal[2] * z) / normal[1]
        # a ceiling tells which way is up as well as a floor does, but nothing stands on it
        if height < np.median([(R @ camera.center)[1] for camera in cameras]):
            ground = height
    subject = R @ subject_center(surface.xyz, cameras, R[1], ground)
    return np.array([subject[0], ground, subject[2]])


def _median_distance(views: Sequence[View], surface: Surface) -> float:
    if not len(surface.xyz):
        return 1.0  # nothing is measured with it
    some = surface.xyz[:: max(1, len(surface.xyz) // 2000)]
    return float(np.median([np.linalg.norm(some - view.camera.center, axis=1) for view in views]))
