"""Reconstruct the splits of measured photo sets and print a table of poses, held-out quality, time and memory.

    python -m tests.bench.scenes --preset draft --out out/bench strecha_fountain_p11:6 vggt_llff_flower:3

Every scene is its own process, as a user would run it. The photo sets lie in the folder that HANDFUL_DATA names.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from recon.camera_files import read_cameras
from recon.pose_metrics import compare_cameras

DEFAULT_SCENES = (
    "strecha_fountain_p11:6",
    "strecha_herz_jesus_p25:6",
    "fox:6",
    "vork_maryrose:6",
    "vggt_llff_flower:3",
)
COLUMNS = (
    "scene | views | placed | AUC@30 | AUC@5 | PSNR | SSIM | covered PSNR | covered | seconds | CPU s | peak MB | exit"
)


def run_scene(scene: str, split: str, preset: str, out: Path, extra: list[str]) -> dict[str, object]:
    """Reconstruct one split with its test views held out, in a process of its own."""
    folder = Path(os.environ.get("HANDFUL_DATA", "../shared/data")) / scene
    chosen = json.loads((folder / "splits.json").read_text())["splits"][split]
    photos = [str(folder / name) for name in (*chosen["train"], *chosen["test"])]
    holdout = [Path(name).name for name in chosen["test"]]
    command = [sys.executable, "-m", "app", "reconstruct", *photos, "-o", str(out), "--preset", preset]
    command += ["--holdout", *holdout, "--progress", "none", *extra]
    exit_code = subprocess.run(command, check=False).returncode
    report = json.loads((out / "report.json").read_text())
    row: dict[str, object] = {"scene": scene, "split": split, "exit": exit_code, "report": report}
    if (out / "cameras.json").exists():
        names = [Path(photo).name for photo in photos]
        row["poses"] = compare_cameras(read_cameras(out / "cameras.json"), read_cameras(folder / "cameras.json"), names)
    return row


def table_row(row: dict[str, object]) -> str:
    """One line of the Markdown table."""
    report: dict = row["report"]  # type: ignore[assignment]
    poses = row.get("poses")
    heldout = report["heldout"] or {}
    placed = sum(bool(photo["placed"]) for photo in report["photos"])
    stages = report["stages"]
    cells = [
        row["scene"],
        row["split"],
        f"{placed}/{len(report['photos'])}",
        f"{poses.auc_30:.3f}" if poses else "-",  # type: ignore[attr-defined]
        f"{poses.auc_5:.3f}" if poses else "-",  # type: ignore[attr-defined]
        *(f"{heldout[key]:.{digits}f}" if heldout.get(key) is not None else "-" for key, digits in KEYS),
        f"{sum(stage['seconds'] for stage in stages):.1f}",
        f"{sum(stage['cpu_seconds'] for stage in stages):.1f}",
        f"{max((stage['peak_rss_mb'] for stage in stages), default=0):.0f}",
        row["exit"],
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


KEYS = (("psnr", 2), ("ssim", 3), ("covered_psnr", 2), ("covered_share", 2))


def stage_row(row: dict[str, object]) -> str:
    """Seconds per stage of one scene."""
    stages = row["report"]["stages"]  # type: ignore[index]
    parts = (f"{stage['name']} {stage['seconds']:.1f} ({stage['cpu_seconds']:.1f})" for stage in stages)
    return f"{row['scene']}:{row['split']}  " + ", ".join(parts)


def main() -> None:
    """Run the scenes named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", default=DEFAULT_SCENES, help="NAME:SPLIT")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--extra", default="", help="more arguments for reconstruct")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.scenes:
        scene, split = name.split(":")
        folder = arguments.out / f"{scene}_{split}_{arguments.preset}"
        rows.append(run_scene(scene, split, arguments.preset, folder, arguments.extra.split()))
        print(stage_row(rows[-1]), flush=True)
    print("\n| " + COLUMNS + " |\n|" + "---|" * len(COLUMNS.split("|")))
    print("\n".join(table_row(row) for row in rows))


if __name__ == "__main__":
    main()
