"""Where the program starts: `handful`, `handful-gui` and `python -m app`."""

import io
import os
import sys

# OpenMP reads this when torch loads it. Threads that spin while they wait cost others a core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    """Run the command line; leave with 0, 1 (a bug), 2 (bad input), 3 (some photos left out) or 130 (cancelled)."""
    from app.arguments import print_error
    from app.threads import limit_threads
    from recon.errors import ReconError, mendable_storage
    from recon.progress import Cancelled

    _print_any_name()
    try:
        limit_threads()
        with mendable_storage():
            exit_code = _with_logging(sys.argv[1:])
        sys.exit(exit_code)
    except ReconError as error:
        print_error(error.message, error.hint)
        sys.exit(2)
    except (Cancelled, KeyboardInterrupt):
        print_error("Cancelled.")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def main_gui() -> None:
    """Open the window; a launcher without a console starts here."""
    sys.argv[1:1] = ["gui"]
    main()


def _print_any_name() -> None:
    """Let stdout take every text: names whose bytes are no UTF-8 as they are, and anything where it knows less."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def _with_logging(arguments: list[str]) -> int:
    import logging

    from app.cli import run_command

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    return run_command(arguments)


if __name__ == "__main__":
    main()
