"""What there is to show: splats, a mesh, photos where they were taken, lines. No Qt, no OpenGL."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.viewport_camera import ViewCamera, through_photo
from app.viewport_data import (
    MESH_MODES,
    SPLAT_MODES,
    MeshArrays,
    Mode,
    PhotoFrustum,
    PreparedSplats,
    first_view,
)
from app.viewport_lines import Segments, axis_segments, frustum_segments, grid_segments
from app.viewport_picking import pick_mesh, pick_photo, pick_splats
from splatting.camera import Camera

PHOTO_DEPTH = 0.12  # of photos in front of their cameras, in distances of cameras from the scene's middle
Pixel = tuple[float, float]


class ShownScene:
    """Holds what is shown; each part replaces the one before.

    Attributes:
        splats, mesh: None if there is none.
        photos: standing `photo_depth` in front of their cameras.
        photo_lines: their frames.
        ground_lines: a grid and the axes, if they were asked for.
        lines: of whoever uses the view.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        self.splats: PreparedSplats | None = None
        self.mesh: MeshArrays | None = None
        self.photos: tuple[PhotoFrustum, ...] = ()
        self.photo_lines: tuple[Segments, ...] = ()
        self.ground_lines: tuple[Segments, ...] = ()
        self.lines: tuple[Segments, ...] = ()

    def take(self, scene: PreparedSplats | MeshArrays) -> None:
        """Hold other splats or another mesh."""
        if isinstance(scene, PreparedSplats):
            self.splats = scene
        else:
            self.mesh = scene
        self.set_photos(self.photos)  # they stand elsewhere now, and their frames with them

    def set_photos(self, photos: Sequence[PhotoFrustum]) -> None:
        """Hold other photos."""
        self.photos = tuple(photos)
        self.photo_lines = (frustum_segments(self.photos, self.photo_depth),) if photos else ()

    def set_ground(self, is_shown: bool) -> None:
        """Make a grid on the ground and axes at the origin, or leave them out."""
        self.ground_lines = ()
        if is_shown and (extent := self.extent) is not None:
            ground = self.mesh.vertices if self.mesh is not None else self.splats.means  # type: ignore[union-attr]
            lowest = float(np.quantile(ground[:, 1], 0.02))
            self.ground_lines = grid_segments(*extent, lowest), axis_segments(extent[1] / 3)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes for which there is something to show."""
        splat_modes = () if self.splats is None else SPLAT_MODES if self.splats.source is not None else ("points",)
        return (*splat_modes, *(() if self.mesh is None else MESH_MODES))

    @property
    def extent(self) -> tuple[NDArray[np.float64], float] | None:
        """Middle and radius of the sphere to frame; the mesh's, as it has fewer floaters, if there is one."""
        shown = self.mesh if self.mesh is not None else self.splats
        return None if shown is None else (shown.middle, shown.radius)

    @property
    def photo_depth(self) -> float:
        """How far in front of their cameras photos stand, world units."""
        if not self.photos:
            return 0.1
        centers = np.array([photo.camera.center for photo in self.photos])
        middle = centers.mean(axis=0) if self.extent is None else self.extent[0]
        return PHOTO_DEPTH * max(float(np.median(np.linalg.norm(centers - middle, axis=1))), 1e-3)

    def landmarks(self) -> NDArray[np.float64] | None:
        """Where photos were taken and six ends of the scene's sphere [N, 3]; None without a scene."""
        if self.extent is None:
            return None
        middle, radius = self.extent
        ends = middle + radius * np.concatenate([np.eye(3), -np.eye(3)])
        return np.array([*ends, *(photo.camera.center for photo in self.photos)])

    def home(self, aspect: float) -> ViewCamera:
        """Where a new scene is first seen from; there must be one."""
        assert self.extent is not None
        return first_view(*self.extent, self.photos, aspect)

    def photo(self, name: str) -> PhotoFrustum:
        """The photo of a name.

        Raises:
            ValueError: there is none.
        """
        found = next((photo for photo in self.photos if photo.name == name), None)
        if found is None:
            raise ValueError(f"no photo is called {name}")
        return found

    def through(self, photo: PhotoFrustum, otherwise: float, size: tuple[int, int]) -> ViewCamera:
        """The view of a photo in a window of a size, px, turning about the scene's middle, or at a distance."""
        ahead = 0.0 if self.extent is None else float(photo.camera.R[2] @ (self.extent[0] - photo.camera.center))
        return through_photo(photo.camera, ahead if ahead > 0 else otherwise, *size)

    def photo_at(self, camera: Camera, pixel: Pixel) -> str | None:
        """Name of the photo that a pixel of a camera's picture shows; None if it shows none."""
        return pick_photo(self.photos, self.photo_depth, camera, pixel)

    def point_at(self, camera: Camera, pixel: Pixel, mode: Mode) -> Callable[[], NDArray[np.float64] | None] | None:
        """A slow function that finds the point [3] that a pixel shows, if there is anything to find."""
        if mode in MESH_MODES and self.mesh is not None:
            return partial(pick_mesh, self.mesh, camera, pixel)
        return None if self.splats is None else partial(pick_splats, self.splats, camera, pixel)
