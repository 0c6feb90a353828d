"""Scenes prepared, files read and clicks followed in a worker thread; what comes of it arrives in the window's."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.viewport_data import prepare_mesh, prepare_points, prepare_splats
from app.viewport_files import ShownProject, read_project, read_shown
from app.viewport_painter import Mailbox
from app.viewport_worker import LatestWorker
from recon.errors import ReconError

if TYPE_CHECKING:
    from recon.scene import Mesh
    from splatting.gaussians import Gaussians

log = logging.getLogger(__name__)
Point = NDArray[np.float64]


class SceneLoading(QObject):
    """Of each kind of work only the newest is done; see the methods of `Viewport`, which ask for it.

    Signals:
        prepared: `PreparedSplats` or `MeshArrays`, in place of those before.
        opened: a `ShownProject`, in place of everything.
        point_found: what a click was for, and the point [3].
        failed: a sentence and a hint.
    """

    prepared = pyqtSignal(object)
    opened = pyqtSignal(object)
    point_found = pyqtSignal(str, object)
    failed = pyqtSignal(str, str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        mailbox = Mailbox()
        mailbox.delivered.connect(self._receive)
        self._worker = LatestWorker(mailbox.put, "viewport")
        self.destroyed.connect(self._worker.stop)

    def prepare_gaussians(self, gaussians: "Gaussians") -> None:
        """Prepare Gaussians."""
        self._worker.request("splats", lambda: prepare_splats(gaussians))

    def prepare_points(self, xyz: NDArray[np.floating], rgb: NDArray[np.uint8]) -> None:
        """Prepare coloured points."""
        self._worker.request("points", lambda: prepare_points(xyz, rgb))

    def prepare_mesh(self, mesh: "Mesh") -> None:
        """Prepare a mesh."""
        self._worker.request("mesh", lambda: prepare_mesh(mesh))

    def read_file(self, path: Path) -> None:
        """Read a file of splats or a mesh, which is then all there is."""
        self._worker.request("file", lambda: ShownProject.of(read_shown(path)))

    def read_project(self, folder: Path) -> None:
        """Read what there is to see in a project folder."""
        self._worker.request("project", lambda: read_project(folder))

    def find_point(self, purpose: str, find: Callable[[], Point | None]) -> None:
        """Call a slow function that finds a point."""
        self._worker.request(purpose, lambda: (find(),))

    def _receive(self, name: str, result: Any) -> None:
        if isinstance(result, ReconError):
            self.failed.emit(result.message, result.hint)
        elif isinstance(result, Exception):
            log.error("the viewport's job %r failed", name, exc_info=result)
            self.failed.emit(f"The scene cannot be shown: {result}.", "")
        elif isinstance(result, ShownProject):
            self.opened.emit(result)
        elif not isinstance(result, tuple):
            self.prepared.emit(result)
        elif result[0] is not None:
            self.point_found.emit(name, result[0])
