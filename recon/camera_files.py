"""Camera files: COLMAP model folders, `cameras.json` and `transforms.json`.

`cameras.json` is ours, in and out:

    {"convention": "opencv", "images": [{"file", "width", "height", "fx", "fy", "cx", "cy",
     "distortion": [k1, k2, p1, p2], "w2c": [[3x4]]}], "frame": {"up", "unit"}}

with `x_cam = w2c @ x_world`, camera axes x right, y down, z forward, and pixel (0.5, 0.5) the centre of the first one.
`frame` may be absent: `up` is "+y", null where nobody knows; `unit` is "m", null where lengths are arbitrary.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from recon.errors import ReconError
from recon.scene import PointCloud, Reconstruction, View
from recon.undistort import DistortedCamera
from recon.whole_files import write_whole
from splatting.camera import Camera

WRITABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"})
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # camera axes: y and z turn round


def read_cameras(path: Path) -> dict[str, DistortedCamera]:
    """Read cameras by file name, without folder.

    Args:
        path: a `cameras.json`, a `transforms.json` (NeRF studio, instant-ngp: OpenGL axes), a COLMAP model folder
            (text or binary) or one with it in `sparse/0`, or a project folder with a `cameras.json`.

    Returns:
        Cameras at the size that the file gives; images without a pose are left out.

    Raises:
        ReconError: the file is missing, damaged, or of a kind or lens model that we do not read.
    """
    try:
        if path.is_dir():
            return _read_folder(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        if "frames" in document:
            return _from_transforms(document)
        return _from_cameras_json(document)
    except OSError as error:
        raise ReconError(f"The cameras in {path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        hint = "Give a cameras.json, a transforms.json or the folder of a COLMAP model."
        raise ReconError(f"{path} does not hold cameras that can be used: {error!s}.", hint) from error


def image_name(view: View) -> str:
    """File name of a view's undistorted image: the photo's, except for kinds of files that hardly any program reads."""
    path = PurePosixPath(view.name)
    return view.name if path.suffix.lower() in WRITABLE_SUFFIXES else path.with_suffix(".png").name


def write_cameras_json(views: Sequence[View], path: Path, *, is_upright: bool = False, unit: str | None = None) -> None:
    """Write the pinhole cameras of views as `cameras.json`; an existing file is replaced at once.

    Args:
        is_upright: world +Y is up.
        unit: of lengths, None if they are arbitrary.
    """
    images = [
        {
            "file": image_name(view),
            "width": view.camera.width,
            "height": view.camera.height,
            "fx": float(view.camera.K[0, 0]),
            "fy": float(view.camera.K[1, 1]),
            "cx": float(view.camera.K[0, 2]),
            "cy": float(view.camera.K[1, 2]),
            "distortion": [0.0, 0.0, 0.0, 0.0],
            "w2c": view.camera.cam_from_world[:3].tolist(),
        }
        for view in views
    ]
    document = {"convention": "opencv", "frame": {"up": "+y" if is_upright else None, "unit": unit}, "images": images}
    write_whole(path, json.dumps(document, indent=1) + "\n")


def write_colmap(scene: Reconstruction, folder: Path) -> None:
    """Write a COLMAP text model: one PINHOLE camera per view, image ids counted from 1 in the order of the views.

    A point's observation in a view is where the point projects there: measured pixels are not kept in a scene.
    Points without tracks are written with empty ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    observations = _observations(scene.views, scene.points)
    write_whole(folder / "cameras.txt", _cameras_text(scene.views))
    write_whole(folder / "images.txt", _images_text(scene.views, observations))
    write_whole(folder / "points3D.txt", _points_text(scene.points, observations))


def _observations(views: Sequence[View], points: PointCloud) -> list[dict[int, NDArray[np.float64]]]:
    """For each view its points, by index in order, and where they project, [2] px."""
    tracks = points.view_indices if points.view_indices is not None else ()
    seen: list[list[int]] = [[] for _ in views]
    for point, track in enumerate(tracks):
        for view in track:
            seen[view].append(point)
    projected = [view.camera.project(points.xyz[own])[0] for view, own in zip(views, seen, strict=True)]
    return [dict(zip(own, pixels, strict=True)) for own, pixels in zip(seen, projected, strict=True)]


def _cameras_text(views: Sequence[View]) -> str:
    lines = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, fx, fy, cx, cy"]
    for camera_id, view in enumerate(views, start=1):
        K = view.camera.K
        parameters = _numbers([K[0, 0], K[1, 1], K[0, 2], K[1, 2]])
        lines.append(f"{camera_id} PINHOLE {view.camera.width} {view.camera.height} {parameters}")
    return "\n".join(lines) + "\n"


def _images_text(views: Sequence[View], observations: Sequence[Mapping[int, NDArray[np.float64]]]) -> str:
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "# POINTS2D[] as (X, Y, POINT3D_ID)"]
    for image_id, (view, seen) in enumerate(zip(views, observations, strict=True), start=1):
        x, y, z, w = Rotation.from_matrix(view.camera.R).as_quat()
        pose = _numbers([w, x, y, z, *view.camera.t])
        lines.append(f"{image_id} {pose} {image_id} {image_name(view)}")
        lines.append(" ".join(f"{pixel[0]:.4f} {pixel[1]:.4f} {point + 1}" for point, pixel in seen.items()))
    return "\n".join(lines) + "\n"


def _points_text(points: PointCloud, observations: Sequence[Mapping[int, NDArray[np.float64]]]) -> str:
    positions = [{point: position for position, point in enumerate(seen)} for seen in observations]
    lines = ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)"]
    for point in range(len(points)):
        track = points.view_indices[point] if points.view_indices is not None else ()
        elements = " ".join(f"{view + 1} {positions[view][point]}" for view in track)
        colour = " ".join(str(int(channel)) for channel in points.rgb[point])
        lines.append(
            f"{point + 1} {_numbers(points.xyz[point])} {colour} {points.error_px[point]:.4f} {elements}".rstrip()
        )
    return "\n".join(lines) + "\n"


def _numbers(values: Sequence[float] | NDArray[np.float64]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _read_folder(folder: Path) -> dict[str, DistortedCamera]:
    if (folder / "cameras.txt").exists():
        return _from_colmap_text(folder)
    if (folder / "cameras.bin").exists():
        from recon.colmap import ColmapError, binary_model_as_text  # here: other camera files need no COLMAP

        with TemporaryDirectory(prefix="handful-") as text:
            try:
                binary_model_as_text(folder, Path(text))
            except ColmapError as error:
                raise ValueError(str(error)) from error
            return _from_colmap_text(Path(text))
    for name in ("cameras.json", "transforms.json"):
        if (folder / name).exists():
            return read_cameras(folder / name)
    for name in ("sparse/0", "sparse", "colmap/sparse/0"):  # around the model, as COLMAP and its exports have it
        if (folder / name).is_dir():
            return _read_folder(folder / name)
    raise ValueError("the folder has no cameras.txt, cameras.bin, cameras.json or transforms.json")


class _ColmapLens(NamedTuple):
    """A line of `cameras.txt`."""

    model: str
    width: float
    height: float
    parameters: list[float]


_LENS_MODELS: dict[str, Callable[[list[float]], tuple[float, ...]]] = {  # to fx, fy, cx, cy, k1, k2, p1, p2
    "SIMPLE_PINHOLE": lambda p: (p[0], p[0], p[1], p[2], 0, 0, 0, 0),
    "PINHOLE": lambda p: (*p[:4], 0, 0, 0, 0),
    "SIMPLE_RADIAL": lambda p: (p[0], p[0], p[1], p[2], p[3], 0, 0, 0),
    "RADIAL": lambda p: (p[0], p[0], p[1], p[2], p[3], p[4], 0, 0),
    "OPENCV": lambda p: tuple(p[:8]),
}


def _from_colmap_text(folder: Path) -> dict[str, DistortedCamera]:
    """Cameras of `cameras.txt` and `images.txt`; names may hold blanks, at which COLMAP's own reader stops."""
    lenses = {}
    for line in _data_lines(folder / "cameras.txt"):
        if line.strip():
            camera_id, model, width, height, *parameters = line.split()
            lenses[camera_id] = _ColmapLens(model, float(width), float(height), [float(value) for value in parameters])
    cameras = {}
    for line in _data_lines(folder / "images.txt")[::2]:  # every second line holds 2D points, and may be empty
        _, w, x, y, z, *t, camera_id, name = line.split(maxsplit=9)
        lens = lenses[camera_id]
        if lens.model not in _LENS_MODELS:
            raise ValueError(f"the lens model {lens.model} of {name.strip()} is not one of {', '.join(_LENS_MODELS)}")
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = Rotation.from_quat([float(value) for value in (x, y, z, w)]).as_matrix()
        cam_from_world[:3, 3] = [float(value) for value in t]
        numbers = _LENS_MODELS[lens.model](lens.parameters)
        cameras[_base_name(name.strip())] = _camera(numbers[:4], cam_from_world, lens.width, lens.height, numbers[4:])
    return cameras


def _data_lines(path: Path) -> list[str]:
    """Lines that are no comments; blank ones before the first and the empty end of the last do not count."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.startswith("#")]
    while lines and not lines[0].strip():
        lines.pop(0)
    return lines[:-1] if lines and not lines[-1] else lines


def _from_cameras_json(document: Mapping[str, Any]) -> dict[str, DistortedCamera]:
    placed = [image for image in document["images"] if image.get("w2c") is not None]
    return {_base_name(image["file"]): camera_from_image(image) for image in placed}


def camera_from_image(image: Mapping[str, Any]) -> DistortedCamera:
    """The camera of an entry in `images` of a `cameras.json`.

    Raises:
        KeyError, TypeError, ValueError: a number is missing or absurd.
    """
    focal_and_center = [image[key] for key in ("fx", "fy", "cx", "cy")]
    cam_from_world = np.eye(4)
    cam_from_world[:3] = np.array(image["w2c"], np.float64)[:3]
    distortion = image.get("distortion") or [0, 0, 0, 0]
    return _camera(focal_and_center, cam_from_world, image["width"], image["height"], distortion)


def _from_transforms(document: Mapping[str, Any]) -> dict[str, DistortedCamera]:
    """Cameras of a transforms.json; intrinsics stand at the top or in each frame."""
    model = document.get("camera_model", "OPENCV")
    if model not in ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE"):
        raise ValueError(f"the lens model {model} is not one of OPENCV, PINHOLE, SIMPLE_PINHOLE")
    cameras = {}
    for frame in document["frames"]:
        known = {**document, **frame}
        width, height = known["w"], known["h"]
        fx = known["fl_x"] if "fl_x" in known else width / 2 / math.tan(known["camera_angle_x"] / 2)
        focal_and_center = [fx, known.get("fl_y", fx), known.get("cx", width / 2), known.get("cy", height / 2)]
        if known.get("k3") or known.get("k4"):
            raise ValueError("lenses with k3 or k4 are not supported")
        world_from_opengl = np.array(known["transform_matrix"], np.float64)
        cam_from_world = np.asarray(np.linalg.inv(world_from_opengl @ OPENCV_FROM_OPENGL), np.float64)
        distortion = [known.get(key, 0.0) for key in ("k1", "k2", "p1", "p2")]
        cameras[_base_name(known["file_path"])] = _camera(focal_and_center, cam_from_world, width, height, distortion)
    return cameras


def _camera(
    focal_and_center: Sequence[float],
    cam_from_world: NDArray[np.float64],
    width: float,
    height: float,
    distortion: Sequence[float],
) -> DistortedCamera:
    """A camera from numbers of a file, refused when it is none.

    Raises:
        ValueError: the pose is no rigid transform, a number is not finite, or there is another number of them.
    """
    fx, fy, cx, cy = (float(value) for value in focal_and_center)
    coefficients = np.array(distortion, np.float64)
    if coefficients.shape != (4,):
        raise ValueError(f"distortion must be k1, k2, p1, p2, got {len(coefficients)} numbers")
    R = cam_from_world[:3, :3]
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-3) or np.linalg.det(R) < 0:
        raise ValueError("a pose is not a rotation and a translation")
    numbers = np.array([fx, fy, cx, cy, *coefficients, *cam_from_world.ravel()])
    if not np.isfinite(numbers).all() or min(fx, fy, width, height) <= 0:
        raise ValueError("a camera has numbers that are not finite or not positive")
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return DistortedCamera(Camera(K, cam_from_world, round(width), round(height)), coefficients)


def _base_name(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name
