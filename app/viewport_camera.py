"""Where the user looks from, and how mouse and keys move it: mathematics only, no Qt and no OpenGL.

Camera axes are OpenCV's, as everywhere; only `clip_from_camera` knows OpenGL's clip space.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from splatting.camera import Camera

Floats = NDArray[np.floating]
WORLD_UP = np.array([0.0, 1.0, 0.0])
DEFAULT_FOV_DEG = 50.0
POLE_MARGIN_RAD = np.deg2rad(1.0)  # orbiting stops this far from straight up and down
# Where the camera stands, seen from the pivot, for each standard view.
STANDARD_VIEWS = {
    "front": (0.0, 0.0, 1.0),
    "back": (0.0, 0.0, -1.0),
    "right": (1.0, 0.0, 0.0),
    "left": (-1.0, 0.0, 0.0),
    "top": (0.0, 1.0, 1e-3),
    "bottom": (0.0, -1.0, 1e-3),
}


@dataclass(frozen=True)
class ViewCamera:
    """A camera that turns about a pivot on its optical axis.

    Attributes:
        cam_from_world: rigid transform [4, 4], OpenCV axes.
        distance: of the pivot, along the optical axis, world units, > 0.
        fov_y_deg: vertical field of view.
        shift: how far the principal point lies right of and below the middle, in heights of the picture.
    """

    cam_from_world: NDArray[np.float64] = field(default_factory=lambda: looking_at((0.0, 0.0, 4.0), (0.0, 0.0, 0.0)))
    distance: float = 4.0
    fov_y_deg: float = DEFAULT_FOV_DEG
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def R(self) -> NDArray[np.float64]:
        """Rotation world to camera [3, 3]: rows are right, down and forward in the world."""
        return self.cam_from_world[:3, :3]

    @property
    def center(self) -> NDArray[np.float64]:
        """Centre of projection in the world frame [3]."""
        return -self.R.T @ self.cam_from_world[:3, 3]

    @property
    def pivot(self) -> NDArray[np.float64]:
        """What the camera turns about, in the world frame [3]."""
        return self.center + self.distance * self.R[2]

    def focal_px(self, height: int) -> float:
        """Focal length in px of a picture of that height."""
        return 0.5 * height / np.tan(np.deg2rad(self.fov_y_deg) / 2)

    def to_camera(self, width: int, height: int) -> Camera:
        """The pinhole camera of a picture of that size, px."""
        f = self.focal_px(height)
        cx, cy = width / 2 + self.shift[0] * height, height / 2 + self.shift[1] * height
        return Camera(np.array([[f, 0, cx], [0, f, cy], [0, 0, 1.0]]), self.cam_from_world, width, height)

    def orbited(self, right_rad: float, up_rad: float) -> "ViewCamera":
        """Turned about the pivot: the camera goes right about the vertical, then up, but not over the poles."""
        elevation = np.arcsin(np.clip(-self.R[2] @ WORLD_UP, -1, 1))
        limit = max(np.pi / 2 - POLE_MARGIN_RAD, abs(elevation))  # a photo may look straight down
        up_rad = float(np.clip(elevation + up_rad, -limit, limit) - elevation)
        R = rotation_about((1.0, 0, 0), up_rad) @ self.R @ rotation_about(WORLD_UP, -right_rad)
        return self._moved(R, self.pivot, self.distance)

    def turned(self, right_rad: float, up_rad: float) -> "ViewCamera":
        """Turned on the spot: the camera looks further right, then further up."""
        R = rotation_about((1.0, 0, 0), -up_rad) @ self.R @ rotation_about(WORLD_UP, right_rad)
        return self._moved(R, self.center + self.distance * R[2], self.distance)

    def panned(self, right_px: float, down_px: float, height: int) -> "ViewCamera":
        """Moved across, so that what lies at the pivot follows the mouse by so many px of a picture of that height."""
        per_px = self.distance / self.focal_px(height)
        return self._moved(self.R, self.pivot - per_px * (right_px * self.R[0] + down_px * self.R[1]), self.distance)

    def zoomed(self, factor: float, toward: Floats | None = None) -> "ViewCamera":
        """The distance multiplied by a factor; `toward` [3] (the pivot if None) stays where it is in the picture."""
        fixed = self.pivot if toward is None else np.asarray(toward, np.float64)
        return self._moved(self.R, fixed + factor * (self.pivot - fixed), factor * self.distance)

    def flown(self, right: float, up: float, forward: float) -> "ViewCamera":
        """Moved along its own axes, world units; the pivot comes along."""
        return self._moved(self.R, self.pivot + self.R.T @ [right, -up, forward], self.distance)

    def framing(self, middle: Floats, radius: float, aspect: float = 1.0) -> "ViewCamera":
        """The same direction, so far away that a sphere fits into a picture of that width : height."""
        half = np.deg2rad(self.fov_y_deg) / 2
        half = min(half, np.arctan(np.tan(half) * aspect))
        return replace(self, shift=(0.0, 0.0))._moved(self.R, np.asarray(middle, np.float64), radius / np.sin(half))

    def framing_points(self, points: Floats, aspect: float = 1.0, margin: float = 0.05) -> "ViewCamera":
        """The same direction, so near that points [N, 3], N > 0, just fit into a picture of that width : height.

        Args:
            margin: share of the picture that stays free at each side.
        """
        right, down, ahead = (np.asarray(points, np.float64) @ self.R.T).T
        reach = (1 - 2 * margin) * np.tan(np.deg2rad(self.fov_y_deg) / 2)
        x, z_across = _between_sides(right, ahead, reach * aspect)
        y, z_down = _between_sides(down, ahead, reach)
        z = min(z_across, z_down, float(ahead.min()) - 1e-3)  # all in front of the camera
        middle = max((float(ahead.min()) + float(ahead.max())) / 2, z + 1e-3)
        return replace(self, shift=(0.0, 0.0))._moved(self.R, self.R.T @ [x, y, middle], middle - z)

    def is_same(self, other: "ViewCamera") -> bool:
        """The other one shows the same, about whatever it turns."""
        own, others = ((*view.cam_from_world.ravel(), *view.shift) for view in (self, other))
        tolerance = 1e-9 * max(self.distance, 1.0)
        return np.allclose(own, others, rtol=0, atol=tolerance) and abs(self.fov_y_deg - other.fov_y_deg) < 1e-9

    def seen_from(self, name: str) -> "ViewCamera":
        """The same pivot and distance from a standard view: a key of `STANDARD_VIEWS`."""
        return replace(
            self, cam_from_world=looking_at(self.pivot + self.distance * _unit(STANDARD_VIEWS[name]), self.pivot)
        )

    def pivoting_at(self, point: Floats) -> "ViewCamera":
        """Turned on the spot so that the pivot is a point in the world [3]."""
        offset = np.asarray(point, np.float64) - self.center
        return replace(
            self, cam_from_world=looking_at(self.center, point), distance=max(float(np.linalg.norm(offset)), 1e-6)
        )

    def _moved(self, R: Floats, pivot: Floats, distance: float) -> "ViewCamera":
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = U = _orthonormal(R)
        cam_from_world[:3, 3] = -U @ (pivot - distance * U[2])
        return replace(self, cam_from_world=cam_from_world, distance=float(distance))


def _between_sides(across: Floats, ahead: Floats, slope: float) -> tuple[float, float]:
    """Where a camera stands across and ahead whose two sides, of slope across : ahead, touch points from without."""
    high, low = float((across - slope * ahead).max()), float((-across - slope * ahead).max())
    return (high - low) / 2, -(high + low) / (2 * slope)


def through_photo(camera: Camera, distance: float, width: int, height: int) -> ViewCamera:
    """The view that shows all of a photo, as large as it fits into a picture of that size; pixels taken as square."""
    scale = min(width / camera.width, height / camera.height)
    f = camera.K[1, 1] * scale
    off = (camera.K[:2, 2] - [camera.width / 2, camera.height / 2]) * scale / height
    fov = float(np.rad2deg(2 * np.arctan(0.5 * height / f)))
    return ViewCamera(np.array(camera.cam_from_world, np.float64), distance, fov, (float(off[0]), float(off[1])))


def between(start: ViewCamera, end: ViewCamera, share: float) -> ViewCamera:
    """A view on the way, `share` in [0, 1]: turning at an even pace, pivot and log distance straight."""
    if share >= 1:
        return end
    R = rotation_vector_matrix(share * rotation_vector(end.R @ start.R.T)) @ start.R
    mixed = replace(
        start,
        fov_y_deg=start.fov_y_deg + share * (end.fov_y_deg - start.fov_y_deg),
        shift=(
            start.shift[0] + share * (end.shift[0] - start.shift[0]),
            start.shift[1] + share * (end.shift[1] - start.shift[1]),
        ),
    )
    distance = start.distance * (end.distance / start.distance) ** share
    return mixed._moved(R, start.pivot + share * (end.pivot - start.pivot), distance)


def clip_from_camera(camera: Camera, near: float, far: float) -> NDArray[np.float64]:
    """Matrix [4, 4] from camera axes to OpenGL's clip space, where y points up."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    w, h = camera.width, camera.height
    return np.array(
        [
            [2 * fx / w, 0, 2 * cx / w - 1, 0],
            [0, -2 * fy / h, 1 - 2 * cy / h, 0],
            [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, 1, 0],
        ]
    )


def clip_range(view: ViewCamera, middle: Floats, radius: float) -> tuple[float, float]:
    """Nearest and farthest depth that a sphere around the scene needs; near is far / 20,000 at least."""
    depth = float(view.R[2] @ (np.asarray(middle) - view.center))
    far = max(depth + radius, view.distance) * 1.05 + 1e-6
    return max(0.5 * (depth - radius), far / 20_000), far


def looking_at(eye: Floats | tuple[float, ...], target: Floats | tuple[float, ...]) -> NDArray[np.float64]:
    """`cam_from_world` [4, 4] at `eye`, looking at `target` with world +Y up; straight up and down work, too."""
    forward = _unit(np.asarray(target, np.float64) - np.asarray(eye, np.float64))
    right = np.cross(forward, WORLD_UP)
    right = _unit(right) if np.linalg.norm(right) > 1e-9 else np.array([1.0, 0.0, 0.0])
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = right, np.cross(forward, right), forward
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ np.asarray(eye, np.float64)
    return cam_from_world


def rotation_about(axis: Floats | tuple[float, ...], angle_rad: float) -> NDArray[np.float64]:
    """Rotation matrix [3, 3] about a unit axis, right-handed."""
    return rotation_vector_matrix(angle_rad * np.asarray(axis, np.float64))


def rotation_vector_matrix(vector: Floats) -> NDArray[np.float64]:
    """Rotation matrix [3, 3] of axis x angle [3] (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def rotation_vector(R: Floats) -> NDArray[np.float64]:
    """Axis x angle [3] of a rotation matrix, the angle in [0, pi]; at pi either axis."""
    twice_sine = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    angle = float(np.arctan2(np.linalg.norm(twice_sine), np.trace(R) - 1))
    if angle < 1e-9:
        return twice_sine / 2
    if np.pi - angle > 1e-4:
        return angle * twice_sine / np.linalg.norm(twice_sine)
    symmetric = (R + np.eye(3)) / 2  # axis axis' near a half turn
    return angle * _unit(symmetric[:, int(np.argmax(np.diag(symmetric)))])


def _unit(vector: Floats | tuple[float, ...]) -> NDArray[np.float64]:
    values = np.asarray(vector, np.float64)
    length = np.linalg.norm(values)
    return values / length if length > 0 else np.array([0.0, 0.0, 1.0])


def _orthonormal(R: Floats) -> NDArray[np.float64]:
    """The rotation next to `R`: many small turns must not add up to a shear."""
    forward = _unit(R[2])
    right = _unit(R[0] - (R[0] @ forward) * forward)
    return np.stack([right, np.cross(forward, right), forward])
