"""How many CPU threads the program takes: `HANDFUL_THREADS`, set once before torch loads."""

import os

from recon.errors import ReconError

VARIABLE = "HANDFUL_THREADS"
MAX_THREADS = 512
HELP = (
    f"The environment variable {VARIABLE} is the number of CPU threads of every command; without it, that of the cores."
)


def requested_threads() -> int | None:
    """What `HANDFUL_THREADS` asks for; None if it is not set.

    Raises:
        ReconError: it is not a whole number from 1 to 512.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_THREADS):
        raise ReconError(
            f"{VARIABLE} must be a whole number from 1 to {MAX_THREADS}, not '{text}'.",
            "Set it to the number of CPU threads to use, or unset it.",
        )
    return int(text)


def limit_threads() -> None:
    """Make torch, the BLAS and our kernels, which ask torch, take as many threads as `HANDFUL_THREADS` says.

    OpenMP reads its own variable when torch loads, so this must come before. Threads started later inherit it, which
    they would not from `torch.set_num_threads`.

    Raises:
        ReconError: the variable is not a whole number from 1 to 512.
    """
    threads = requested_threads()
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ["MKL_DYNAMIC"] = "FALSE"  # else torch takes no more than there are cores
