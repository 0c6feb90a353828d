"""Details on weak places: colours by coverage, what looks unlike the photos, and the next photo to take."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QRectF, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPixmap
from PyQt6.QtWidgets import QCheckBox, QGroupBox, QLabel, QVBoxLayout, QWidget

from app.viewport import Viewport
from app.viewport_camera import ViewCamera
from app.window_clean_model import CleanModel
from app.window_clean_scene import COVERAGE_RGB
from app.window_parts import button, label
from app.window_pictures import to_pixmap
from app.window_weak_model import WeakModel

# Of matplotlib's inferno, as `recon.evaluation.artefact_map.heat_picture` draws it: like a photo, unlike, like nothing.
_LIKENESS = (("#1b0c41", "as in the photos"), ("#cf4446", "unlike them"), ("#fcffa4", "in no photo"))
_COVERAGE_WORDS = ("none", "one", "two", "three or more")


class PictureOverlay(QWidget):
    """A picture over the 3D view, which keeps mouse and keys."""

    def __init__(self, below: QWidget) -> None:
        super().__init__(below)
        self._picture = QPixmap()
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Where the view is unlike the photos")
        below.installEventFilter(self)
        self.resize(below.size())
        self.hide()

    @property
    def picture(self) -> QPixmap:
        """What is shown; null if nothing is."""
        return self._picture

    def show_rgb(self, rgb: NDArray[np.uint8] | None) -> None:
        """Cover the view with a picture [H, W, 3]; None uncovers it."""
        self._picture = QPixmap() if rgb is None else to_pixmap(rgb)
        self.setVisible(rgb is not None)
        self.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.resize(watched.size())
        return False

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(QRectF(self.rect()), self._picture, QRectF(self._picture.rect()))
        painter.end()


class WeakPanel(QGroupBox):
    """Asks for weak places and shows them in a viewport."""

    def __init__(self, clean: CleanModel, viewport: Viewport) -> None:
        super().__init__("Where am I weak?")
        self._clean, self._viewport = clean, viewport
        self.model = WeakModel(clean)
        self.overlay = PictureOverlay(viewport)
        self.coverage = QCheckBox("&Colour by how many photos see it")
        self.coverage.setToolTip("What no or one photo sees is weak: take the next photo of it")
        self.coverage_key = _legend(
            [(_hex(rgb), word) for rgb, word in zip(COVERAGE_RGB, _COVERAGE_WORDS, strict=True)]
        )
        self.unlike = QCheckBox("&Heat map of what is unlike the photos")
        tip = "Compares the resting view with all photos; seen from about as far as they were taken, bright is wrong"
        self.unlike.setToolTip(tip)
        self.unlike_key = _legend(_LIKENESS)
        self.checking = label("Comparing with the photos …", "faint")
        tip = "Looks for what few photos see"
        ask = button("Where to take the next &photo?", self.model.suggest, tip=tip)
        self.suggestion = label()
        self.go_there = button("&Go there", self._go_there, tip="Look from that place")
        layout = QVBoxLayout(self)
        for part in (self.coverage, self.coverage_key, self.unlike, self.unlike_key, self.checking, ask):
            layout.addWidget(part)
        layout.addWidget(self.suggestion)
        layout.addWidget(self.go_there)
        self.coverage.toggled.connect(self._toggle_coverage)
        self.unlike.toggled.connect(self._toggle_unlike)
        self.model.changed.connect(self._show)
        self.model.checked.connect(self.overlay.show_rgb)
        viewport.view_changed.connect(self._forget)
        viewport.rested.connect(self._check)
        clean.changed.connect(self._forget_if_closed)
        self._show()

    def deactivate(self) -> None:
        """Let go of the viewport."""
        self.unlike.setChecked(False)

    def _toggle_coverage(self, is_on: bool) -> None:
        if is_on:
            self.unlike.setChecked(False)
        self._clean.show_coverage(is_on)
        self._show()

    def _toggle_unlike(self, is_on: bool) -> None:
        if is_on:
            self.coverage.setChecked(False)
            self._check()
        else:
            self._forget()
        self._show()

    def _check(self) -> None:
        if self.unlike.isChecked():
            self.model.check(self._viewport.view.to_camera(self._viewport.width(), self._viewport.height()))

    def _forget(self) -> None:
        """What lies over the view is of another one."""
        self.model.forget()
        self.overlay.show_rgb(None)

    def _forget_if_closed(self) -> None:
        if self._clean.scene is None and self.unlike.isChecked():
            self.unlike.setChecked(False)

    def _go_there(self) -> None:
        if self.model.suggestion is not None:
            camera = self.model.suggestion.camera
            middle = self._viewport.view.pivot
            distance = max(float(camera.R[2] @ (middle - camera.center)), 1e-3)
            fov = float(np.rad2deg(2 * np.arctan(0.5 * camera.height / camera.K[1, 1])))
            self._viewport.set_view(ViewCamera(camera.cam_from_world, distance, fov), smoothly=True)

    def _show(self) -> None:
        suggestion = self.model.suggestion
        self.coverage_key.setVisible(self.coverage.isChecked())
        self.unlike_key.setVisible(self.unlike.isChecked())
        self.checking.setVisible(self.model.is_checking)
        self.suggestion.setText("" if suggestion is None else f"{suggestion.words}.")
        self.suggestion.setVisible(suggestion is not None)
        self.go_there.setVisible(suggestion is not None)


def _legend(entries: Sequence[tuple[str, str]]) -> QLabel:
    made = QLabel(" ".join(f'<span style="color:{colour}">■</span> {words}' for colour, words in entries))
    made.setWordWrap(True)
    return made


def _hex(rgb: tuple[float, float, float]) -> str:
    return f"#{''.join(f'{round(255 * value):02x}' for value in rgb)}"
