"""The cameras and points of a project seen from above, as an SVG drawing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT, MARGIN = 640.0, 420.0, 30.0
MAX_POINTS = 1500


def plan_view(folder: Path, heldout: frozenset[str] = frozenset()) -> str | None:
    """Draw the cameras of `cameras.json` and, if they are there, the points of `points.ply`.

    Args:
        folder: the project folder.
        heldout: names of photos drawn as held out.

    Returns:
        An SVG element; None if the folder has no cameras.
    """
    if not (folder / "cameras.json").is_file():
        return None
    images = json.loads((folder / "cameras.json").read_text("utf-8"))["images"]
    if not images:
        return None
    cam_from_world = np.array([image["w2c"] for image in images], dtype=np.float64)[:, :3]  # [V, 3, 4]
    rotations = cam_from_world[:, :, :3]
    centers = -np.einsum("vji,vj->vi", rotations, cam_from_world[:, :, 3])
    ground = _ground_axes(rotations)  # [2, 3]
    points = _points(folder) @ ground.T
    to_page = _fit_page(centers @ ground.T, points)

    half_fov = [np.arctan(image["width"] / (2 * image["fx"])) for image in images]
    scale = 0.05 * WIDTH
    parts = [_dot(to_page(xy), 1.1, "point") for xy in points]
    for image, center, rotation, half in zip(images, centers, rotations, half_fov, strict=True):
        name = image["file"]
        forward = ground @ rotation[2]
        kind = "camera heldout" if name in heldout else "camera"
        parts.append(_camera(to_page(ground @ center), forward, half, scale, kind, name))
    label = "Cameras and points seen from above"
    body = "".join(part for part in parts if part)
    return f'<svg class="plan" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{label}">{body}</svg>'


def _ground_axes(rotations: Floats) -> Floats:
    """Two axes [2, 3] of the plane across the mean "up" of the photos; the mean view direction points up the page."""
    up = -rotations[:, 1].mean(axis=0)
    up /= max(np.linalg.norm(up), 1e-9)
    forward = rotations[:, 2].mean(axis=0)
    forward = forward - up * (forward @ up)
    if np.linalg.norm(forward) < 1e-3:  # photos all around: any direction serves
        forward = rotations[0, 2] - up * (rotations[0, 2] @ up)
    forward /= max(np.linalg.norm(forward), 1e-9)
    return np.stack([np.cross(forward, up), forward])


def _points(folder: Path) -> Floats:
    """At most `MAX_POINTS` of the project's points, [N, 3]; N is 0 without points."""
    import trimesh  # slow to import

    path = folder / "points.ply"
    if not path.is_file():
        return np.zeros((0, 3))
    cloud: Any = trimesh.load(path, process=False)
    xyz = np.asarray(cloud.vertices, dtype=np.float64).reshape(-1, 3)
    return xyz[:: max(1, -(-len(xyz) // MAX_POINTS))]


def _fit_page(cameras: Floats, points: Floats) -> Callable[[Floats], Floats]:
    """A function from ground coordinates to the page that shows all cameras and the bulk of the points."""
    shown = cameras
    if len(points) >= 10:
        shown = np.concatenate([cameras, np.percentile(points, [3, 97], axis=0)])
    low, high = shown.min(axis=0), shown.max(axis=0)
    scale = min((WIDTH - 2 * MARGIN) / max(high[0] - low[0], 1e-9), (HEIGHT - 2 * MARGIN) / max(high[1] - low[1], 1e-9))
    middle = (low + high) / 2
    page_middle = np.array([WIDTH / 2, HEIGHT / 2])

    def to_page(xy: Floats) -> Floats:
        return page_middle + (xy - middle) * scale * np.array([1, -1])

    return to_page


def _dot(xy: Floats, radius: float, kind: str) -> str:
    if not (0 < xy[0] < WIDTH and 0 < xy[1] < HEIGHT):
        return ""
    return f'<circle class="{kind}" cx="{xy[0]:.1f}" cy="{xy[1]:.1f}" r="{radius}"/>'


def _camera(xy: Floats, forward: Floats, half_fov: float, length: float, kind: str, name: str) -> str:
    """A wedge that opens to where the camera looks; shorter the more it looks up or down."""
    angle = np.arctan2(-forward[1], forward[0])
    reach = length * max(0.3, float(np.linalg.norm(forward)))
    corners = [xy + reach * np.array([np.cos(angle + side), np.sin(angle + side)]) for side in (-half_fov, half_fov)]
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in [xy, *corners])
    title = name.replace("&", "&amp;").replace("<", "&lt;")
    return f'<g class="{kind}"><title>{title}</title><polygon points="{outline}"/>{_dot(xy, 3, "center")}</g>'
