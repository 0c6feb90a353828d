"""Every splat format: written by us, read by us and by programs that are not ours.

Prints one table: how far what was read is from what was written, the size and the CPU seconds. The Gaussians are
random, so that nothing can be shared between them. Independent readers are used where they are found, and named where
not:

- gaussforge: the Python package;
- gsply: the Python package, or one in another environment whose interpreter `GSPLY_PYTHON` names;
- splat-transform: the program of PlayCanvas; `SPLAT_TRANSFORM` names its `cli.mjs`, run with node.

Run: python -m tests.bench.bench_formats [--gaussians N]
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from splatting.formats import FORMATS
from splatting.formats.frames import half_turn
from splatting.formats.ply import read_ply, write_ply
from splatting.formats.spz import write_spz
from splatting.gaussians import Gaussians
from splatting.transforms import transformed
from tests.splat_files import Errors, errors, random_gaussians, stored_order

# A reader makes a PLY of a file: `reader(file, its suffix, ply)`.
Reader = Callable[[Path, str, Path], None]

GSPLY = """
import sys, gsply
read = {".spz": gsply.read_spz, ".sog": getattr(gsply, "sogread", None)}.get(sys.argv[2], gsply.plyread)
gsply.plywrite(sys.argv[3], read(sys.argv[1]))
"""
VERSIONS: tuple[Literal[3, 4], ...] = (3, 4)
READABLE = {
    "gaussforge": (".ply", ".compressed.ply", ".splat", ".spz", ".sog"),
    "gsply": (".ply", ".compressed.ply", ".spz", ".sog"),
    "splat-transform": (".ply", ".compressed.ply", ".splat", ".spz", ".sog"),
}


def by_gaussforge(file: Path, suffix: str, ply: Path) -> None:
    """Read with gaussforge."""
    import gaussforge

    made = gaussforge.GaussForge().convert(file.read_bytes(), suffix[1:], "ply")
    if "data" not in made:
        raise RuntimeError(str(made.get("error")))
    ply.write_bytes(made["data"])


def by_gsply(file: Path, suffix: str, ply: Path) -> None:
    """Read with gsply."""
    python = os.environ.get("GSPLY_PYTHON", sys.executable)
    _run([python, "-c", GSPLY, str(file), suffix, str(ply)])


def by_splat_transform(file: Path, suffix: str, ply: Path) -> None:
    """Read with splat-transform, which hands out SPZ in the world of a PLY: y down."""
    _run(["node", os.environ["SPLAT_TRANSFORM"], "-q", "-w", str(file), str(ply)])
    if suffix == ".spz":
        write_ply(half_turn(read_ply(ply)), ply)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit code {done.returncode}")


def independent_readers() -> tuple[dict[str, Reader], list[str]]:
    """The readers that are here, and the names of those that are not."""
    readers: dict[str, tuple[Reader, bool]] = {
        "gaussforge": (by_gaussforge, importlib.util.find_spec("gaussforge") is not None),
        "gsply": (by_gsply, "GSPLY_PYTHON" in os.environ or importlib.util.find_spec("gsply") is not None),
        "splat-transform": (by_splat_transform, "SPLAT_TRANSFORM" in os.environ and bool(shutil.which("node"))),
    }
    here = {name: reader for name, (reader, is_here) in readers.items() if is_here}
    return here, [name for name in readers if name not in here]


def cases() -> Iterator[tuple[str, str, Callable[[Gaussians, Path], None]]]:
    """What is written: a label, the suffix, the writer."""
    for suffix, splat_format in FORMATS.items():
        if suffix == ".spz":
            for version in VERSIONS:
                yield f"SPZ {version}", suffix, partial(write_spz, version=version)
            yield "SPZ 4, harmonics of 5 bits", suffix, partial(write_spz, sh_bits=5)
        else:
            yield splat_format.label, suffix, splat_format.write


def rows(n: int, folder: Path, readers: dict[str, Reader]) -> Iterator[str]:
    """A row of the table for each format and reader."""
    gaussians = random_gaussians(n)
    for label, suffix, write in cases():
        file = folder / f"scene{suffix}"
        written_s = _cpu_seconds(partial(write, gaussians, file))
        expected = gaussians.select(stored_order(suffix, gaussians))
        read: list[Gaussians] = []
        read_s = _cpu_seconds(lambda: read.append(FORMATS[suffix].read(file)))  # noqa: B023 - called at once
        head = f"{label} | {file.stat().st_size / 1e3:,.0f} | {written_s:.2f} | {read_s:.2f}"
        yield _row(head, "ours", errors(expected, read[0]))
        for name, reader in readers.items():
            if suffix in READABLE[name]:
                ply = folder / f"{name}{suffix}.ply"
                try:
                    with _silenced():
                        reader(file, suffix, ply)
                except RuntimeError as error:
                    yield f"| {label} | | | | {name} | could not: {str(error).split(' (')[0]} | | | | | |"
                    continue
                yield _row(f"{label} | | |", name, errors(expected, read_ply(ply)))
    if "splat-transform" in readers:
        yield _their_glb(gaussians, folder)


def _their_glb(gaussians: Gaussians, folder: Path) -> str:
    """No other program reads these files, but one writes them: its file, read by us."""
    source, made = folder / "scene.ply", folder / "theirs.glb"
    _run(["node", os.environ["SPLAT_TRANSFORM"], "-q", "-w", str(source), str(made)])
    turned = _about_z(gaussians)
    head = f"glTF of splat-transform | {made.stat().st_size / 1e3:,.0f} | | "
    return _row(head, "ours", errors(turned, FORMATS[".glb"].read(made)))


def _about_z(gaussians: Gaussians) -> Gaussians:
    """As splat-transform turns a PLY: by 180 degrees about z."""
    return transformed(gaussians, 1.0, np.diag([-1.0, -1.0, 1.0]), np.zeros(3))


def _row(head: str, reader: str, found: Errors) -> str:
    numbers = [found.xyz, found.log_scale, found.rotation_deg, found.opacity, found.dc, found.sh]
    cells = ["–" if value != value else "0" if value == 0 else f"{value:.2g}" for value in numbers]
    return f"| {head} | {reader} | {' | '.join(cells)} |"


def _cpu_seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Standard output to nowhere, that of C++ too, where some readers talk."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=10_000)
    count = parser.parse_args().gaussians
    readers, absent = independent_readers()
    torch.set_num_threads(2)
    print(f"{count:,} random Gaussians, harmonics of degree 3 with a spread of 0.088; torch {torch.__version__}")
    print(f"independent readers: {', '.join(readers) or 'none'}; absent: {', '.join(absent) or 'none'}\n")
    print(
        "| format | kB | CPU s to write | to read | read by | xyz | log-scale | rotation ° | opacity | dc | SH rmse |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(count, Path(folder), readers):
            print(row, flush=True)


if __name__ == "__main__":
    main()
