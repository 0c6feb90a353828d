"""The tools above the 3D view: what to show, what to save of it; and those for looking through a photo."""

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QSlider, QWidget

from app.viewport_data import Mode
from app.window_parts import button, label

MODE_TITLES: dict[Mode, str] = {
    "splats": "Splats",
    "points": "Points",
    "ellipsoids": "Ellipsoids",
    "rings": "Rings",
    "depth": "Depth",
    "normals": "Normals",
    "mesh": "Mesh",
    "mesh_shape": "Mesh, shape only",
    "wireframe": "Mesh, wireframe",
}
KEYS = (
    "Drag turns, Shift+drag moves, the wheel zooms; W A S D Q E fly, F frames all, R resets, 1 to 6 are standard "
    "views, a click on a photo looks through it, Esc leaves it."
)
SPACING, MARGINS = 12, (8, 6, 8, 6)


class ViewTools(QWidget):
    """A row of tools that knows no scene.

    Signals:
        mode_chosen: one of `MODE_TITLES`.
        all_wanted, picture_wanted, film_wanted, keys_wanted: a button was pressed.
    """

    mode_chosen = pyqtSignal(str)
    all_wanted = pyqtSignal()
    picture_wanted = pyqtSignal()
    film_wanted = pyqtSignal()
    keys_wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = QComboBox()
        self.mode.setAccessibleName("Show the scene as")
        self.mode.setToolTip("What to show the scene as")
        self.mode.activated.connect(lambda _: self.mode_chosen.emit(self.mode.currentData()))
        self.frames = QCheckBox("P&hotos in 3D")
        self.frames.setChecked(True)
        self.frames.setToolTip("Show where the photos were taken; the colour tells how sure that is")
        self.ground = QCheckBox("&Grid")
        self.ground.setToolTip("Show a grid on the ground and the axes")
        self.all = button("Show a&ll", self.all_wanted.emit, tip="Go where all is seen (F)")
        self.picture = button(
            "P&icture …", self.picture_wanted.emit, tip="Save what is shown as a picture (Ctrl+Shift+S)"
        )
        tip = "Save a film around what the photos show, as an MP4; that takes a minute or two (Ctrl+T)"
        self.film = button("Fil&m …", self.film_wanted.emit, tip=tip)
        self.help = button("?", self.keys_wanted.emit, tip=KEYS)
        self.help.setAccessibleName("Keys of the 3D view")
        row = QHBoxLayout(self)
        row.setContentsMargins(*MARGINS)
        row.setSpacing(SPACING)
        for part in (self.mode, self.frames, self.ground, self.all, self.picture, self.film):
            row.addWidget(part)
        row.addStretch(1)
        row.addWidget(self.help)

    def show_modes(self, modes: Sequence[Mode], chosen: Mode) -> None:
        """Offer these ways to show the scene; none: there is nothing to show."""
        if [self.mode.itemData(index) for index in range(self.mode.count())] != list(modes):
            self.mode.clear()
            for mode in modes:
                self.mode.addItem(MODE_TITLES[mode], mode)
        self.mode.setCurrentIndex(self.mode.findData(chosen))
        for tool in (self.mode, self.ground, self.all, self.picture):
            tool.setEnabled(bool(modes))


class CompareTools(QWidget):
    """A row that is there while a photo is looked through.

    Signals:
        shared: how much of the scene the photo covers, in [0, 1].
        beside_wanted: to have the photo beside the scene, or not.
        left: to look from elsewhere.
    """

    shared = pyqtSignal(float)
    beside_wanted = pyqtSignal(bool)
    left = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.name = label(role="heading")
        self.name.setWordWrap(False)
        self.compare_label = label("Photo over scene", "faint")
        self.compare_label.setWordWrap(False)
        self.compare = QSlider(Qt.Orientation.Horizontal)
        self.compare.setRange(0, 100)
        self.compare.setMaximumWidth(220)
        self.compare.setAccessibleName("How much of the photo covers the scene")
        self.compare.setToolTip("Draw the photo over the scene, to compare; its edge can be dragged, too")
        self.compare.valueChanged.connect(lambda value: self.shared.emit(value / 100))
        self.beside = QCheckBox("Side b&y side")
        self.beside.setToolTip("Show the photo beside the scene as it is from the photo's place")
        self.beside.toggled.connect(self.beside_wanted)
        self.leave = button("Lea&ve the photo", self.left.emit, tip="Look from elsewhere (Esc)")
        row = QHBoxLayout(self)
        row.setContentsMargins(*MARGINS)
        row.setSpacing(SPACING)
        row.addWidget(self.name)
        row.addStretch(1)
        for part in (self.compare_label, self.compare, self.beside, self.leave):
            row.addWidget(part)
        self.hide()

    def show_photo(self, name: str | None) -> None:
        """Say which photo is looked through; None hides the row."""
        self.name.setText("" if name is None else f"Through {name}")
        self.setVisible(name is not None)
