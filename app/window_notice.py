"""What went wrong, in the window rather than over it: a sentence, a hint, details folded away."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFrame, QPlainTextEdit, QVBoxLayout

from app.project_notice import Notice
from app.window_parts import button, label, row, set_role


class NoticeBar(QFrame):
    """Shows the newest notice until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "notice")
        self.message, self.hint = label(role="bad", name="notice_message"), label(name="notice_hint")
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setMaximumHeight(140)
        self.details.setAccessibleName("Details")
        self.more = button("&Details", self._toggle, tip="What the program wrote")
        self.copy = button("Cop&y", self._copy, tip="Copy all of it, for a report")
        self.dismiss = button("&Close", self.hide, tip="Close this notice (Esc)")
        self.dismiss.setShortcut(Qt.Key.Key_Escape)
        layout = QVBoxLayout(self)
        layout.addWidget(self.message)
        layout.addWidget(self.hint)
        layout.addWidget(self.details)
        layout.addLayout(row(self.more, self.copy, self.dismiss, stretch=True))
        self.hide()

    def tell(self, notice: Notice) -> None:
        """Show a notice in place of the one before."""
        self.message.setText(notice.message)
        set_role(self, "notice" if notice.is_error else "card")
        set_role(self.message, "bad" if notice.is_error else "heading")
        self.hint.setText(notice.hint)
        self.hint.setVisible(bool(notice.hint))
        self.details.setPlainText(notice.details)
        self.details.hide()
        self.more.setVisible(bool(notice.details))
        self.copy.setVisible(bool(notice.details))
        self.show()

    def _toggle(self) -> None:
        self.details.setVisible(not self.details.isVisible())

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText("\n".join([self.message.text(), self.hint.text(), self.details.toPlainText()]))
