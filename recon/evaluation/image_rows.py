"""What a measurement of predicted photos found, one row per run, and the file that keeps the rows."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recon.markdown import mean_of_present
from recon.row_files import load_rows, save_rows

CameraSource = Literal["true", "estimated"]
Strategy = Literal["edgs", "sfm", "densify"]
RowKey = tuple[str, int, CameraSource, int, Strategy]


@dataclass(frozen=True)
class ViewScores:
    """How close the render of a photo that was kept back comes to it.

    Attributes:
        psnr, ssim: over all valid pixels; SSIM over the whole picture.
        covered_psnr, covered_ssim: over the pixels that two training photos see; None without such pixels.
        covered_share: of the valid pixels, in [0, 1]; None where coverage is not known.
        flip: mean FLIP error over the whole picture, in [0, 1].
    """

    psnr: float
    ssim: float
    covered_psnr: float | None
    covered_ssim: float | None
    covered_share: float | None
    flip: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The scene after some steps.

    Attributes:
        step: of the fit; 0 is its start.
        num_gaussians: that there are.
        training_cpu_s: CPU seconds of the fit so far, without measuring.
        views: scores by the photo's name.
    """

    step: int
    num_gaussians: int
    training_cpu_s: float
    views: dict[str, ViewScores]

    def mean(self, name: str) -> float | None:
        """Mean of a field of `ViewScores` over the photos that have it; None if none has."""
        values = [value for view in self.views.values() if (value := getattr(view, name)) is not None]
        finite = [value for value in values if math.isfinite(value)]
        return sum(finite) / len(finite) if finite else None


@dataclass(frozen=True)
class ImageRow:
    """One fit.

    Attributes:
        scene, num_views, cameras, seed, strategy: what was run.
        settings: digest of photos and settings; a row with another one is measured anew.
        num_heldout: photos to predict; those whose camera was not found have no scores.
        checkpoints: in the order of their steps; the last one is the end of the fit. Empty with a `failure`.
        matching_cpu_s: CPU seconds of features and matches.
        pose_cpu_s: CPU seconds from matches to cameras and sparse points.
        dense_cpu_s: CPU seconds of dense depth and of placing the Gaussians; 0 where there is none.
        warnings: one sentence each.
        failure: why there is no result, None if there is one.
    """

    scene: str
    num_views: int
    cameras: CameraSource
    seed: int
    strategy: Strategy
    settings: str
    num_heldout: int
    checkpoints: tuple[Checkpoint, ...]
    matching_cpu_s: float
    pose_cpu_s: float
    dense_cpu_s: float
    warnings: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def key(self) -> RowKey:
        """What tells rows apart."""
        return self.scene, self.num_views, self.cameras, self.seed, self.strategy

    @property
    def last(self) -> Checkpoint | None:
        """The end of the fit; None if it failed."""
        return self.checkpoints[-1] if self.checkpoints else None

    @property
    def preparation_cpu_s(self) -> float:
        """CPU seconds before the fit."""
        return self.matching_cpu_s + self.pose_cpu_s + self.dense_cpu_s

    def at(self, step: int) -> Checkpoint | None:
        """The checkpoint of a step; None if there is none."""
        return next((own for own in self.checkpoints if own.step == step), None)

    def best(self, name: str) -> float | None:
        """The highest mean of a field of `ViewScores` over the checkpoints."""
        return max((value for own in self.checkpoints if (value := own.mean(name)) is not None), default=None)


def mean_of(rows: Iterable[ImageRow], value: Callable[[ImageRow], float | None]) -> float | None:
    """Mean over the rows that have a value; None if none has."""
    return mean_of_present(value(row) for row in rows)


def write_image_rows(rows: Sequence[ImageRow], path: Path) -> None:
    """Write all rows; the file appears whole or not at all."""
    save_rows(rows, path)


def read_image_rows(path: Path) -> list[ImageRow]:
    """Read rows; see `load_rows`."""
    return load_rows(path, _row, "measurements of pictures")


def _row(plain: dict) -> ImageRow:
    checkpoints = tuple(
        Checkpoint(**own | {"views": {name: ViewScores(**scores) for name, scores in own["views"].items()}})
        for own in plain["checkpoints"]
    )
    return ImageRow(**plain | {"checkpoints": checkpoints, "warnings": tuple(plain["warnings"])})
