"""Details beside cleaning: floaters by a slider, tools, crop box, up and length by clicks, weak places."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app.viewport import Viewport
from app.viewport_lines import Segments
from app.window_clean_model import POINTS_WANTED, CleanModel, Mode
from app.window_clean_tools import DrawingOverlay, Tool
from app.window_layout import scrolling
from app.window_parts import label
from app.window_weak_panel import WeakPanel
from splatting.camera import Camera

SLIDER_STEPS = 100
BOX_RGBA = (1.0, 0.85, 0.2, 0.9)
POINT_RGBA = (0.2, 1.0, 0.6, 1.0)
TOOLS: dict[Tool | None, tuple[str, str]] = {
    None: ("&Look", "Turn the view; nothing is drawn (Esc)"),
    "box": ("&Box", "Drag a rectangle; Shift adds, Ctrl takes away (B)"),
    "lasso": ("L&asso", "Draw around something; Shift adds, Ctrl takes away (L)"),
    "brush": ("B&rush", "Paint on the surface; Shift adds, Ctrl takes away (P)"),
}


class CleanPanel(QWidget):
    """Shows a `CleanModel` and draws its selection in a viewport, which it shares with the rest of the window.

    Nothing happens in the viewport before a project is opened in the model; `deactivate` hands it back. `mesh_wanted`
    asks to have the mesh made anew.
    """

    mesh_wanted = pyqtSignal()

    def __init__(self, model: CleanModel, viewport: Viewport) -> None:
        super().__init__()
        self.model, self._viewport = model, viewport
        self.weak = WeakPanel(model, viewport)
        self.overlay = DrawingOverlay(viewport)  # over the picture of weak places
        self.overlay.outlined.connect(self._outline)
        self.overlay.brushed.connect(self._brush)
        self.overlay.left.connect(lambda: self.choose_tool(None))
        tools = (self._floaters(), self._selecting(), self._cropping(), self._framing(), self.weak)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(scrolling(*tools), 1)
        layout.addLayout(self._ending())  # always in sight
        self._make_shortcuts()
        model.changed.connect(self._show)
        model.shown.connect(viewport.set_gaussians)
        model.failed.connect(lambda message, hint: self._tell(f"{message} {hint}".strip()))
        viewport.point_picked.connect(model.add_point)
        self._tell("")
        self._show()

    def choose_tool(self, tool: Tool | None) -> None:
        """Draw with a tool, or look around."""
        self.overlay.set_tool(tool)
        self.tools[tool].setChecked(True)

    def deactivate(self) -> None:
        """Let go of the viewport: another step is shown."""
        self.choose_tool(None)
        self.weak.deactivate()
        self._viewport.set_lines(())

    # Parts

    def _floaters(self) -> QGroupBox:
        self.strength = QSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(0, SLIDER_STEPS)
        self.strength.setAccessibleName("Strength of the search for floaters")
        self.strength.setToolTip("Likely floaters turn orange; nothing is deleted yet")
        self.strength.valueChanged.connect(self._set_strength)
        ends = _row(label("few", "faint"), label("many", "faint"))
        ends.insertStretch(1)
        unseen = _button("What &no photo shows", self.model.select_unseen, "Guesses past the frames and behind things")
        return _group("Likely floaters", self.strength, ends, unseen)

    def _selecting(self) -> QGroupBox:
        choice, row = QButtonGroup(self), QHBoxLayout()
        self.tools: dict[Tool | None, QPushButton] = {}
        for tool, (text, tip) in TOOLS.items():
            made = _button(text, lambda tool=tool: self.choose_tool(tool), tip)  # type: ignore[misc]
            made.setCheckable(True)
            made.setMinimumWidth(40)
            choice.addButton(made)
            row.addWidget(made)
            self.tools[tool] = made
        self.tools[None].setChecked(True)
        self.front_only = QCheckBox("Only what is in &front")
        self.front_only.setToolTip("Box and lasso leave out what lies behind the surface")
        self.selected = _label()
        self.delete = _button("&Delete", self.model.delete, "Take the selection out (Del)")
        self.invert = _button("&Invert", self.model.invert, "Select all else (Ctrl+I)")
        self.deselect = _button("N&othing", self.model.deselect, "Select nothing (Ctrl+D)")
        self.undo = _button("&Undo", self.model.undo, "Take the last step back (Ctrl+Z)")
        self.redo = _button("R&edo", self.model.redo, "Do it again (Ctrl+Shift+Z)")
        rows = (row, _row(self.delete, self.invert, self.deselect), _row(self.undo, self.redo))
        return _group("Select and delete", rows[0], self.front_only, self.selected, rows[1], rows[2])

    def _cropping(self) -> QGroupBox:
        self.box_shown = QCheckBox("Show the bo&x")
        self.box_shown.setToolTip("Draw the crop box into the view")
        self.box_shown.toggled.connect(self._toggle_box)
        self.crop_fields = QWidget()
        grid, self.corners = QGridLayout(self.crop_fields), []
        grid.setContentsMargins(0, 0, 0, 0)
        for row, name in enumerate(("from", "to")):
            grid.addWidget(QLabel(name), row, 0)
            for column, axis in enumerate("xyz"):
                spin = QDoubleSpinBox()
                spin.setRange(-1e6, 1e6)
                spin.setDecimals(2)
                spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
                spin.setMinimumWidth(40)
                spin.setSingleStep(0.05)
                spin.setKeyboardTracking(False)
                spin.setAccessibleName(f"Crop box {name} {axis}")
                spin.valueChanged.connect(self._set_crop)
                grid.addWidget(spin, row, column + 1)
                self.corners.append(spin)
        self.outside = _button("Select outs&ide", self.model.select_outside_crop, "Delete takes it out then")
        grid.addWidget(self.outside, 2, 0, 1, 4)
        return _group("Crop", self.box_shown, self.crop_fields)

    def _framing(self) -> QGroupBox:
        self.up = _button("Up by &three clicks", lambda: self._pick("up"), "Click three points of the floor or table")
        self.length = _button("Length by t&wo clicks", lambda: self._pick("length"), "Click both ends of a length")
        for made in (self.up, self.length):
            made.setCheckable(True)
        self.measured = QLineEdit()
        self.measured.setPlaceholderText("real length, as in 32 cm")
        self.measured.setAccessibleName("Real length between the two points")
        self.measured.returnPressed.connect(lambda: self.model.set_length(self.measured.text()))
        self.picked = _label()
        return _group("Upright and in real units", self.up, self.length, self.picked, self.measured)

    def _ending(self) -> QVBoxLayout:
        self.state, self.problem = _label(), _label()
        self.save = _button("&Save", self.model.save, "Write what is left into the project; the way back stays open")
        tip = "The mesh is not cleaned with the splats: make it anew from what is left of them (Ctrl+M)"
        self.mesh = _button("New &mesh", self.mesh_wanted.emit, tip)
        column = QVBoxLayout()
        for part in (self.state, self.problem):
            column.addWidget(part)
        column.addLayout(_row(self.save, self.mesh))
        return column

    def _make_shortcuts(self) -> None:
        """Keys that work while this panel's window is active; the drawing tools have theirs in the viewport's focus."""
        keys: dict[str, Callable[[], object]] = {
            "Ctrl+Z": self.model.undo,
            "Ctrl+Shift+Z": self.model.redo,
            "Del": self.model.delete,
            "Ctrl+I": self.model.invert,
            "Ctrl+D": self.model.deselect,
            "B": lambda: self.choose_tool("box"),
            "L": lambda: self.choose_tool("lasso"),
            "P": lambda: self.choose_tool("brush"),
        }
        for key, action in keys.items():
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.activated.connect(lambda action=action: action() if self.isVisible() else None)

    # What the user does

    def _set_strength(self, value: int) -> None:
        self._tell("")
        self.model.set_strength(value / SLIDER_STEPS)

    def _outline(self, outline: NDArray[np.float64], modifiers: Qt.KeyboardModifier) -> None:
        self.model.select_outline(outline, self._camera(), _mode(modifiers), front_only=self.front_only.isChecked())

    def _brush(self, stroke: NDArray[np.float64], modifiers: Qt.KeyboardModifier) -> None:
        self.model.brush(stroke, self.overlay.radius_px, self._camera(), _mode(modifiers))

    def _camera(self) -> Camera:
        return self._viewport.view.to_camera(self._viewport.width(), self._viewport.height())

    def _toggle_box(self, is_shown: bool) -> None:
        if is_shown and self.model.crop is None:
            self.model.propose_crop()
        self._show_lines()

    def _set_crop(self) -> None:
        values = [spin.value() for spin in self.corners]
        self.model.set_crop(values[:3], values[3:])

    def _pick(self, what: str) -> None:
        self._tell("")
        self.choose_tool(None)
        self.model.pick(None if self.model.picking == what else what)  # type: ignore[arg-type]

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    # What the model says

    def _show(self) -> None:
        model, history = self.model, self.model.scene.history if self.model.scene else None
        is_ready = model.scene is not None and not model.busy_with
        for part in self.findChildren(QGroupBox):
            part.setEnabled(is_ready)
        _set_quietly(self.strength, round(model.strength * SLIDER_STEPS))
        share = 100 * model.num_selected / max(model.num_left, 1)
        self.selected.setText(f"{model.num_selected:,} of {model.num_left:,} selected ({share:.1f} %)")
        for made in (self.delete, self.deselect):
            made.setEnabled(model.num_selected > 0)
        undo, redo = (history.next_undo, history.next_redo) if history else (None, None)
        for made, edit, name in ((self.undo, undo, "Undo"), (self.redo, redo, "Redo")):
            made.setEnabled(edit is not None)
            made.setToolTip(name if edit is None else f"{name}: {edit.count:,} Gaussians, {edit.what}")
        self.crop_fields.setVisible(model.crop is not None)
        self.save.setEnabled(is_ready and model.has_unsaved)
        self.mesh.setEnabled(is_ready)
        self.state.setText(model.busy_with or self._told_state())
        self._show_picking()
        self._show_lines()

    def _told_state(self) -> str:
        if self.model.scene is None:
            return "There is nothing to clean yet: build a scene first."
        removed = int(self.model.removed.sum())
        told = f"{removed:,} taken out. " if removed else "Nothing is taken out. "
        return told + ("Not saved yet." if self.model.has_unsaved else "Saved.")

    def _show_picking(self) -> None:
        model = self.model
        self.up.setChecked(model.picking == "up")
        self.length.setChecked(model.picking == "length")
        self.measured.setVisible(model.picked_length is not None)
        if model.picking is None:
            self.picked.setText("")
        elif model.picked_length is not None:
            unit = "m" if model.scene is not None and model.scene.frame.unit == "m" else "units"
            self.picked.setText(f"It is {model.picked_length:.3f} {unit} now. How long is it really?")
        else:
            missing = POINTS_WANTED[model.picking] - len(model.points)
            self.picked.setText(f"Click {missing} more {'point' if missing == 1 else 'points'} in the view.")

        self.picked.setVisible(bool(self.picked.text()))

    def _show_lines(self) -> None:
        lines = []
        if self.model.crop is not None:
            for spin, value in zip(self.corners, np.concatenate(self.model.crop), strict=True):
                _set_quietly(spin, float(value))
            if self.box_shown.isChecked():
                lines.append(box_segments(*self.model.crop))
        if self.model.points:
            lines.append(point_segments(self.model.points, 0.02 * self._viewport.view.distance))
        if self.model.scene is not None:
            self._viewport.set_lines(lines)


def box_segments(low: NDArray[np.float64], high: NDArray[np.float64]) -> Segments:
    """The twelve edges of a box."""
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
    pairs = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]
    return _segments(corners[np.array(pairs)], BOX_RGBA)


def point_segments(points: list[NDArray[np.float64]], size: float) -> Segments:
    """A cross at each point, and lines from one to the next."""
    crosses = [[point - size * axis, point + size * axis] for point in points for axis in np.eye(3)]
    ways = [[points[i], points[i + 1]] for i in range(len(points) - 1)]
    return _segments(np.array(crosses + ways), POINT_RGBA)


def _segments(ends: NDArray[np.float64], rgba: tuple[float, ...]) -> Segments:
    return Segments(
        ends.astype(np.float32), np.tile(np.array(rgba, np.float32), (len(ends), 1)), 2.0, is_hidden_by_mesh=False
    )


def _mode(modifiers: Qt.KeyboardModifier) -> Mode:
    if modifiers & Qt.KeyboardModifier.ShiftModifier:
        return "add"
    return "subtract" if modifiers & Qt.KeyboardModifier.ControlModifier else "replace"


def _set_quietly(widget: QSlider | QDoubleSpinBox, value: float) -> None:
    was_blocked = widget.blockSignals(True)
    widget.setValue(value)  # type: ignore[arg-type]
    widget.blockSignals(was_blocked)


def _group(title: str, *parts: QWidget | QHBoxLayout | QGridLayout) -> QGroupBox:
    made = QGroupBox(title)
    layout = QVBoxLayout(made)
    for part in parts:
        layout.addWidget(part) if isinstance(part, QWidget) else layout.addLayout(part)
    return made


def _row(*widgets: QWidget) -> QHBoxLayout:
    made = QHBoxLayout()
    for widget in widgets:
        made.addWidget(widget)
    return made


def _label() -> QLabel:
    made = QLabel()
    made.setWordWrap(True)
    return made


def _button(text: str, action: Callable[[], object], tip: str) -> QPushButton:
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setAutoDefault(False)
    made.clicked.connect(lambda: action())
    return made
