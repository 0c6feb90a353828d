"""The command line on a tether: it ends with the process that started it, even a killed one, and gives way to it.

`python -m app.tethered reconstruct ...` is `python -m app reconstruct ...`, which writes whole files only, so that
nothing is lost. Elsewhere than on Linux the first line written to the closed pipe ends it.
"""

import ctypes
import os
import signal
import sys

from app.__main__ import main

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
NICENESS = 5  # the window, and whatever else its user does, comes first


def tie_to_parent() -> None:
    """Have the system kill this process when its parent has ended; a stopped process hears no milder signal."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def give_way() -> None:
    """Take only the processor time that nobody else wants."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


if __name__ == "__main__":
    tie_to_parent()
    give_way()
    main()
