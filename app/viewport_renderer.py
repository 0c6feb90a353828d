"""One picture of the viewport, from its layers; knows OpenGL but not Qt."""

import time
from dataclasses import dataclass
from typing import Literal

import moderngl
import numpy as np

from app.viewport_camera import ViewCamera, clip_from_camera, clip_range
from app.viewport_canvas import Canvas
from app.viewport_data import MESH_MODES, MeshArrays, Mode, PhotoFrustum, PreparedSplats
from app.viewport_lines import LinesLayer, Segments
from app.viewport_mesh import MeshLayer
from app.viewport_pace import Pace
from app.viewport_photos import PhotoLayer
from app.viewport_sorting import SortedView
from app.viewport_splats import SplatLayer
from splatting.camera import Camera

PIECE_S = 0.02  # at rest the splats come in pieces of so long, so that the window answers
FEWEST_IN_PIECE = 5_000

Budget = Literal["moving", "piece", "all"]


@dataclass(frozen=True)
class Picture:
    """What is to be seen.

    Attributes:
        view, camera: where from; the camera has the size of the framebuffer, px.
        mode: how.
        splats, mesh: what; None if there is none.
        photos: standing in space, `photo_depth` in front of their cameras.
        ground: lines behind the splats.
        lines: over all that.
        overlay: a photo over the left share of the picture, with an opacity.
        background: RGB in [0, 1].
        scale: pixels of the framebuffer in one of the window's.
    """

    view: ViewCamera
    camera: Camera
    mode: Mode = "splats"
    splats: PreparedSplats | None = None
    mesh: MeshArrays | None = None
    photos: tuple[PhotoFrustum, ...] = ()
    photo_depth: float = 0.1
    ground: tuple[Segments, ...] = ()
    lines: tuple[Segments, ...] = ()
    overlay: tuple[PhotoFrustum, float, float] | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    @property
    def has_splats(self) -> bool:
        """Splats are shown, not a mesh."""
        return self.splats is not None and self.mode not in MESH_MODES


@dataclass
class _Job:
    """Splats that are being drawn: what they look like, how many there are and are done, and of which sorted view.

    The view is kept so that its id, a part of the key, is not given to another.
    """

    key: tuple[object, ...] = ()
    total: int = 0
    view: SortedView | None = None
    drawn: int = 0
    is_shown: bool = False


class Renderer:
    """Draws pictures into framebuffers of one context; all methods need it to be current."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._canvas = Canvas(context)
        self._splats = SplatLayer(context)
        self._mesh = MeshLayer(context)
        self._photos = PhotoLayer(context)
        self._lines = LinesLayer(context)
        self._ground = LinesLayer(context)
        self._job = _Job()
        self._piece = FEWEST_IN_PIECE
        self.pace = Pace()  # how many splats fit into a frame while the camera moves

    def framebuffer(self, number: int) -> moderngl.Framebuffer:
        """A framebuffer that the context already has, such as the window's."""
        return self._context.detect_framebuffer(number)

    def draw(self, target: moderngl.Framebuffer, picture: Picture) -> None:
        """Draw one picture, with the splats as they were when they were last complete.

        Args:
            target: of the size of `picture.camera`, with a depth buffer.
        """
        size = picture.camera.width, picture.camera.height
        target.use()
        self._context.viewport = 0, 0, *size
        target.clear(*picture.background, 1.0, depth=1.0)
        near, far = clip_range(picture.view, *self._extent(picture))
        clip = clip_from_camera(picture.camera, near, far) @ picture.camera.cam_from_world
        if picture.has_splats and self._canvas.is_filled:
            self._ground.draw(picture.ground, clip, size, picture.scale)  # splats have no depth: it is behind them
            self._canvas.compose()
        self._draw_rest(picture, size, clip)

    def _draw_rest(self, picture: Picture, size: tuple[int, int], clip: np.ndarray) -> None:
        """Mesh, photos and lines over what is there."""
        if picture.mesh is not None and picture.mode in MESH_MODES:
            self._mesh.upload(picture.mesh)
            self._mesh.draw(clip, picture.camera.cam_from_world, picture.mode)
            self._ground.draw(picture.ground, clip, size, picture.scale)
        overlaid = () if picture.overlay is None else (picture.overlay[0],)
        self._photos.keep((*picture.photos, *overlaid))
        if picture.photos:
            self._photos.draw(picture.photos, picture.photo_depth, clip, picture.camera.center)
        self._lines.draw(picture.lines, clip, size, picture.scale)
        if picture.overlay is not None and picture.overlay[0].rgb is not None:
            photo, share, opacity = picture.overlay
            self._photos.lay_over(photo, picture.camera, share, opacity)
        self._context.disable(moderngl.DEPTH_TEST | moderngl.BLEND)

    def _extent(self, picture: Picture) -> tuple[np.ndarray, float]:
        """A sphere around all that the depth buffer must tell apart: the mesh, and the photos around it."""
        if picture.mesh is None:
            return picture.view.pivot, 10 * picture.view.distance
        eyes = np.array([photo.camera.center for photo in picture.photos]).reshape(-1, 3)
        reach = np.linalg.norm(eyes - picture.mesh.middle, axis=1).max(initial=0.0) + 2 * picture.photo_depth
        return picture.mesh.middle, max(4 * picture.mesh.radius, float(reach))

    def add_splats(self, picture: Picture, view: SortedView, budget: Budget) -> int:
        """Draw splats aside, for the next `draw`.

        Args:
            view: the newest, which may be of an earlier view.
            budget: "moving": as many splats as a frame allows; "piece": a piece more than the last time; "all".

        Returns:
            How many were drawn now; 0 if all that the budget asks for were there already.
        """
        is_subset = budget == "moving" and self.pace.count < len(view.splats)
        limit = self.pace.count if is_subset else view.count
        camera = _coarse(picture.camera) if is_subset else picture.camera
        self._begin(camera, picture.mode, view, limit)
        job = self._job
        count = min(self._piece, job.total - job.drawn) if budget == "piece" else job.total - job.drawn
        enlargement = view.splats.enlargement(min(limit, view.count)) if picture.mode in ("splats", "depth") else 1.0
        if not job.is_shown:
            start = time.perf_counter()
            self._canvas.use()
            self._splats.draw(camera, picture.mode, job.drawn, count, enlargement)
            job.drawn += count
            if budget == "piece":
                self._context.finish()
                self._adapt(count, time.perf_counter() - start)
            if job.drawn >= job.total:
                self._canvas.show()
                job.is_shown = True
        return count

    def is_complete(self, picture: Picture, view: SortedView) -> bool:
        """Whether all splats of a sorted view have been drawn for this picture."""
        return self._job.is_shown and self._job.key == _key(picture.camera, picture.mode, view, view.count)

    def _begin(self, camera: Camera, mode: Mode, view: SortedView, limit: int) -> None:
        """Go on with the splats being drawn if they are the same, else begin anew."""
        key = _key(camera, mode, view, limit)
        if key != self._job.key:
            order = view.only_first(limit)
            self._splats.upload_view(view, order)
            self._canvas.begin((camera.width, camera.height), mode, view.depth_range)
            self._job = _Job(key, len(order), view)

    def _adapt(self, count: int, elapsed_s: float) -> None:
        """Aim at the time that a piece should take."""
        factor = float(np.clip(PIECE_S / max(elapsed_s, 1e-4), 0.5, 2.0))
        if factor < 1 or count >= self._piece:
            self._piece = max(int(self._piece * factor), FEWEST_IN_PIECE)


def _key(camera: Camera, mode: Mode, view: SortedView, limit: int) -> tuple[object, ...]:
    """What a picture of splats depends on."""
    return id(view), camera.cam_from_world.tobytes(), camera.K.tobytes(), camera.width, camera.height, mode, limit


def _coarse(camera: Camera) -> Camera:
    """Half the pixels each way: blending a quarter of them leaves time for more splats."""
    return camera.resized(max(camera.width // 2, 1), max(camera.height // 2, 1))
