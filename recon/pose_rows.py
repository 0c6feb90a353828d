"""What a measurement of poses found, one row per run, and the file that keeps the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recon.pose_metrics import PoseScores
from recon.row_files import load_rows, save_rows

Intrinsics = Literal["unknown", "known"]
Method = Literal["handful", "pycolmap"]


@dataclass(frozen=True)
class PairFinding:
    """What became of a pair of photos; errors in degrees, None where one of them was not placed.

    Attributes:
        a, b: file names.
        num_matches, num_inliers: before and after verification; None for plain COLMAP.
        rotation_deg, direction_deg: of the relative pose.
    """

    a: str
    b: str
    num_matches: int | None
    num_inliers: int | None
    rotation_deg: float | None
    direction_deg: float | None


@dataclass(frozen=True)
class PoseRow:
    """One run on one set of photos.

    Attributes:
        scene, num_views, intrinsics, seed, method: what was run.
        settings: digest of photos and settings; a row with another one is measured anew.
        scores: all photos counted.
        placed_auc_30: AUC@30 over the placed photos only; None with fewer than two.
        focal_ratio: median of estimated by true focal length; None if nothing is placed.
        matching_cpu_s: CPU seconds of features and matches, shared between the rows of a set.
        pose_cpu_s: CPU seconds from matches to cameras.
        warnings: said to the user, one sentence each.
        failure: why there is no result at all, None if there is one.
        unplaced: file name and reason of each photo left out.
        pairs: all of them.
    """

    scene: str
    num_views: int
    intrinsics: Intrinsics
    seed: int
    method: Method
    settings: str
    scores: PoseScores
    placed_auc_30: float | None
    focal_ratio: float | None
    matching_cpu_s: float
    pose_cpu_s: float
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    unplaced: tuple[tuple[str, str], ...] = ()
    pairs: tuple[PairFinding, ...] = ()

    @property
    def key(self) -> tuple[str, int, str, int, str]:
        """What tells rows apart."""
        return self.scene, self.num_views, self.intrinsics, self.seed, self.method


def write_rows(rows: Sequence[PoseRow], path: Path) -> None:
    """Write all rows; the file appears whole or not at all."""
    save_rows(rows, path)


def read_rows(path: Path) -> list[PoseRow]:
    """Read rows; see `load_rows`."""
    return load_rows(path, _row, "pose measurements")


def _row(plain: dict) -> PoseRow:
    return PoseRow(
        **plain
        | {
            "scores": PoseScores(**plain["scores"]),
            "warnings": tuple(plain["warnings"]),
            "unplaced": tuple((name, reason) for name, reason in plain["unplaced"]),
            "pairs": tuple(PairFinding(**pair) for pair in plain["pairs"]),
        }
    )
