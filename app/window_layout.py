"""Where the parts of the window stand."""

from collections.abc import Iterable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QScrollArea, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.window_parts import rule

WIDTH, HEIGHT, PANEL_WIDTH = 1280, 800, 320


def stacked(pages: Iterable[QWidget]) -> QStackedWidget:
    """Pages of which one is shown."""
    made = QStackedWidget()
    for page in pages:
        made.addWidget(page)
    return made


def stacked_panels(panels: Iterable[QWidget]) -> QStackedWidget:
    """Panels of which one is shown; each scrolls if the window is low."""
    made = QStackedWidget()
    for panel in panels:
        made.addWidget(_scroll(panel))
    made.setMinimumWidth(PANEL_WIDTH)
    return made


def scrolling(*parts: QWidget) -> QScrollArea:
    """Parts below each other that scroll where there is no room for all."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        column.addWidget(part)
    column.addStretch(1)
    return _scroll(content)


def _scroll(content: QWidget) -> QScrollArea:
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setWidget(content)
    return scroll


def split(notice: QWidget, center: QWidget, details: QWidget) -> QSplitter:
    """The notice over the center, the details beside them; the user can move the border."""
    middle = QWidget()
    column = QVBoxLayout(middle)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(notice)
    column.addWidget(center, 1)
    made = QSplitter()
    made.addWidget(middle)
    made.addWidget(details)
    made.setStretchFactor(0, 1)
    made.setSizes([WIDTH - PANEL_WIDTH, PANEL_WIDTH])
    made.setChildrenCollapsible(False)
    return made


def whole(steps: QWidget, splitter: QSplitter, strip: QWidget) -> QWidget:
    """Steps, splitter, and the strip below."""
    upper = QHBoxLayout()
    upper.setSpacing(0)
    upper.addWidget(steps)
    upper.addWidget(splitter, 1)
    made = QWidget()
    outer = QVBoxLayout(made)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.setSpacing(0)
    outer.addLayout(upper, 1)
    outer.addWidget(rule())
    outer.addWidget(strip)
    return made
