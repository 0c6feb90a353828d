"""Small widgets that the parts of the window are put together from."""

from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget


def label(text: str = "", role: str = "", *, name: str = "") -> QLabel:
    """Words that wrap and can be copied; `role` is one of the style sheet's."""
    made = QLabel(text)
    made.setWordWrap(True)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    if role:
        made.setProperty("role", role)
    if name:
        made.setObjectName(name)
    return made


def set_role(widget: QWidget, role: str) -> None:
    """Give a widget another role and have it drawn so."""
    if widget.property("role") != role:
        widget.setProperty("role", role)
        style = widget.style()
        assert style is not None
        style.unpolish(widget)
        style.polish(widget)


def button(text: str, action: Callable[[], object], *, tip: str = "", role: str = "", name: str = "") -> QPushButton:
    """A push button; "&" in the text marks its mnemonic."""
    made = QPushButton(text)
    made.clicked.connect(lambda: action())
    made.setToolTip(tip)
    made.setAutoDefault(False)
    if role:
        made.setProperty("role", role)
    if name:
        made.setObjectName(name)
    return made


def row(*widgets: QWidget, stretch: bool = False) -> QHBoxLayout:
    """Widgets beside each other."""
    made = QHBoxLayout()
    for widget in widgets:
        made.addWidget(widget)
    if stretch:
        made.addStretch(1)
    return made


def rule() -> QFrame:
    """A line between two parts."""
    made = QFrame()
    made.setProperty("role", "rule")
    made.setFixedHeight(1)
    return made


def card(*widgets: QWidget) -> tuple[QFrame, QVBoxLayout]:
    """A framed group and its layout."""
    frame = QFrame()
    frame.setProperty("role", "card")
    layout = QVBoxLayout(frame)
    for widget in widgets:
        layout.addWidget(widget)
    return frame, layout
