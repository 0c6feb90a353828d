"""A file that shows the fit while it runs: whole at any time, replaced now and then."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recon.errors import ReconError
from splatting.formats.ply import write_ply
from splatting.gaussians import Gaussians

EVERY_S = 2.0
MAX_SHARE = 0.03  # of the time of the fit; on a slow disk the file comes less often


def check_preview_file(path: Path) -> None:
    """Raise ReconError unless a preview can stand there: a PLY, in a folder that exists."""
    if path.suffix.lower() != ".ply" or path.is_dir():
        raise ReconError(f"The preview {path} is no name of a PLY file.", "Name a file that ends in .ply.")
    if not path.parent.is_dir():
        raise ReconError(f"The preview's folder {path.parent} does not exist.", "Make it, or name another place.")


class PreviewFile:
    """Writes the Gaussians to a 3DGS PLY without view-dependent colour; call it after every step of `splatting.fit`."""

    def __init__(
        self, path: Path, place: Callable[[Gaussians], Gaussians], now: Callable[[], float] = time.monotonic
    ) -> None:
        """The first call writes; `place` moves Gaussians to the project's frame, `now` gives seconds."""
        self._path, self._place = path, place
        self._now = now
        self._next = now()

    def __call__(self, step: int, current: Callable[[], Gaussians]) -> None:
        """Write what `current()` gives, if it is time to."""
        started = self._now()
        if started < self._next:
            return
        gaussians = current()
        write_ply(self._place(replace(gaussians, sh=gaussians.sh[:, :1])), self._path)
        ended = self._now()
        self._next = ended + max(EVERY_S, (ended - started) / MAX_SHARE)
