"""A headless Chromium with WebGL2 in software, spoken to through a pair of pipes."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-sandbox",  # tests often run as root, where its sandbox does not start
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--hide-scrollbars",
)


def find_browser() -> str | None:
    """Path of a Chromium, None if this machine has none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser with one page; `with Browser(width, height) as browser`."""

    def __init__(self, width: int, height: int, *, timeout_s: float = 60.0) -> None:
        executable = find_browser()
        assert executable is not None
        self.size, self.timeout_s = (width, height), timeout_s
        self.profile = tempfile.TemporaryDirectory(prefix="handful-browser-", ignore_cleanup_errors=True)
        commands_in, self._commands = os.pipe()
        self._answers, answers_out = os.pipe()
        # The browser reads commands from descriptor 3 and answers on 4. Out of their way first, so that neither dup2
        # closes the other's source.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands_in, answers_out)]
        self._process = subprocess.Popen(
            [
                executable,
                *FLAGS,
                f"--user-data-dir={self.profile.name}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            preexec_fn=lambda: (os.dup2(ends[0], 3), os.dup2(ends[1], 4)),
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (commands_in, answers_out, *ends):
            os.close(end)
        self._buffer, self._last_id, self._session = b"", 0, None
        self.logged: list[str] = []
        self.requested: list[str] = []

    def __enter__(self) -> "Browser":
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.resize(*self.size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        try:
            self.send("Browser.close")
            self._process.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._commands), os.close(self._answers)
        self.profile.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and wait for its answer."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.timeout_s
        while True:
            answer = self._next_message(deadline)
            if answer.get("id") == self._last_id:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def _next_message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready = select([self._answers], [], [], max(0, deadline - time.monotonic()))[0]
            received = os.read(self._answers, 1 << 20) if ready else b""
            assert received, "the browser does not answer" if not ready else "the browser has ended"
            self._buffer += received
        first, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(first)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.logged.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            self.logged.append(json.dumps(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            self.logged.append(parameters["entry"]["text"])

    def resize(self, width: int, height: int, *, scale: float = 1, is_phone: bool = False) -> None:
        """Give the page's window another size in CSS pixels, and its screen `scale` pixels to one."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_phone
        )

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until its page says that it shows the scene."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=path.resolve().as_uri() + fragment)
        deadline = time.monotonic() + self.timeout_s
        while not self.evaluate("Boolean(window.handful) || document.getElementById('message')?.hidden === false"):
            assert time.monotonic() < deadline, f"the page does not start: {self.logged}"
            time.sleep(0.05)
        self.evaluate("window.handful?.settled()")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression, awaited if it is a promise."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button in five steps."""
        (x0, y0), (x1, y1) = start, end
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=x0, y=y0, button="left", buttons=1, clickCount=1)
        for step in range(1, 6):
            x, y = x0 + (x1 - x0) * step / 5, y0 + (y1 - y0) * step / 5
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x1, y=y1, button="left", buttons=0)
        self._wait_for_input()

    def turn_wheel(self, x: float, y: float, *, notches: int) -> None:
        """Turn the wheel towards the user."""
        for _ in range(notches):
            self.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=120)
        self._wait_for_input()

    def double_click(self, x: float, y: float) -> None:
        """Click twice at the same place."""
        for count in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)
        self._wait_for_input()

    def pinch(self, middle: tuple[float, float], start: float, end: float) -> None:
        """Move two fingers, side by side, from one distance to another."""
        (x, y), fingers = middle, ((0, -0.5), (1, 0.5))
        for kind, apart in (("touchStart", start), ("touchMove", (start + end) / 2), ("touchMove", end)):
            points = [{"id": finger, "x": x + side * apart, "y": y} for finger, side in fingers]
            self.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self._wait_for_input()

    def press(self, code: str, key: str) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, code=code, key=key)
        self._wait_for_input()

    def _wait_for_input(self) -> None:
        """Until the page has heard: a command may otherwise overtake a key."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def screenshot(self) -> bytes:
        """What the page looks like, PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
