"""Colours of the window, for light and dark palettes, and its few rules of style."""

from dataclasses import dataclass

from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication


@dataclass(frozen=True)
class Colours:
    """What the palette has no name for. Contrast on their backgrounds is at least 4.5 : 1, but for `disabled`.

    Attributes:
        good, warning, bad: of words and marks on the window's background.
        accent, on_accent: of the button to press next.
        text: of words in our own paintings.
        faint: of words that matter less.
        disabled: of words on what cannot be used now.
        line: between parts of the window.
        card: behind a group.
        card_hover: behind a group under the mouse.
        canvas: behind photos.
    """

    good: str
    warning: str
    bad: str
    accent: str
    on_accent: str
    text: str
    faint: str
    disabled: str
    line: str
    card: str
    card_hover: str
    canvas: str


LIGHT = Colours(
    good="#1d7a3c",
    warning="#8a5a00",
    bad="#b3261e",
    accent="#1f5fbf",
    on_accent="#ffffff",
    text="#15181d",
    faint="#5c6370",
    disabled="#9da2ab",
    line="#c9ccd2",
    card="#ffffff",
    card_hover="#eef3fb",
    canvas="#e6e8ec",
)
DARK = Colours(
    good="#6fcf8d",
    warning="#f0b429",
    bad="#ff8a80",
    accent="#7fb2ff",
    on_accent="#0d1b2e",
    text="#f2f4f8",
    faint="#a3abb8",
    disabled="#767d89",
    line="#454a54",
    card="#2b2f37",
    card_hover="#353b46",
    canvas="#1c1e23",
)


def is_dark(palette: QPalette) -> bool:
    """The palette has light words on a dark ground."""
    return palette.color(QPalette.ColorRole.Window).lightness() < 128


def colours() -> Colours:
    """Those that suit the application's palette now."""
    return DARK if is_dark(QApplication.palette()) else LIGHT


def confidence_colour(confidence: float | None, is_placed: bool) -> QColor:
    """Red for a photo that was not placed, amber for a camera as likely wrong as right, green for a sure one."""
    if not is_placed:
        return QColor(colours().bad)
    if confidence is None:
        return QColor(colours().accent)
    share = min(max((confidence - 0.5) / 0.45, 0.0), 1.0)
    return QColor.fromHsvF((40 + 95 * share) / 360, 0.75, 0.62 if not is_dark(QApplication.palette()) else 0.88)


def style_sheet(of: Colours) -> str:
    """The rules; everything else is Qt's Fusion style."""
    return f"""
    QLabel[role="title"] {{ font-size: 15pt; font-weight: 600; }}
    QLabel[role="heading"] {{ font-weight: 600; }}
    QLabel[role="faint"] {{ color: {of.faint}; }}
    QLabel[role="good"] {{ color: {of.good}; }}
    QLabel[role="warning"] {{ color: {of.warning}; }}
    QLabel[role="bad"] {{ color: {of.bad}; }}
    QPushButton {{ padding: 5px 12px; }}
    QPushButton:disabled, QRadioButton:disabled, QCheckBox:disabled, QComboBox:disabled {{ color: {of.disabled}; }}
    QPushButton:checked {{
        background: {of.accent}; color: {of.on_accent}; border: 1px solid {of.accent}; border-radius: 3px; }}
    QPushButton[role="primary"] {{
        background: {of.accent}; color: {of.on_accent}; font-weight: 600; padding: 8px 16px;
        border: 1px solid {of.accent}; border-radius: 5px; }}
    QPushButton[role="primary"]:disabled {{ background: {of.line}; color: {of.faint}; border-color: {of.line}; }}
    QPushButton[role="primary"]:focus {{ border: 2px solid palette(text); }}
    QPushButton[role="step"] {{
        text-align: left; padding: 10px 12px; border: 1px solid transparent; border-left: 4px solid transparent;
        border-radius: 0; background: transparent; }}
    QPushButton[role="step"]:hover {{ background: {of.card_hover}; }}
    QPushButton[role="step"]:checked {{ background: {of.card}; border-left-color: {of.accent}; font-weight: 600; }}
    QPushButton[role="step"]:focus {{ border: 1px dotted palette(text); border-left: 4px solid {of.accent}; }}
    QFrame[role="card"] {{ background: {of.card}; border: 1px solid {of.line}; border-radius: 6px; }}
    QFrame[role="notice"] {{ background: {of.card}; border: 1px solid {of.bad}; border-radius: 6px; }}
    QFrame[role="rule"] {{ background: {of.line}; max-height: 1px; border: none; }}
    QFrame[role="drop"] {{ border: 2px dashed {of.line}; border-radius: 12px; background: {of.card}; }}
    QFrame[role="drop"][hot="true"] {{ border-color: {of.accent}; background: {of.card_hover}; }}
    QRadioButton::indicator, QCheckBox::indicator {{ width: 12px; height: 12px; border: 2px solid {of.faint};
        background: {of.canvas}; }}
    QRadioButton::indicator {{ border-radius: 8px; }}
    QCheckBox::indicator {{ border-radius: 3px; }}
    QRadioButton::indicator:checked {{ border: 5px solid {of.accent}; width: 6px; height: 6px; }}
    QCheckBox::indicator:checked {{ background: {of.accent}; border-color: {of.accent}; }}
    QRadioButton::indicator:disabled, QCheckBox::indicator:disabled {{ border-color: {of.line}; }}
    QListWidget#photo_grid {{ background: {of.canvas}; border: none; }}
    QListWidget#camera_list, QLineEdit, QAbstractSpinBox {{
        background: {of.card}; border: 1px solid {of.line}; border-radius: 4px; }}
    QLineEdit {{ padding: 2px 4px; }}
    QAbstractSpinBox QLineEdit {{ border: none; padding: 0; }}
    QLineEdit:focus, QAbstractSpinBox:focus {{ border-color: {of.accent}; }}
    QScrollArea {{ border: none; }}
    """
