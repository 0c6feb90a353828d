"""Details beside the build: how good, how long, how far."""

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QRadioButton, QVBoxLayout, QWidget

from app.progress_display import duration
from app.project_model import ProjectModel
from app.project_steps import STAGE_TITLES
from app.run_estimate import PRESET_WORK, estimate, told
from app.window_bar import Bar
from app.window_parts import button, label, rule, set_role
from app.window_photo_panel import why_not
from recon.progress import STAGES

PRESETS = {
    "draft": ("&Draft", "To see whether it works."),
    "standard": ("&Standard", "For most uses."),
    "best": ("&Best", "Finer and larger; for a result to keep."),
}
DEVICES = {"cpu": "Built without a graphics card", "cuda": "Built on the graphics card"}
MARKS = {"waiting": "○", "running": "◐", "done": "✓", "unchanged": "✓"}


class BuildPanel(QWidget):
    """Choices before a run, how far it is while it lasts, what it cost after it; `next_wanted` to go on and save."""

    next_wanted = pyqtSignal()

    def __init__(self, model: ProjectModel, pace: float = 1.0) -> None:
        super().__init__()
        self._model = model
        self.pace = pace
        layout = QVBoxLayout(self)
        layout.addWidget(label("Quality", "heading"))
        group = QButtonGroup(self)
        self.presets: dict[str, QRadioButton] = {}
        self.estimates = {name: label(role="faint") for name in PRESETS}
        for name, (title, advice) in PRESETS.items():
            made = QRadioButton(title)
            made.setToolTip(advice)
            made.setObjectName(f"preset_{name}")
            made.toggled.connect(lambda is_on, name=name: self._choose(name, is_on))
            group.addButton(made)
            layout.addWidget(made)
            self.estimates[name].setContentsMargins(24, 0, 0, 6)
            layout.addWidget(self.estimates[name])
            self.presets[name] = made
        self.holdout = QCheckBox("&Measure on a photo kept aside")
        self.holdout.setToolTip("One photo is not built from; the result is compared with it. Needs four photos.")
        self.holdout.toggled.connect(model.set_holdout)
        self.careful = QCheckBox("&Compare photos more carefully")
        self.careful.setToolTip("A slower matcher that finds more where photos differ much")
        self.careful.toggled.connect(lambda is_on: model.set_matcher("quality" if is_on else None))
        tip = "Build splats and mesh; finished stages are not run again (Ctrl+B)"
        self.build = button("B&uild", model.build, tip=tip, role="primary", name="build")
        self.why = label(role="faint")
        for part in (self.holdout, self.careful, self.build, self.why, rule()):
            layout.addWidget(part)
        layout.addLayout(self._stages())
        self.outcome = label(role="faint")
        self.next = button("Sa&ve …", self.next_wanted.emit, tip="Go on to step 4", role="primary")
        layout.addWidget(self.outcome)
        layout.addWidget(self.next)
        layout.addStretch(1)
        for signal in (model.photos_changed, model.settings_changed, model.run_changed, model.report_changed):
            signal.connect(self._show)
        self._show()

    def _choose(self, preset: str, is_on: bool) -> None:
        if is_on:
            self._model.set_preset(preset)

    def _stages(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        self.marks, self.bars, self.times = {}, {}, {}
        for index, stage in enumerate(STAGES):
            self.marks[stage] = label("○")
            bar = self.bars[stage] = Bar(STAGE_TITLES[stage], height=4)
            self.times[stage] = label(role="faint")
            grid.addWidget(self.marks[stage], 2 * index, 0)
            grid.addWidget(label(STAGE_TITLES[stage]), 2 * index, 1)
            grid.addWidget(self.times[stage], 2 * index, 2)
            grid.addWidget(bar, 2 * index + 1, 1, 1, 2)
        return grid

    def _show(self) -> None:
        model, is_idle = self._model, self._model.phase == "idle"
        count = len(model.used_photos)
        for name, made in self.presets.items():
            made.setChecked(name == model.preset)
            made.setEnabled(is_idle)
            guessed = told(estimate(count, PRESET_WORK[name], pace=self.pace)) if count else "add photos first"
            self.estimates[name].setText(f"{PRESETS[name][1]} {guessed[0].upper()}{guessed[1:]}.")
        self.holdout.setChecked(model.has_holdout)
        self.holdout.setEnabled(is_idle and count > 3)
        self.careful.setChecked(model.matcher == "quality")
        self.careful.setEnabled(is_idle)
        self.build.setEnabled(model.can_run)
        is_built = model.has_scene and not model.is_stale
        self.build.setText("B&uild again" if is_built else "B&uild")
        set_role(self.build, "" if is_built else "primary")
        self.why.setText(why_not(model) if is_idle else "")
        self.why.setVisible(bool(self.why.text()))
        self._show_stages()
        self.outcome.setText(describe_outcome(model) if is_idle else "")
        self.outcome.setVisible(bool(self.outcome.text()))
        self.next.setVisible(is_idle and model.has_scene)

    def _show_stages(self) -> None:
        model = self._model
        costs = {stage.name: stage.seconds for stage in model.report.stages} if model.report else {}
        for name, stage in model.state.stages.items():
            # between runs the report says what was done
            is_done = not model.work.is_making_stages and name in costs
            status = "done" if is_done else stage.status
            self.marks[name].setText(MARKS[status])
            self.bars[name].set_share(1.0 if is_done else stage.fraction)
            self.bars[name].setVisible(status == "running")
            self.times[name].setText(duration(costs[name]) if is_done else "as before" * (status == "unchanged"))


def describe_outcome(model: ProjectModel) -> str:
    """What came of the last run, a line each."""
    if model.report is None:
        return ""
    totals, lines = model.report.totals, []
    if "num_gaussians" in totals:
        lines.append(f"{totals['num_gaussians']:,} splats" + _faces(totals.get("num_faces")))
    if model.report.heldout is not None and model.report.heldout.psnr is not None:
        quality = model.report.heldout
        lines.append(f"On the photo kept aside: {quality.psnr:.1f} dB, SSIM {quality.ssim:.3f}")
    if model.report.device is not None:
        lines.append(DEVICES.get(model.report.device.name, ""))
    warnings = () if model.has_other_photos else model.report.warnings  # they speak of photos that were left out
    return "\n".join([*filter(None, lines), *warnings])


def _faces(count: int | None) -> str:
    return "" if count is None else f", {count:,} triangles"
