"""Record the whole way through the window as pictures, with the real command line behind it.

    xvfb-run -a -s "-screen 0 1280x800x24" python -m tests.bench.record_window -o out/record [--dark]
    xvfb-run -a -s "-screen 0 2560x1600x24" python -m tests.bench.record_window -o out/record_200 --scale 2

Six photos of one thing and one of another are dropped; the one that cannot be placed is left out; a draft is built,
cleaned and saved. Beside the pictures lies what the window's thread computed and how long it did not answer.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from assets import SAMPLES

PHOTOS = sorted((SAMPLES / "banana").glob("*.jpg"))
STRANGER = SAMPLES / "tankard" / "IMG_9676.jpg"
WINDOW = 1280, 800
DARK_GREY = "#323232"  # Qt makes a whole palette of it


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of the screen in one of the window's")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--dark", action="store_true", help="as on a dark desktop")
    parser.add_argument("--home", type=Path, help="where the project is kept; else it is thrown away")
    asked = parser.parse_args()
    os.environ["QT_SCALE_FACTOR"] = str(asked.scale)
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        Recording(asked.out, asked.home or Path(made), is_dark=asked.dark).run(asked.preset)


class Recording:
    """A window, a user who has never seen it, and a camera."""

    def __init__(self, out: Path, home: Path, *, is_dark: bool) -> None:
        from PyQt6.QtGui import QColor, QPalette
        from PyQt6.QtWidgets import QApplication

        self.application = QApplication(sys.argv[:1])
        self.application.setStyle("Fusion")
        if is_dark:
            self.application.setPalette(QPalette(QColor(DARK_GREY)))
        from app.project_model import ProjectModel
        from app.window import MainWindow
        from app.window_settings import WindowSettings
        from app.window_start import warm_up
        from tests.app.heartbeat import Heartbeat

        self.out, self.home, self.count, self.start_s = out, home, 0, time.perf_counter()
        self.heartbeat = Heartbeat()
        self.model = ProjectModel(home=home)
        self.window = MainWindow(settings=WindowSettings(home / "settings.ini"), model=self.model)
        self.window.resize(*WINDOW)
        self.window.move(0, 0)
        self.window.show()
        self.warming = warm_up(self.window)
        self.wait(self.window.isVisible)
        self.rest(1.0)

    def run(self, preset: str) -> None:
        """The whole way."""
        from tests.app.heartbeat import told_gaps

        window, model = self.window, self.model
        self.picture("empty")
        self.drop(*PHOTOS, STRANGER)
        self.wait(lambda: all(photo.inspected for photo in model.photos))
        self.picture("photos dropped")
        window.grid.setCurrentRow(len(PHOTOS))
        self.picture("a photo chosen")
        self.click(window.photo_panel.next)
        self.wait(lambda: model.state.overall > 0.02)
        self.picture("finding cameras")
        self.wait(lambda: model.phase == "idle")
        self.wait(lambda: bool(window.view.viewport.modes))
        self.rest(1.5)
        self.picture("cameras, one failed")
        window.camera_panel.list.setCurrentRow(0)
        self.rest(1.5)
        self.picture("looking through a camera")
        for row in (0, 1):
            window.camera_panel.list.item(row).setSelected(True)
        self.wait(lambda: window.pair.pair is not None)
        self.picture("matches of two photos")
        window.camera_panel.list.setCurrentRow(len(PHOTOS))
        self.rest(0.5)
        self.click(window.camera_panel.leave_out)
        self.rest(0.5)
        self.picture("one left out")
        button = window.camera_panel.next if window.camera_panel.next.isVisible() else window.camera_panel.find_button
        self.click(button)
        self.wait(lambda: model.phase == "idle")
        self.rest(1.0)
        self.picture("cameras of the others")
        window.go_to("build")
        self.rest(0.5)
        self.picture("before the build")
        self.click(window.build_panel.presets[preset])
        previews: list[Path] = []
        model.previewed.connect(previews.append)
        self.heartbeat.gaps.clear()
        start = time.perf_counter()
        self.click(window.build_panel.build)
        self.wait(lambda: bool(previews) and model.state.stages["splats"].fraction > 0.4)
        self.rest(1.0)
        self.picture("building with a preview")
        self.wait(lambda: model.phase == "idle")
        elapsed = time.perf_counter() - start
        gaps = self.heartbeat.gaps[:]
        load = f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        lines = [f"{preset} built in {elapsed:.0f} s, {load}", *told_gaps(gaps), *self._memory()]
        (self.out / "gaps.txt").write_text("\n".join(lines) + "\n")
        print("\n".join(lines), flush=True)
        self.wait(lambda: "mesh" in window.view.viewport.modes)
        self.rest(1.5)
        self.picture("built")
        window.go_to("clean")
        self.wait(lambda: not window.cleaning.model.busy_with)
        self.rest(2.0)
        self.picture("cleaning")
        panel = window.cleaning.panel
        panel.strength.setValue(60)
        self.rest(2.0)
        self.picture("likely floaters chosen")
        self.click(panel.delete)
        self.rest(2.0)
        self.picture("cleaned")
        window.go_to("save")
        self.wait(lambda: bool(window.save_panel._purposes))
        self.wait(lambda: not window.cleaning.is_writing)
        self.rest(2.0)
        self.picture("what to save for")
        self.click(next(each for each in window.save_panel._group.buttons() if "Blender" in each.text()))
        self.rest(0.3)
        window.save_panel.save_as(self.home / "banana.glb")
        self.wait(lambda: window.save_panel.outcome.text().startswith("Saved"))
        self.picture("saved")
        self.heartbeat.stop()
        self.warming.stop()
        window.close()

    # What a user does

    def click(self, widget: object) -> None:
        """Click with the mouse; what is not to be seen or disabled cannot be clicked."""
        from PyQt6.QtCore import QPoint, Qt
        from PyQt6.QtTest import QTest
        from PyQt6.QtWidgets import QAbstractButton

        assert isinstance(widget, QAbstractButton)
        assert widget.isVisible(), widget.text()
        assert widget.isEnabled(), widget.text()
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(12, widget.height() // 2))

    def drop(self, *paths: Path) -> None:
        """Drop files on the window."""
        from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
        from PyQt6.QtGui import QDropEvent

        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.window.dropEvent(QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, left, none))

    # The camera

    def wait(self, claim: Callable[[], bool], timeout_s: float = 600) -> None:
        """Let the window work until something holds."""
        from PyQt6.QtCore import QEventLoop, QTimer

        loop, poll, limit = QEventLoop(), QTimer(), QTimer()
        poll.timeout.connect(lambda: loop.quit() if claim() else None)
        limit.setSingleShot(True)
        limit.timeout.connect(loop.quit)
        poll.start(30)
        limit.start(round(1000 * timeout_s))
        loop.exec()
        assert claim(), self.window.notice.message.text()

    def rest(self, seconds: float) -> None:
        """Let the window work for a while."""
        end = time.perf_counter() + seconds
        self.wait(lambda: time.perf_counter() > end)

    def picture(self, name: str) -> None:
        """Keep a screenshot."""
        self.heartbeat.pause()
        self.count += 1
        path = self.out / f"{self.count:02}_{name.replace(',', '').replace(' ', '_')}.png"
        assert self.window.grab().save(str(path))
        self.heartbeat.go_on()

    def _memory(self) -> list[str]:
        status = Path("/proc/self/status")
        if not status.exists():
            return []
        return [line for line in status.read_text().splitlines() if line.startswith(("VmHWM", "VmRSS"))]


if __name__ == "__main__":
    main()
