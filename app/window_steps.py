"""The four steps down the left side."""

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QPushButton, QVBoxLayout, QWidget

from app.project_steps import STEPS, TITLES, Step, StepState, StepView
from app.window_parts import label

MARKS: dict[StepState, str] = {"todo": "○", "ready": "○", "busy": "◐", "problem": "!", "done": "✓"}
SPOKEN: dict[StepState, str] = {
    "todo": "not ready yet",
    "ready": "ready",
    "busy": "at work",
    "problem": "needs a look",
    "done": "done",
}
WIDTH = 190


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
        self.buttons: dict[Step, QPushButton] = {}
        for number, step in enumerate(STEPS, 1):
            made = QPushButton()
            made.setCheckable(True)
            made.setProperty("role", "step")
            made.setObjectName(f"step_{step}")
            made.setToolTip(f"{TITLES[step]} (Ctrl+{number})")
            made.setCursor(Qt.CursorShape.PointingHandCursor)
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
        for number, (step, view) in enumerate(steps.items(), 1):
            # two lines need a real button: text and accessible name stay together
            self.buttons[step].setText(f"{MARKS[view.state]}  {number}  {TITLES[step]}\n        {view.subtitle}")
            self.buttons[step].setAccessibleName(f"Step {number}, {TITLES[step]}: {SPOKEN[view.state]}")
            self.buttons[step].setAccessibleDescription(view.subtitle)

    def choose(self, step: Step) -> None:
        """Press a step's button down without telling."""
        self.buttons[step].setChecked(True)
