"""Measure meshes on scenes with true ones. Prints tables; goes on where an earlier run stopped.

    python -m tests.bench.bench_mesh SCENE... -o OUT --evaluator EVAL_MESH [--peer-python PYTHON] [--views 3 6 9]
        [--cameras true estimated] [--methods ours stereo peer]

Methods: `ours`, standard preset; `stereo`, the same without Gaussians, the verified stereo fused alone; `peer`,
pixelmap-multiview-python at its defaults, in an environment of its own (`--peer-python`), see `mesh_peer.py`. The peer
takes no cameras: where ours are true it is told the true focal length.

`--evaluator` is the program eval_mesh.py that comes with the ray-traced scenes. With true cameras ours is compared
as it lies; estimated cameras, and the peer's always, are aligned by a similarity, then by its trimmed ICP.
Lengths are percents of the object's diagonal, measured on the object where a photo sees it. CPU seconds count all
threads from photos to mesh; `mesh` is the last stage alone. Peak memory is that of the process that makes the mesh,
for the peer that of the whole.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recon.benchmark_scenes import BenchScene, choose_photos, read_scene
from recon.markdown import decimal, mean_of_present, table_header, table_line
from recon.row_files import load_rows, save_rows

METHODS, CAMERAS = ("ours", "stereo", "peer"), ("true", "estimated")
MEASURES = (
    "chamfer",
    "accuracy",
    "completeness",
    "fscore@1%",
    "fscore@2%",
    "precision@1%",
    "recall@1%",
    "precision@2%",
    "recall@2%",
    "normal_consistency",
)
COLUMNS = (
    "chamfer % | accuracy % | completeness % | F 1 % | F 2 % | precision 1 % | recall 1 % | precision 2 % | recall 2 %"
    " | normals | faces | CPU s | mesh CPU s | wall s | peak MB"
)


@dataclass(frozen=True)
class Row:
    """One mesh, measured; `numbers` is empty and `failure` says why where there is none."""

    scene: str
    views: int
    cameras: str
    method: str
    commit: str
    failure: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class Tools:
    """Where things are: results, evaluator, the peer's Python."""

    out: Path
    evaluator: Path
    peer_python: Path | None


@dataclass(frozen=True)
class Made:
    """A mesh, its cameras (None: it lies in the frame of the true ones) and what it cost."""

    mesh: Path
    cameras: Path | None
    costs: dict[str, float]


class FailedError(Exception):
    """A method gave no mesh; the message is its own."""


def run(command: Sequence[str | Path]) -> tuple[float, float, float]:
    """Run a program; wall and CPU seconds and peak MB.

    Raises:
        FailedError: it failed.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        errors = process.stderr.read().decode() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(errors.strip().splitlines()[-1] if errors.strip() else f"exit {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def make_ours(scene: BenchScene, photos: Sequence[Path], cameras: str, method: str, folder: Path) -> Made:
    """Our mesh; stages that both of our methods share run once."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "app",
        "reconstruct",
        *photos,
        "-o",
        folder,
        "--progress",
        "none",
    ]
    if cameras == "true":
        command += ["--cameras", scene.folder / "cameras.json"]
    if method == "stereo":
        command += ["--mesh.depth", "stereo"]
    run([*command, "--until", "splats"])
    _, _, peak_mb = run(command)
    stages = {stage["name"]: stage for stage in json.loads((folder / "report.json").read_text())["stages"]}
    used = [stage for name, stage in stages.items() if method == "ours" or name != "splats"]
    costs = {
        "cpu_s": sum(stage["cpu_seconds"] for stage in used),
        "mesh_cpu_s": stages["mesh"]["cpu_seconds"],
        "wall_s": sum(stage["seconds"] for stage in used),
        "peak_mb": peak_mb,
    }
    return Made(folder / "mesh.glb", None if cameras == "true" else folder / "cameras.json", costs)


def make_peer(scene: BenchScene, photos: Sequence[Path], cameras: str, folder: Path, python: Path) -> Made:
    """The peer's mesh."""
    focal = scene.truth[photos[0].name].camera.K[0, 0] if cameras == "true" else 0.0
    script = Path(__file__).with_name("mesh_peer.py")
    wall_s, cpu_s, peak_mb = run([python, script, folder, str(focal), *photos])
    return Made(folder / "mesh.ply", folder / "cameras.json", {"cpu_s": cpu_s, "wall_s": wall_s, "peak_mb": peak_mb})


def judge(made: Made, scene: BenchScene, num_views: int, evaluator: Path) -> dict[str, float]:
    """What the evaluator says of the object."""
    command = [sys.executable, evaluator, made.mesh, "--gt", scene.folder, "--split", str(num_views)]
    if made.cameras:
        command += ["--cameras", made.cameras]
    answer = subprocess.run([str(part) for part in command], capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    if "error" in found:
        raise FailedError(found["error"])
    return {name: found["object"][name] for name in MEASURES} | {"faces": found["mesh_faces"]} | made.costs


def measure(scene: BenchScene, num_views: int, cameras: str, method: str, tools: Tools) -> Row:
    """One row."""
    row = Row(scene.name, num_views, cameras, method, _commit(), "", {})
    photos = [scene.folder / path for path in choose_photos(scene, num_views)]
    cell = f"{scene.name}-{num_views}-{cameras}"
    try:
        if method == "peer":
            if tools.peer_python is None:
                raise SystemExit("the method peer needs --peer-python")
            made = make_peer(scene, photos, cameras, tools.out / f"{cell}-peer", tools.peer_python)
        else:
            made = make_ours(scene, photos, cameras, method, tools.out / cell)
        return replace(row, numbers=judge(made, scene, num_views, tools.evaluator))
    except FailedError as error:
        return replace(row, failure=str(error))


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def _numbers(numbers: dict[str, float | None]) -> list[str]:
    texts = [decimal(numbers.get(name), 3 if name == "chamfer" else 2) for name in MEASURES[:3]]
    texts += [decimal(numbers.get(name), 1) for name in MEASURES[3:-1]]
    texts += [decimal(numbers.get("normal_consistency"), 3)]
    return texts + [decimal(numbers.get(name), 0) for name in ("faces", "cpu_s", "mesh_cpu_s", "wall_s", "peak_mb")]


def tables(rows: Sequence[Row]) -> str:
    """All rows, and each method's mean over the cells in which every measured method has a row that did not fail."""
    rows = sorted(rows, key=lambda row: (row.cameras != "true", row.scene, row.views, METHODS.index(row.method)))
    lines = table_header(f"scene | views | cameras | method | {COLUMNS}")
    for row in rows:
        start = [row.scene, str(row.views), row.cameras, row.method]
        lines.append(table_line(start + ([f"no mesh: {row.failure}"] if row.failure else _numbers({**row.numbers}))))
    methods = [method for method in METHODS if any(row.method == method for row in rows)]
    cells = [{(row.scene, row.views, row.cameras) for row in rows if row.method == m and row.numbers} for m in methods]
    shared = set.intersection(*cells) if cells else set()
    lines += ["", *table_header(f"mean of {len(shared)} cells | {COLUMNS}")]
    for method in methods:
        use = [row.numbers for row in rows if row.method == method and (row.scene, row.views, row.cameras) in shared]
        names = (*MEASURES, "faces", "cpu_s", "mesh_cpu_s", "wall_s", "peak_mb")
        means = {name: mean_of_present(numbers.get(name) for numbers in use) for name in names}
        lines.append(table_line([method, *_numbers(means)]))
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, nargs="*", help="folders; without one only the table is printed")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/mesh"))
    parser.add_argument("--evaluator", type=Path, default=None)
    parser.add_argument("--peer-python", type=Path, default=None)
    parser.add_argument("--views", type=int, nargs="+", default=[3, 6, 9])
    parser.add_argument("--cameras", nargs="+", choices=CAMERAS, default=CAMERAS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    given = parser.parse_args()
    file = given.output / "rows.json"
    rows = load_rows(file, lambda plain: Row(**plain), "measured meshes")
    if given.scenes and given.evaluator is None:
        parser.error("--evaluator is needed")
    given.output.mkdir(parents=True, exist_ok=True)
    tools = Tools(given.output.resolve(), given.evaluator, given.peer_python)
    done = {(row.scene, row.views, row.cameras, row.method) for row in rows}
    for scene in map(read_scene, given.scenes):
        for key in [(scene.name, v, c, m) for v in given.views for c in given.cameras for m in given.methods]:
            if key not in done:
                rows.append(measure(scene, *key[1:], tools))
                save_rows([asdict(row) for row in rows], file)
    print(tables(rows))


if __name__ == "__main__":
    main()
