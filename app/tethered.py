"""The command line on a tether: it ends with the process that started it, even when that is killed.

`python -m app.tethered reconstruct ...` is `python -m app reconstruct ...`, which writes whole files only, so that
nothing is lost. Elsewhere than on Linux the first line written to the closed pipe ends it.
"""

import ctypes
import signal
import sys

from app.__main__ import main

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def tie_to_parent() -> None:
    """Have the system kill this process when its parent has ended; a stopped process hears no milder signal."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    tie_to_parent()
    main()
