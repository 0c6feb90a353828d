"""Loading torch beside a window that answers: its largest library first, without Python's lock."""

import ctypes
import importlib.util
import os
import sys


def load_torch() -> None:
    """Import torch; call it in a worker.

    Python holds its lock while it opens an extension, libtorch takes a third of a second and more. A call through
    ctypes gives the lock up: measured, the longest pause of other threads falls from 280-900 ms to 140 ms.
    """
    if "torch" not in sys.modules and sys.platform.startswith("linux"):
        spec = importlib.util.find_spec("torch")
        places = spec.submodule_search_locations if spec is not None else None
        for place in places or ():
            open_library = ctypes.CDLL(None).dlopen
            open_library.restype = ctypes.c_void_p
            open_library.argtypes = [ctypes.c_char_p, ctypes.c_int]
            path = os.path.join(place, "lib", "libtorch_cpu.so")
            if os.path.exists(path):
                open_library(os.fsencode(path), os.RTLD_LAZY)
    import torch  # noqa: F401
