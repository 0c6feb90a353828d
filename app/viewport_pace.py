"""How many splats fit into a frame while the camera moves, judged by how long the last frames took as a whole."""

from statistics import median

FRAME_S = 0.04  # of a whole frame while the camera moves: 25 a second, so that a busy machine still reaches 15
FEWEST_SPLATS, FIRST_SPLATS = 8_000, 30_000
JUDGED_BY = 3  # frames; their median, as other programs stretch single ones
CALM = 0.75, 1.33  # changes within are not worth an unquiet picture
LARGEST_STEP = 2.0


class Pace:
    """Counts splats up and down; `count` is how many to draw in the next frame."""

    def __init__(self) -> None:
        self.count = FIRST_SPLATS
        self._frames_s: list[float] = []

    def learn(self, drawn: int, frame_s: float) -> None:
        """Take in how many splats a frame had and how long it took from its beginning until it was on the screen."""
        self._frames_s.append(frame_s)
        if len(self._frames_s) < JUDGED_BY:
            return
        factor = FRAME_S / max(median(self._frames_s), 1e-4)
        self._frames_s = []
        has_spare = drawn < 0.9 * self.count  # there were no more: that they were quick says nothing about more
        if not CALM[0] < factor < CALM[1] and not (has_spare and factor > 1):
            self.count = max(round(self.count * min(max(factor, 1 / LARGEST_STEP), LARGEST_STEP)), FEWEST_SPLATS)
