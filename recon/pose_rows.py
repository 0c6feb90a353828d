"""What a measurement of poses found, one row per run, and the file that keeps the rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recon.errors import ReconError
from recon.pose_metrics import PoseScores
from recon.report import to_plain
from recon.whole_files import write_whole

Intrinsics = Literal["unknown", "known"]
Method = Literal["handful", "pycolmap"]

_NOT_OURS = "Name another folder with -o, or delete the file."


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
    write_whole(path, json.dumps({"rows": to_plain(list(rows))}, indent=1, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[PoseRow]:
    """Read rows; none where there is no file.

    Raises:
        ReconError: the file is damaged or holds something else.
    """
    if not path.exists():
        return []
    try:
        return [_row(plain) for plain in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    except OSError as error:
        raise ReconError(f"{path} cannot be read: {error.strerror}.", _NOT_OURS) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReconError(f"{path} does not hold pose measurements: {error!s}.", _NOT_OURS) from error


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
