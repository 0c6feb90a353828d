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

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
)
from app.viewport_files import ShownProject
from app.viewport_lines import Segments
from app.viewport_loading import SceneLoading
from app.viewport_navigation import Divider, Navigation
from app.viewport_painter import Painter
from app.viewport_renderer import Picture
from app.viewport_scene import ShownScene
from splatting.camera import Camera

if TYPE_CHECKING:
    from recon.scene import Mesh
    from splatting.gaussians import Gaussians

_KEYPAD = Qt.KeyboardModifier.KeypadModifier
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
        self._scene = ShownScene()
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
        self._loading = SceneLoading(self)
        self._loading.prepared.connect(self._receive_scene)
        self._loading.opened.connect(self._receive_project)
        self._loading.point_found.connect(self._receive_point)
        self._loading.failed.connect(self.failed)

    # What is shown

    def set_gaussians(self, gaussians: "Gaussians") -> None:
        """Show Gaussians in place of those before; the view stays, unless these are the first.

        They are prepared in a worker; while it is busy only the newest are kept, so that a build may call this often.
        `shown` follows.
        """
        self._loading.prepare_gaussians(gaussians)

    def set_points(self, xyz: NDArray[np.floating], rgb: NDArray[np.uint8]) -> None:
        """Show coloured points [N, 3] with sRGB bytes [N, 3] in place of the splats."""
        self._loading.prepare_points(xyz, rgb)

    def set_mesh(self, mesh: "Mesh") -> None:
        """Show a mesh, in the modes for meshes."""
        self._loading.prepare_mesh(mesh)

    def set_photos(self, photos: Sequence[PhotoFrustum]) -> None:
        """Show where photos were taken, in place of those before; none hides them."""
        self._scene.set_photos(photos)
        self._looking_through = None
        if self._home is not None and self.view is self._home:
            self._go_home()
        self.update()

    def set_lines(self, lines: Sequence[Segments]) -> None:
        """Show lines of one's own, such as matches or a ruler, in place of those before."""
        self._scene.lines = tuple(lines)
        self.update()

    def open_file(self, path: Path) -> None:
        """Show a file of splats or a mesh, without a project; `shown` or `failed` follows."""
        self._loading.read_file(Path(path))

    def open_project(self, folder: Path) -> None:
        """Show splats, mesh and photos of a project folder; `shown` or `failed` follows."""
        self._loading.read_project(Path(folder))

    def clear(self) -> None:
        """Show nothing."""
        self._home = None
        self._scene.clear()
        self.set_photos(())

    @property
    def mode(self) -> Mode:
        """How the scene is shown."""
        return self._mode

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes for which there is something to show."""
        return self._scene.modes

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
        self._scene.set_ground(is_shown)
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
        return self._scene.photo_depth

    def set_view(self, view: ViewCamera, *, smoothly: bool = False) -> None:
        """Look from elsewhere."""
        self._leave_photo()
        self.navigation.go_to(view, smoothly=smoothly)
        self.update()
        self.view_changed.emit()

    def frame_all(self) -> None:
        """Keep the direction and go where all is seen."""
        if (extent := self._scene.extent) is not None:
            self.set_view(self.view.framing(*extent, self._aspect), smoothly=True)

    def frame_photos(self) -> None:
        """Keep the direction and go where the scene and all photos are seen."""
        if (points := self._scene.landmarks()) is not None:
            self.set_view(self.view.framing_points(points, self._aspect), smoothly=True)

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
        photo = self._scene.photo(name)
        self._looking_through = photo
        self.navigation.go_to(self._scene.through(photo, self.view.distance, (self.width(), self.height())))
        self.update()

    @property
    def photos(self) -> tuple[PhotoFrustum, ...]:
        """The photos that are shown where they were taken."""
        return self._scene.photos

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
        self._painter.sort_now(self._scene.splats, self.view.cam_from_world)
        self._draws_all = True
        try:
            return self.grabFramebuffer()
        finally:
            self._draws_all = False

    # Inside

    @property
    def _aspect(self) -> float:
        """Width : height."""
        return self.width() / max(self.height(), 1)

    def _go_home(self) -> None:
        self._home = self._scene.home(self._aspect)
        self.navigation.go_to(self._home, smoothly=False)

    def _leave_photo(self) -> None:
        self._looking_through = None

    def _camera(self) -> Camera:
        scale = self.devicePixelRatioF()
        return self.view.to_camera(max(round(self.width() * scale), 1), max(round(self.height() * scale), 1))

    def _touch(self) -> None:
        self._painter.touch(None if self._mode in MESH_MODES else self._scene.splats, self.view.cam_from_world)

    def _view_moved(self) -> None:
        self._touch()
        self.view_changed.emit()

    def _receive_project(self, project: ShownProject) -> None:
        self.clear()
        for scene in (project.splats, project.mesh):
            if scene is not None:
                self._receive_scene(scene)
        self.set_photos(project.photos)

    def _receive_scene(self, scene: PreparedSplats | MeshArrays) -> None:
        is_first = self._scene.extent is None
        self._scene.take(scene)
        if self._mode not in self.modes:
            self.set_mode(self.modes[0])
        if is_first:
            self._go_home()
        if is_first or self._painter.is_moving or self._mode in MESH_MODES:
            self._touch()
        else:  # a build's next preview
            self._painter.replace(self._scene.splats, self.view.cam_from_world)
        self.shown.emit("mesh" if isinstance(scene, MeshArrays) else "points" if scene.source is None else "splats")

    def _receive_point(self, purpose: str, point: NDArray[np.float64]) -> None:
        if purpose == "pivot":
            self.set_view(self.view.pivoting_at(point), smoothly=True)
        else:
            self.point_picked.emit(point)

    def _pick(self, at: QPointF) -> None:
        name = None
        if self._looking_through is None:
            name = self._scene.photo_at(self._camera(), self._pixel(at))
        if name is None:
            self._request_point("point", at)
        else:
            self.look_through(name)
            self.photo_picked.emit(name)

    def _request_point(self, purpose: str, at: QPointF) -> None:
        find = self._scene.point_at(self._camera(), self._pixel(at), self._mode)
        if find is not None:
            self._loading.find_point(purpose, find)

    def _pixel(self, at: QPointF) -> tuple[float, float]:
        """Where a place in the window lies in the camera's picture, px."""
        return at.x() * self.devicePixelRatioF(), at.y() * self.devicePixelRatioF()

    def _picture(self) -> Picture:
        through = None if self.navigation.is_under_way else self._looking_through
        scene = self._scene
        photos = () if through is not None else scene.photos
        return Picture(
            view=self.view,
            camera=self._camera(),
            mode=self._mode,
            splats=scene.splats,
            mesh=scene.mesh,
            photos=photos,
            photo_depth=scene.photo_depth,
            ground=() if through is not None else scene.ground_lines,
            lines=(*(scene.photo_lines if photos else ()), *scene.lines),
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
            view = through_photo(self._looking_through.camera, self.view.distance, self.width(), self.height())
            self.navigation.go_to(view, smoothly=False)
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
