"""The five steps down the left side."""

from PyQt6.QtCore import QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QPaintEvent
from PyQt6.QtWidgets import QButtonGroup, QPushButton, QStyle, QStyleOptionButton, QStylePainter, QVBoxLayout, QWidget

from app.project_steps import STEPS, TITLES, Step, StepState, StepView
from app.window_parts import label
from app.window_style import colours

MARKS: dict[StepState, str] = {"todo": "○", "ready": "○", "busy": "◐", "problem": "!", "done": "✓"}
SPOKEN: dict[StepState, str] = {
    "todo": "not ready yet",
    "ready": "ready",
    "busy": "at work",
    "problem": "needs a look",
    "done": "done",
}
WIDTH, HEIGHT = 190, 52
MARK_X, NUMBER_X, TITLE_X = 16, 36, 52  # where the columns of a button begin
_MIDDLE = Qt.AlignmentFlag.AlignVCenter


class StepButton(QPushButton):
    """A mark, a number and a title over a few fainter words, each in a column of its own."""

    def __init__(self, number: int, step: Step) -> None:
        super().__init__()
        self._number, self._step = number, step
        self._view = StepView("todo", "")
        self.setCheckable(True)
        self.setProperty("role", "step")
        self.setObjectName(f"step_{step}")
        self.setToolTip(f"{TITLES[step]} (Ctrl+{number})")
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    @property
    def subtitle(self) -> str:
        """How the step stands, in a few words."""
        return self._view.subtitle

    def show_view(self, view: StepView) -> None:
        """Show how the step stands."""
        if view != self._view or not self.accessibleName():
            self._view = view
            self.setAccessibleName(f"Step {self._number}, {TITLES[self._step]}: {SPOKEN[view.state]}")
            self.setAccessibleDescription(view.subtitle)
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter, option, of = QStylePainter(self), QStyleOptionButton(), colours()
        self.initStyleOption(option)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        line = painter.fontMetrics().height()
        upper = QRect(0, self.height() // 2 - line - 1, self.width() - 8, line)
        marks = {"busy": of.accent, "problem": of.warning, "done": of.good}
        painter.setPen(QColor(of.faint))
        painter.drawText(upper.translated(0, line + 2).adjusted(TITLE_X, 0, 0, 0), _MIDDLE, self._view.subtitle)
        font = QFont(self.font())
        font.setBold(self.isChecked())
        painter.setFont(font)
        painter.setPen(QColor(of.text))
        for x, words in ((NUMBER_X, str(self._number)), (TITLE_X, TITLES[self._step])):
            painter.drawText(upper.adjusted(x, 0, 0, 0), _MIDDLE, words)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(marks.get(self._view.state, of.faint)))
        painter.drawText(upper.adjusted(MARK_X, 0, 0, 0), _MIDDLE, MARKS[self._view.state])
        painter.end()


class StepList(QWidget):
    """Buttons of which one is down; `chosen` tells which."""

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(2)
        group = QButtonGroup(self)
        self.buttons: dict[Step, StepButton] = {}
        for number, step in enumerate(STEPS, 1):
            made = StepButton(number, step)
            made.clicked.connect(lambda _, step=step: self.chosen.emit(step))
            group.addButton(made)
            layout.addWidget(made)
            self.buttons[step] = made
        layout.addStretch(1)
        self.footer = label(role="faint")
        self.footer.setContentsMargins(12, 0, 8, 4)
        layout.addWidget(self.footer)

    def show_steps(self, steps: dict[Step, StepView]) -> None:
        """Show how each of them stands."""
        for step, view in steps.items():
            self.buttons[step].show_view(view)

    def choose(self, step: Step) -> None:
        """Press a step's button down without telling."""
        self.buttons[step].setChecked(True)
