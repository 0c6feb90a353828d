"""The whole way through the window with the real command line; pictures and measurements stay in out/window."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trimesh

try:
    from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
    from PyQt6.QtGui import QDropEvent, QGuiApplication
    from PyQt6.QtWidgets import QApplication

    from app.project_model import ProjectModel
    from app.torch_loading import load_torch
    from app.window import MainWindow
    from app.window_settings import WindowSettings
    from tests.app.heartbeat import Gap, Heartbeat, told_gaps
    from tests.app.waiting import wait_until
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

from assets import SAMPLES

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "out" / "window"
# As small as a scene can be: the way is tested, not the scene.
TINY = (
    *("--working-side-px", "256", "--matching.max-side-px", "512", "--matching.max-keypoints", "1024"),
    *("--initialise.num-gaussians", "20000", "--fit.num-iterations", "150"),
)
PHOTOS = [SAMPLES / "banana" / f"DSC_042{number}.jpg" for number in (4, 5, 6, 7)]
# What the window itself may compute at a stretch. The clock on the wall says more about what else this machine does.
MAX_BUSY_S = 0.1

# A window that builds and tells which stage runs, to be killed.
VICTIM = """import sys
from pathlib import Path
from PyQt6.QtWidgets import QApplication
from app.project_model import ProjectModel
from app.window import MainWindow
from app.window_settings import WindowSettings
home, extra, photos = Path(sys.argv[1]), sys.argv[2].split(), [Path(name) for name in sys.argv[3:]]
application = QApplication(["victim"])
window = MainWindow(settings=WindowSettings(home / "victim.ini"), model=ProjectModel(home=home, extra=extra))
window.add_photos(photos)
window.model.run.progressed.connect(lambda event: print(event["stage"], window.model.run.process_id, flush=True))
window.build()
application.exec()
"""


class Journey:
    """A window and what a user does with it."""

    def __init__(self, home: Path) -> None:
        self.heartbeat = Heartbeat()
        model = ProjectModel(home=home, extra=TINY)
        self.window = MainWindow(settings=WindowSettings(home / "settings.ini"), model=model)
        self.window.show()
        self.window.load_samples()
        self.model = model
        self.num_pictures = 0

    def wait(self, claim: Callable[[], bool], timeout_s: float = 240) -> None:
        wait_until(claim, round(1000 * timeout_s))

    def picture(self, name: str) -> None:
        """Keep a screenshot."""
        self.num_pictures += 1
        self.heartbeat.pause()
        KEPT.mkdir(parents=True, exist_ok=True)
        assert self.window.grab().save(str(KEPT / f"{self.num_pictures:02}_{name}.png"))
        self.heartbeat.go_on()

    def drop(self, *paths: Path) -> None:
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.window.dropEvent(QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, left, none))


@pytest.fixture
def journey(application: QApplication, tmp_path: Path) -> Iterator[Journey]:
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("no OpenGL without a display: install Xvfb")
    load_torch()
    made = Journey(tmp_path)
    yield made
    made.heartbeat.stop()
    made.window.close()


@pytest.mark.slow
@pytest.mark.weights
def test_from_dropped_photos_to_a_saved_mesh(journey: Journey, tmp_path: Path) -> None:
    window, model = journey.window, journey.model
    journey.wait(window.isVisible)
    journey.picture("empty")
    journey.drop(*PHOTOS)
    journey.wait(lambda: all(photo.inspected for photo in model.photos))
    journey.picture("photos")
    window.photo_panel.next.click()
    journey.wait(lambda: model.phase == "idle")
    assert model.has_cameras
    journey.wait(lambda: bool(window.view.viewport.modes))
    journey.picture("cameras")
    window.camera_panel.list.item(0).setSelected(True)
    window.camera_panel.list.item(1).setSelected(True)
    journey.wait(lambda: window.pair.pair is not None)
    assert window.center.currentWidget() is window.pair
    pair = next(pair for pair in model.report.pairs if {pair.a, pair.b} == {PHOTOS[0].name, PHOTOS[1].name})
    assert window.pair.pair.num_matches == pair.num_inliers
    journey.picture("matches")
    window.camera_panel.next.click()
    window.build_panel.presets["draft"].click()
    previews: list[Path] = []
    model.previewed.connect(previews.append)
    journey.heartbeat.gaps.clear()
    window.build_panel.build.click()
    journey.wait(lambda: bool(previews) and model.state.stages["splats"].fraction > 0.5)
    journey.picture("building")
    journey.wait(lambda: model.phase == "idle")
    gaps = journey.heartbeat.gaps[:]
    assert [photo.placed for photo in model.report.photos] == [True] * 4
    journey.wait(lambda: "mesh" in window.view.viewport.modes)
    journey.picture("built")
    window.build_panel.next.click()
    journey.wait(lambda: bool(window.save_panel._purposes))
    game = next(each for each in window.save_panel._group.buttons() if "Blender" in each.text())
    game.click()
    window.save_panel.save_as(tmp_path / "banana.glb")
    journey.wait(lambda: window.save_panel.outcome.text().startswith("Saved"))
    journey.picture("saved")
    mesh = trimesh.load(tmp_path / "banana.glb").to_geometry()
    assert len(mesh.faces) == model.report.totals["num_faces"] > 500
    _tell(gaps)
    assert max(gap.busy_s for gap in gaps) < MAX_BUSY_S


@pytest.mark.slow
@pytest.mark.weights
def test_a_window_killed_in_the_middle_of_a_build_loses_no_finished_stage(journey: Journey, tmp_path: Path) -> None:
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", VICTIM, str(tmp_path), " ".join(TINY), *map(str, PHOTOS)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        line = next(line for line in victim.stdout if line.startswith("points"))
        victim.kill()
    child = int(line.split()[1])
    if sys.platform.startswith("linux"):
        journey.wait(lambda: not _is_alive(child), timeout_s=10)
    folder = tmp_path / "banana"
    window, model = journey.window, journey.model
    window.open_project(folder)
    assert [photo.path for photo in model.photos] == PHOTOS
    window.build()
    journey.wait(lambda: model.phase == "idle")
    resumed = {stage.name: stage.resumed for stage in model.report.stages}
    assert resumed["matches"]
    assert resumed["cameras"]
    assert not resumed["splats"]
    assert model.has_scene


def _is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _tell(gaps: list[Gap]) -> None:
    """Keep what was measured."""
    load = f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    (KEPT / "gaps.txt").write_text("\n".join([*told_gaps(gaps), load]) + "\n")
