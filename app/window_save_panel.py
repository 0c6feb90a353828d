"""Details beside saving: what for, in which format, how large."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QShowEvent
from PyQt6.QtWidgets import QButtonGroup, QComboBox, QFileDialog, QRadioButton, QVBoxLayout, QWidget

from app.project_model import ProjectModel
from app.project_notice import Notice
from app.save_purposes import Purpose, SaveFormat, offered_formats, purposes, told_size
from app.window_parts import button, label, rule
from app.window_saver import Saver
from recon.errors import ReconError
from recon.export_sizes import export_size


class SavePanel(QWidget):
    """A purpose, a format, a file; `format_chosen` tells the `SaveFormat`."""

    format_chosen = pyqtSignal(object)

    def __init__(self, model: ProjectModel) -> None:
        super().__init__()
        self._model = model
        self.saver = Saver(self)
        self._written: Path | None = None
        self._purposes: list[Purpose] = []
        self._sizes: dict[str, int | None] = {}  # by format; None while it is being found out
        layout = QVBoxLayout(self)
        layout.addWidget(label("What for?", "heading"))
        self._group = QButtonGroup(self)
        self._group.idToggled.connect(self._toggled)
        self._choices = QVBoxLayout()
        layout.addLayout(self._choices)
        self.advice = label(role="faint")
        self.format = QComboBox()
        self.format.setAccessibleName("Format")
        self.format.setToolTip("The first one serves most")
        self.size_told = label(role="faint")
        self.format.currentIndexChanged.connect(lambda _: self._measure())
        self.format.currentIndexChanged.connect(lambda _: self._show())
        self.format.currentIndexChanged.connect(lambda _: self._tell_chosen())
        self.save = button("&Save …", self._ask, tip="Choose a file (Ctrl+S)", role="primary", name="save")
        self.outcome = label(role="good")
        self.show_folder = button("Show in &folder", self._show_in_folder, tip="Open the folder that it lies in")
        report = button("&Report", self._open_report, tip="Open the page with all pictures and numbers of this project")
        folder = button("Pro&ject folder", self._open_folder, tip="Open the folder with everything, in open formats")
        for part in (self.advice, self.format, self.size_told, self.save, self.outcome, self.show_folder, rule()):
            layout.addWidget(part)
        layout.addWidget(report)
        layout.addWidget(folder)
        layout.addStretch(1)
        self.saver.saved.connect(self._tell_saved)
        self.saver.failed.connect(lambda *texts: model.noticed.emit(Notice(*texts)))
        self.saver.changed.connect(self._show)
        model.run_changed.connect(self._show)
        model.report_changed.connect(self._forget_sizes)
        model.result_written.connect(lambda _: self._forget_sizes())
        model.opened.connect(self._forget)
        self._forget()

    def load_formats(self) -> None:
        """Ask what can be written, in a thread; once."""
        if not self._purposes:
            self._model.tasks.start(offered_formats, self.show_formats)

    def show_formats(self, offered: Sequence[str]) -> None:
        """Offer the purposes that these formats serve."""
        if self._purposes:
            return
        self._purposes = purposes(offered)
        for index, purpose in enumerate(self._purposes):
            made = QRadioButton(purpose.title)
            made.setToolTip(purpose.advice)
            self._group.addButton(made, index)
            self._choices.addWidget(made)
        first = self._group.button(0)
        assert first is not None
        first.setChecked(True)

    def save_as(self, destination: Path, *, may_replace: bool = False) -> None:
        """Write the chosen format to a file, over another one only if that is agreed."""
        chosen = self._format()
        if chosen is not None and self._model.folder is not None and not self.saver.is_running:
            self.outcome.setText("")
            self.saver.start(self._model.folder, chosen.key, destination, may_replace=may_replace)

    def _format(self) -> SaveFormat | None:
        chosen: SaveFormat | None = self.format.currentData()
        return chosen

    def _toggled(self, index: int, is_on: bool) -> None:
        if is_on:
            self._choose_purpose()

    def _measure(self) -> None:
        """Find out in the worker how large the chosen format will be, unless that is known."""
        chosen, folder = self._format(), self._model.folder
        if chosen is None or folder is None or chosen.key in self._sizes or not self._is_shown():
            return
        key, sizes = chosen.key, self._sizes
        sizes[key] = None

        def show(size: int) -> None:
            sizes[key] = size  # of the project that was open then
            self._show()

        def fail(error: Exception) -> None:
            if not isinstance(error, ReconError):
                raise error  # what it lacks is told when it is saved

        self._model.tasks.start(partial(export_size, folder, key), show, fail)

    def _is_shown(self) -> bool:
        return self._model.has_scene and self.isVisible()

    def _forget_sizes(self) -> None:
        self._sizes = {}
        self._measure()
        self._show()

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._measure()
        self._tell_chosen()

    def _tell_chosen(self) -> None:
        if self.isVisible() and (chosen := self._format()) is not None:
            self.format_chosen.emit(chosen)

    def _choose_purpose(self) -> None:
        purpose = self._purposes[self._group.checkedId()]
        self.advice.setText(purpose.advice)
        self.format.clear()
        for item in purpose.formats:
            self.format.addItem(item.label[0].upper() + item.label[1:], item)
        self.format.setVisible(len(purpose.formats) > 1)

    def _show(self) -> None:
        model, chosen = self._model, self._format()
        is_ready = model.has_scene and chosen is not None and not self.saver.is_running
        self.save.setEnabled(is_ready)
        self.save.setText("Saving …" if self.saver.is_running else "&Save …")
        told = [chosen.label[0].upper() + chosen.label[1:]] if chosen is not None and self.format.isHidden() else []
        size = "" if chosen is None else told_size(self._sizes.get(chosen.key))
        self.size_told.setText(", ".join([*told, *filter(None, [size])]))
        self.show_folder.setVisible(self._written is not None)
        self.outcome.setVisible(bool(self.outcome.text()))

    def _forget(self) -> None:
        self._sizes = {}
        self._written = None
        self.outcome.setText("")
        self._show()

    def _ask(self) -> None:
        chosen, folder = self._format(), self._model.folder
        if chosen is None or folder is None:
            return
        proposed = folder.parent / f"{folder.name}{chosen.suffix}"
        if chosen.suffix:
            name, _ = QFileDialog.getSaveFileName(self, "Save", str(proposed), f"{chosen.label} (*{chosen.suffix})")
        else:
            name, _ = QFileDialog.getSaveFileName(self, "Save as a folder", f"{proposed}-{chosen.key}")
        if name:
            path = Path(name)
            is_named = not chosen.suffix or path.name.endswith(chosen.suffix)
            # The dialog asked about the name as it was typed.
            self.save_as(path if is_named else path.with_name(path.name + chosen.suffix), may_replace=is_named)

    def _tell_saved(self, path: Path) -> None:
        self._written = path
        files = path.rglob("*") if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files if file.is_file())
        self.outcome.setText(f"Saved: {path}\n{told_size(size).removeprefix('about ')}")
        self._show()

    def _show_in_folder(self) -> None:
        if self._written is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.parent)))

    def _open_report(self) -> None:
        if self._model.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._model.folder / "report.html")))

    def _open_folder(self) -> None:
        if self._model.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._model.folder)))
