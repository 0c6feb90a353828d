"""The size that is told of an export against that of the files written, for finished projects.

Run: python -m tests.bench.bench_export_sizes PROJECT...
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from recon.errors import ReconError
from recon.export import EXPORTERS, export
from recon.export_sizes import export_size


def main() -> None:
    """Print told over written for each project and format, and the CPU seconds of telling."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projects", nargs="+", type=Path)
    projects = parser.parse_args().projects
    torch.set_num_threads(1)
    shares: dict[str, list[float]] = {}
    for project in projects:
        for format in EXPORTERS:
            try:
                written = _written(project, format)
                start = time.process_time()
                share = export_size(project, format) / written
            except ReconError as error:
                print(f"{project.name:24} {format:15} {error.message}")
                continue
            shares.setdefault(format, []).append(share)
            print(
                f"{project.name:24} {format:15} {share:.3f} of {written:,} bytes, {time.process_time() - start:.2f} s"
            )
    for format, found in shares.items():
        print(f"{format:15} {min(found):.3f} to {max(found):.3f} of {len(found)} projects")


def _written(project: Path, format: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        export(project, format, Path(folder) / EXPORTERS[format].default_name)
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
