"""The 3D view: splats, points, a mesh, and photos where they were taken.

    viewport = Viewport()
    viewport.set_gaussians(gaussians)          # or set_points, set_mesh, open_file; prepared in a worker, then `shown`
    viewport.set_photos(photos)                # frames in space; a click looks through one: photo_picked
    viewport.set_mode("depth")
    viewport.point_picked.connect(measure)

Drag orbits, Shift or another button pans, the wheel zooms, WASD and QE fly, arrows turn, 1 to 6 are standard views, F
frames all, R resets, a double click turns about what is there, Escape leaves a photo. While the view moves as many
splats are drawn as a frame allows; all of them 150 ms after it rests, in pieces, so that the window answers.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QKeyEvent, QResizeEvent
from PyQt6.QtOpenGLWidgets import QOpenGLWidget
from PyQt6.QtWidgets import QWidget

from app.viewport_camera import STANDARD_VIEWS, ViewCamera, through_photo
from app.viewport_context import core_profile
from app.viewport_data import (
    MESH_MODES,
    SPLAT_MODES,
    MeshArrays,
    Mode,
    PhotoFrustum,
    PreparedSplats,
    first_view,
    prepare_mesh,
    prepare_points,
    prepare_splats,
)
from app.viewport_files import ShownProject, read_project, read_shown
from app.viewport_lines import Segments, axis_segments, frustum_segments, grid_segments
from app.viewport_navigation import Divider, Navigation
from app.viewport_painter import Mailbox, Painter, soon
from app.viewport_picking import pick_mesh, pick_photo, pick_splats
from app.viewport_renderer import Picture
from app.viewport_worker import LatestWorker
from recon.errors import ReconError
from splatting.camera import Camera

if TYPE_CHECKING:
    from recon.scene import Mesh
    from splatting.gaussians import Gaussians

_KEYPAD = Qt.KeyboardModifier.KeypadModifier
log = logging.getLogger(__name__)


PHOTO_DEPTH = 0.12  # of photos in front of their cameras, in distances of cameras from the scene's middle
DARK = (0.11, 0.12, 0.14)


class Viewport(QOpenGLWidget):
    """The 3D view; see the module. Only its own methods, called in the window's thread, change what it shows.

    Signals:
        photo_picked: name of the photo that the user clicked; the view goes there by itself.
        point_picked: the point [3] that the user clicked, world frame, as an array.
        view_changed: the user or a move changed the view.
        mode_changed: what is shown now.
        shown: something new has been prepared and is in the view: "splats", "points" or "mesh".
        rested: the picture is complete.
        failed: a file could not be opened, or OpenGL is missing; one sentence and a hint.
    """

    photo_picked = pyqtSignal(str)
    point_picked = pyqtSignal(object)
    view_changed = pyqtSignal()
    mode_changed = pyqtSignal(str)
    shown = pyqtSignal(str)
    rested = pyqtSignal()
    failed = pyqtSignal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFormat(core_profile())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(160, 120)
        self._mode: Mode = "splats"
        self._splats: PreparedSplats | None = None
        self._mesh: MeshArrays | None = None
        self._photos: tuple[PhotoFrustum, ...] = ()
        self._photo_lines: tuple[Segments, ...] = ()
        self._ground_lines: tuple[Segments, ...] = ()
        self._lines: tuple[Segments, ...] = ()
        self._looking_through: PhotoFrustum | None = None
        self._wipe: tuple[float, float] | None = None
        self._background = DARK
        self._home: ViewCamera | None = None
        self._draws_all = False
        self.navigation = Navigation(self)
        self.navigation.moved.connect(self._view_moved)
        self.navigation.grabbed.connect(self._leave_photo)
        self.navigation.clicked.connect(self._pick)
        self.navigation.double_clicked.connect(lambda at: self._request_point("pivot", at))
        Divider(self, self._divider_share).dragged.connect(self._drag_divider)
        self._painter = Painter(self)
        self._painter.wants_paint.connect(self.update)
        self._painter.wants_piece.connect(self._draw_piece)
        self.frameSwapped.connect(self._painter.end_frame)
        self._painter.rested.connect(self.rested)
        self._painter.failed.connect(self.failed)
        mailbox = Mailbox()
        mailbox.delivered.connect(self._receive)
        self._load_worker = LatestWorker(mailbox.put, "viewport")
        self.destroyed.connect(self._load_worker.stop)

    # What is shown

    def set_gaussians(self, gaussians: "Gaussians") -> None:
        """Show Gaussians in place of those before; the view stays, unless these are the first.

        They are prepared in a worker; while it is busy only the newest are kept, so that a build may call this often.
        `shown` follows.
        """
        self._load_worker.request("splats", lambda: prepare_splats(gaussians))

    def set_points(self, xyz: NDArray[np.floating], rgb: NDArray[np.uint8]) -> None:
        """Show coloured points [N, 3] with sRGB bytes [N, 3] in place of the splats."""
        self._load_worker.request("points", lambda: prepare_points(xyz, rgb))

    def set_mesh(self, mesh: "Mesh") -> None:
        """Show a mesh, in the modes for meshes."""
        self._load_worker.request("mesh", lambda: prepare_mesh(mesh))

    def set_photos(self, photos: Sequence[PhotoFrustum]) -> None:
        """Show where photos were taken, in place of those before; none hides them."""
        self._photos = tuple(photos)
        self._looking_through = None
        self._photo_lines = (frustum_segments(self._photos, self.photo_depth),) if photos else ()
        if self._home is not None and self.view is self._home:
            self._go_home()
        self.update()

    def set_lines(self, lines: Sequence[Segments]) -> None:
        """Show lines of one's own, such as matches or a ruler, in place of those before."""
        self._lines = tuple(lines)
        self.update()

    def open_file(self, path: Path) -> None:
        """Show a file of splats or a mesh, without a project; `shown` or `failed` follows."""
        self._load_worker.request("file", lambda: read_shown(Path(path)))

    def open_project(self, folder: Path) -> None:
        """Show splats, mesh and photos of a project folder; `shown` or `failed` follows."""
        self._load_worker.request("project", lambda: read_project(Path(folder)))

    def clear(self) -> None:
        """Show nothing."""
        self._splats, self._mesh, self._home = None, None, None
        self._ground_lines = self._lines = ()
        self.set_photos(())

    @property
    def mode(self) -> Mode:
        """How the scene is shown."""
        return self._mode

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes for which there is something to show."""
        splat_modes = () if self._splats is None else SPLAT_MODES if self._splats.source is not None else ("points",)
        return (*splat_modes, *(() if self._mesh is None else MESH_MODES))

    def set_mode(self, mode: Mode) -> None:
        """Show the scene in another way.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in SPLAT_MODES + MESH_MODES:
            raise ValueError(f"mode must be one of {', '.join(SPLAT_MODES + MESH_MODES)}, got {mode!r}")
        if mode != self._mode:
            self._mode = mode
            self.mode_changed.emit(mode)
            self._touch()

    def set_ground(self, is_shown: bool) -> None:
        """Show or hide a grid on the ground and the axes at the origin."""
        self._ground_lines = ()
        if is_shown and (extent := self._extent()) is not None:
            ground = self._mesh.vertices if self._mesh is not None else self._splats.means  # type: ignore[union-attr]
            lowest = float(np.quantile(ground[:, 1], 0.02))
            self._ground_lines = grid_segments(*extent, lowest), axis_segments(extent[1] / 3)
        self.update()

    def set_background(self, rgb: tuple[float, float, float]) -> None:
        """Colour behind everything, RGB in [0, 1]."""
        self._background = rgb
        self.update()

    # Where from

    @property
    def view(self) -> ViewCamera:
        """Where the user looks from."""
        return self.navigation.view

    @property
    def photo_depth(self) -> float:
        """How far in front of their cameras photos stand, world units."""
        if not self._photos:
            return 0.1
        centers = np.array([photo.camera.center for photo in self._photos])
        extent = self._extent()
        middle = centers.mean(axis=0) if extent is None else extent[0]
        return PHOTO_DEPTH * max(float(np.median(np.linalg.norm(centers - middle, axis=1))), 1e-3)

    def set_view(self, view: ViewCamera, *, smoothly: bool = False) -> None:
        """Look from elsewhere."""
        self._leave_photo()
        self.navigation.go_to(view, smoothly=smoothly)

    def frame_all(self) -> None:
        """Keep the direction and go where all is seen."""
        if (extent := self._extent()) is not None:
            self.set_view(self.view.framing(*extent, self.width() / max(self.height(), 1)), smoothly=True)

    def reset_view(self) -> None:
        """Go back to where a new scene is first seen from."""
        if self._home is not None:
            self.set_view(self._home, smoothly=True)

    def standard_view(self, name: str) -> None:
        """Look from the front, back, left, right, top or bottom.

        Raises:
            ValueError: there is no such view.
        """
        if name not in STANDARD_VIEWS:
            raise ValueError(f"the view must be one of {', '.join(STANDARD_VIEWS)}, got {name!r}")
        self.set_view(self.view.seen_from(name), smoothly=True)

    def look_through(self, name: str) -> None:
        """Go where a photo was taken, so that the picture is the photo's.

        Raises:
            ValueError: no photo has that name.
        """
        photo = next((photo for photo in self._photos if photo.name == name), None)
        if photo is None:
            raise ValueError(f"no photo is called {name}")
        extent = self._extent()
        ahead = 0.0 if extent is None else float(photo.camera.R[2] @ (extent[0] - photo.camera.center))
        distance = ahead if ahead > 0 else self.view.distance
        self._looking_through = photo
        self.navigation.go_to(through_photo(photo.camera, distance, self.width(), self.height()))

    @property
    def photo(self) -> str | None:
        """Name of the photo that is looked through; None if the view is free."""
        return None if self._looking_through is None else self._looking_through.name

    def set_comparison(self, share: float | None, opacity: float = 1.0) -> None:
        """While a photo is looked through, cover the left `share` of the picture with it; None: not at all.

        The user can drag its edge.
        """
        self._wipe = None if share is None else (float(np.clip(share, 0, 1)), opacity)
        self.update()

    # Pictures

    def screenshot(self) -> QImage:
        """The view as it is, with everything drawn; blocks until it is."""
        self._painter.sort_now(self._splats, self.view.cam_from_world)
        self._draws_all = True
        try:
            return self.grabFramebuffer()
        finally:
            self._draws_all = False

    def record_turntable(self, num_frames: int, save: Callable[[int, QImage], None]) -> None:
        """Call `save(index, picture)` for views once around the pivot; the window answers between two pictures.

        The view is where it was in the end.
        """
        start = self.view

        def step(index: int) -> None:
            if index < num_frames:
                self.navigation.go_to(start.orbited(2 * np.pi * index / num_frames, 0), smoothly=False)
                save(index, self.screenshot())
                soon(self, lambda: step(index + 1))
            else:
                self.navigation.go_to(start, smoothly=False)

        step(0)

    # Inside

    def _extent(self) -> tuple[NDArray[np.float64], float] | None:
        """The sphere to frame; the mesh's, as it has fewer floaters, if there is one."""
        shown = self._mesh if self._mesh is not None else self._splats
        return None if shown is None else (shown.middle, shown.radius)

    def _go_home(self) -> None:
        extent = self._extent()
        assert extent is not None
        self._home = first_view(*extent, self._photos, self.width() / max(self.height(), 1))
        self.navigation.go_to(self._home, smoothly=False)

    def _leave_photo(self) -> None:
        self._looking_through = None

    def _camera(self) -> Camera:
        scale = self.devicePixelRatioF()
        return self.view.to_camera(max(round(self.width() * scale), 1), max(round(self.height() * scale), 1))

    def _touch(self) -> None:
        self._painter.touch(None if self._mode in MESH_MODES else self._splats, self.view.cam_from_world)

    def _view_moved(self) -> None:
        self._touch()
        self.view_changed.emit()

    def _receive(self, name: str, result: Any) -> None:
        """What a worker delivered."""
        if isinstance(result, ReconError):
            self.failed.emit(result.message, result.hint)
        elif isinstance(result, Exception):
            log.error("the viewport's job %r failed", name, exc_info=result)
            self.failed.emit(f"The scene cannot be shown: {result}.", "")
        elif name in ("point", "pivot"):
            self._receive_point(name, result)
        elif isinstance(result, ShownProject):
            self.clear()
            for scene in (result.splats, result.mesh):
                if scene is not None:
                    self._receive_scene(name, scene)
            self.set_photos(result.photos)
        else:
            self._receive_scene(name, result)

    def _receive_scene(self, name: str, scene: PreparedSplats | MeshArrays) -> None:
        if name == "file":
            self.clear()
        is_first = self._extent() is None
        if isinstance(scene, PreparedSplats):
            self._splats = scene
        else:
            self._mesh = scene
        if self._mode not in self.modes:
            self.set_mode(self.modes[0])
        if is_first:
            self._go_home()
        if is_first or self._painter.is_moving or self._mode in MESH_MODES:
            self._touch()
        else:  # a build's next preview
            self._painter.replace(self._splats, self.view.cam_from_world)
        self.shown.emit("mesh" if isinstance(scene, MeshArrays) else "points" if scene.source is None else "splats")

    def _receive_point(self, name: str, point: NDArray[np.float64] | None) -> None:
        if point is None:
            return
        if name == "pivot":
            self.set_view(self.view.pivoting_at(point), smoothly=True)
        else:
            self.point_picked.emit(point)

    def _pick(self, at: QPointF) -> None:
        name = None
        if self._looking_through is None:
            scale = self.devicePixelRatioF()
            name = pick_photo(self._photos, self.photo_depth, self._camera(), (at.x() * scale, at.y() * scale))
        if name is None:
            self._request_point("point", at)
        else:
            self.look_through(name)
            self.photo_picked.emit(name)

    def _request_point(self, name: str, at: QPointF) -> None:
        scale = self.devicePixelRatioF()
        camera, pixel, mesh, splats = self._camera(), (at.x() * scale, at.y() * scale), self._mesh, self._splats
        if self._mode in MESH_MODES and mesh is not None:
            self._load_worker.request(name, lambda: pick_mesh(mesh, camera, pixel))
        elif splats is not None:
            self._load_worker.request(name, lambda: pick_splats(splats, camera, pixel))

    def _picture(self) -> Picture:
        through = None if self.navigation.is_under_way else self._looking_through
        photos = () if through is not None else self._photos
        lines = (*(self._photo_lines if photos else ()), *self._lines)
        return Picture(
            view=self.view,
            camera=self._camera(),
            mode=self._mode,
            splats=self._splats,
            mesh=self._mesh,
            photos=photos,
            photo_depth=self.photo_depth,
            ground=() if through is not None else self._ground_lines,
            lines=lines,
            overlay=None if through is None or self._wipe is None else (through, *self._wipe),
            background=self._background,
            scale=self.devicePixelRatioF(),
        )

    # Qt's events

    def initializeGL(self) -> None:
        self._painter.start(self.context())

    def paintGL(self) -> None:
        self._painter.paint(self.defaultFramebufferObject(), self._picture(), everything=self._draws_all)

    def _draw_piece(self) -> None:
        if self.isVisible():
            self.makeCurrent()
            self._painter.draw_piece(self._picture())
            self.doneCurrent()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if self._looking_through is not None:
            camera, distance = self._looking_through.camera, self.view.distance
            self.navigation.go_to(through_photo(camera, distance, self.width(), self.height()), smoothly=False)
        self._touch()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        own = {Qt.Key.Key_F: self.frame_all, Qt.Key.Key_R: self.reset_view, Qt.Key.Key_Escape: self._leave}
        action = None if event is None or event.modifiers() & ~_KEYPAD else own.get(Qt.Key(event.key()))
        if action is None:
            super().keyPressEvent(event)
        else:
            action()

    def _divider_share(self) -> float | None:
        return None if self._wipe is None or self._looking_through is None else self._wipe[0]

    def _drag_divider(self, share: float) -> None:
        if self._wipe is not None:
            self.set_comparison(share, self._wipe[1])

    def _leave(self) -> None:
        """Step out of a photo: show the others again."""
        self._leave_photo()
        self.update()
        self.view_changed.emit()
