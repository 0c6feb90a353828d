"""The strip along the bottom: how the run stands, how long it takes, pause, stop."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from app.project_model import ProjectModel
from app.project_model_work import Job
from app.project_steps import describe_run
from app.window_bar import Bar
from app.window_parts import button, label

HEIGHT = 46
_KEPT = "Finished stages are kept; Build goes on from there (Ctrl+.)"
STOP_TIPS: dict[Job, str] = {
    "cameras": _KEPT,
    "build": _KEPT,
    "mesh": "The mesh stays as it was (Ctrl+.)",
    "film": "No file is left of it (Ctrl+.)",
}


class RunStrip(QWidget):
    """A word, a bar, a sentence and two buttons."""

    def __init__(self, model: ProjectModel) -> None:
        super().__init__()
        self._model = model
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 6)
        self.setMinimumHeight(HEIGHT)  # that of its buttons, which come and go
        self.word = label("Ready", "heading", name="run_word")
        self.word.setWordWrap(False)
        self.bar = Bar("Progress of the run", height=20, has_words=True)
        self.bar.setFixedWidth(260)
        self.sentence = label(role="faint", name="run_sentence")
        self.sentence.setWordWrap(False)
        self.sentence.setMinimumWidth(60)
        tip = "Hold the run still and let it go on; it keeps its memory (Ctrl+P)"
        self.pause = button("Pa&use", model.pause, tip=tip, name="pause")
        self.stop = button("S&top and keep", model.stop, name="stop")
        for part in (self.word, self.bar, self.sentence):
            layout.addWidget(part)
        layout.setStretchFactor(self.sentence, 1)
        layout.addWidget(self.pause, alignment=Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self.stop)
        model.run_changed.connect(self._show)
        model.report_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        model, is_running = self._model, self._model.phase != "idle"
        word, sentence = describe_run(model)
        self.word.setText(word)
        self.sentence.setText(sentence)
        self.sentence.setToolTip(sentence)
        self.bar.set_share(model.state.overall)
        self.bar.setVisible(is_running)
        self.pause.setVisible(is_running and model.run.can_pause)
        self.pause.setEnabled(model.phase in ("running", "paused"))
        self.pause.setText("&Resume" if model.phase == "paused" else "Pa&use")
        self.stop.setText("S&top and keep" if model.work.job in ("cameras", "build") else "S&top")
        self.stop.setToolTip(STOP_TIPS[model.work.job])
        self.stop.setVisible(is_running)
        self.stop.setEnabled(model.phase in ("running", "paused"))
