"""The menus: everything that buttons do, with its keys."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMenu

from app.project_steps import STEPS, TITLES

if TYPE_CHECKING:
    from app.window import MainWindow


class Menus:
    """Makes the menus of a window and keeps them as they should be."""

    def __init__(self, window: "MainWindow") -> None:
        self._window = window
        model = window.model
        file = self._menu("&File")
        self._add(file, "&New project", "Ctrl+N", window.new_project)
        self._add(file, "&Add photos …", "Ctrl+O", window.choose_photos)
        self._add(file, "Add a &folder of photos …", "Ctrl+Shift+A", window.choose_photo_folder)
        self._add(file, "Open &project …", "Ctrl+Shift+O", window.choose_project)
        self._add(file, "&Look at a file …", "Ctrl+L", window.choose_file)
        self.recent = QMenu("Open &recent", window)
        file.addMenu(self.recent)
        self.recent.aboutToShow.connect(self._fill_recent)
        file.addSeparator()
        self.save = self._add(file, "&Save for …", "Ctrl+S", window.save)
        file.addSeparator()
        self._add(file, "&Quit", "Ctrl+Q", window.close)
        go = self._menu("&Go")
        for number, step in enumerate(STEPS, 1):
            self._add(go, f"&{number} {TITLES[step]}", f"Ctrl+{number}", partial(window.go_to, step))
        run = self._menu("&Run")
        self.cameras = self._add(run, "Find &cameras", "Ctrl+K", window.find_cameras)
        self.build = self._add(run, "&Build", "Ctrl+B", window.build)
        self.pause = self._add(run, "&Pause or resume", "Ctrl+P", model.pause)
        self.stop = self._add(run, "&Stop and keep", "Ctrl+.", model.stop)
        run.addSeparator()
        self.mesh = self._add(run, "Make the &mesh anew", "Ctrl+M", window.remake_mesh)
        self.film = self._add(run, "Save a &film …", "Ctrl+T", window.view.save_film)
        self._add(run, "Save a p&icture …", "Ctrl+Shift+S", window.view.save_picture)
        help_ = self._menu("&Help")
        self._add(help_, "&Keys", "F1", window.tell_keys)
        self._add(help_, "&About", "", window.tell_about)
        model.run_changed.connect(self._enable)
        model.report_changed.connect(self._enable)
        self._enable()

    def _menu(self, title: str) -> QMenu:
        bar = self._window.menuBar()
        assert bar is not None
        menu = bar.addMenu(title)
        assert menu is not None
        return menu

    def _add(self, menu: QMenu, title: str, keys: str, action: Callable[[], object]) -> QAction:
        made = QAction(title, self._window)
        if keys:
            made.setShortcut(QKeySequence(keys))
        made.triggered.connect(lambda: action())
        menu.addAction(made)
        return made

    def _fill_recent(self) -> None:
        self.recent.clear()
        for folder in self._window.settings.recent:
            self._add(self.recent, folder.name, "", partial(self._window.open_project, folder))
        self.recent.setEnabled(True)
        if self.recent.isEmpty():
            nothing = self.recent.addAction("none yet")
            assert nothing is not None
            nothing.setEnabled(False)

    def _enable(self) -> None:
        model = self._window.model
        self.cameras.setEnabled(model.can_run)
        self.build.setEnabled(model.can_run)
        self.pause.setEnabled(model.phase in ("running", "paused") and model.run.can_pause)
        self.stop.setEnabled(model.phase in ("running", "paused"))
        for made in (self.mesh, self.film):
            made.setEnabled(model.has_scene and model.phase == "idle")
        self.save.setEnabled(model.has_scene)
