"""What came of a run: `report.json` for programs, `report.html` for people.

The shape of `report.json` is `recon/report_schema.json`; raise `SCHEMA_VERSION` when a reader of the old shape
would break.
"""

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from recon.version import program_version
from recon.whole_files import write_whole

SCHEMA_VERSION = 1
REPORT_NAME = "report.json"

LOW_CONFIDENCE = 0.5
"""A camera less likely to be right than this is told of in a warning and stands out on the page."""

Status = Literal["complete", "partial", "failed", "cancelled"]
"""complete: every photo placed; partial: a result, some photos left out; failed: no result; cancelled: by the user."""

EXIT_CODES: dict[Status, int] = {"complete": 0, "partial": 3, "failed": 2, "cancelled": 130}


class ReportFileError(Exception):
    """A `report.json` is missing, damaged or of another schema version."""


@dataclass(frozen=True)
class StageReport:
    """What one stage cost.

    Attributes:
        name: of the stage.
        seconds, cpu_seconds: wall clock, and CPU time of all threads; of the run that did the work if `resumed`.
        peak_rss_mb: highest resident memory of the process by the end of the stage, MB.
        resumed: the stored result of an earlier run was used.
        details: numbers and short texts that only this stage has.
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    resumed: bool = False
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PhotoReport:
    """What became of one photo.

    Attributes:
        name: file name.
        placed: it got a camera; None if the run ended before cameras were sought.
        reason: why it was not placed, one sentence.
        hint: what to do about that, one sentence; None if nothing is known.
        confidence: probability that its camera is right, in [0, 1]; None for cameras that were given, and in reports
            from before it was told.
        is_heldout: kept from depth, points and the fit, for measuring.
        num_points: sparse points that it sees.
        error_px: their mean reprojection error.
        focal_px: estimated focal length at working size.
    """

    name: str
    placed: bool | None
    reason: str | None = None
    is_heldout: bool = False
    num_points: int = 0
    error_px: float | None = None
    focal_px: float | None = None
    hint: str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class PairReport:
    """What became of one pair of photos.

    Attributes:
        a, b: names of the photos.
        num_matches: before verification.
        num_inliers: matches that agree with one two-view geometry.
        rejected: why the pair was not used; None if it was.
    """

    a: str
    b: str
    num_matches: int
    num_inliers: int
    rejected: str | None = None


@dataclass(frozen=True)
class ViewQuality:
    """How close the render of a held-out view comes to its photo.

    Attributes:
        psnr: dB over the whole photo; None where it is infinite.
        ssim: over the whole photo.
        covered_psnr: dB over the pixels that the training photos saw; None if there are none.
        covered_share: share of such pixels, in [0, 1].
        flip: mean FLIP error over the whole photo, in [0, 1], see `splatting.flip`; None in reports from before it.
    """

    psnr: float | None
    ssim: float
    covered_psnr: float | None
    covered_share: float
    flip: float | None = None


@dataclass(frozen=True)
class HeldoutReport:
    """Means over the held-out photos that were placed, and each of them by name."""

    psnr: float | None
    ssim: float | None
    covered_psnr: float | None
    covered_share: float | None
    views: dict[str, ViewQuality] = field(default_factory=dict)
    flip: float | None = None


@dataclass(frozen=True)
class DeviceReport:
    """Where the splats were fitted.

    Attributes:
        name: "cpu" or "cuda".
        rasterizer: that drew them.
        reason: one sentence, why there.
    """

    name: str
    rasterizer: str
    reason: str


@dataclass(frozen=True)
class FrameReport:
    """The frame that all results are in.

    Attributes:
        up: one sentence, how it was decided which way is up.
        unit: "m", or "arbitrary".
        scale: one sentence, where the unit comes from.
    """

    up: str
    unit: str
    scale: str


@dataclass(frozen=True)
class ReportError:
    """Why there is no result, and what to do about it; one sentence each."""

    message: str
    hint: str = ""


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        status: see `Status`.
        preset: name of the preset the config was made from.
        seed: of all random choices.
        stages: in the order they ran.
        photos: every photo that was given, unreadable ones included.
        pairs: every pair that was matched.
        warnings: odd but survivable findings, one sentence each.
        device: where the splats were fitted; None if they were not.
        heldout: image quality on held-out photos; None without any.
        frame: that all results are in; None before there are cameras.
        outputs: what was made -> path relative to the project folder.
        totals: num_points, num_gaussians, num_faces, reprojection_error_px, focal_px, ...
        error: why there is no result; None if there is one.
        program_version: of the program that wrote this.
        schema_version: of this shape.
    """

    status: Status
    preset: str
    seed: int
    stages: tuple[StageReport, ...] = ()
    photos: tuple[PhotoReport, ...] = ()
    pairs: tuple[PairReport, ...] = ()
    warnings: tuple[str, ...] = ()
    device: DeviceReport | None = None
    heldout: HeldoutReport | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    error: ReportError | None = None
    program_version: str = field(default_factory=program_version)
    schema_version: int = SCHEMA_VERSION
    frame: FrameReport | None = None

    @property
    def exit_code(self) -> int:
        """What the command line returns for this report."""
        return EXIT_CODES[self.status]


def summarise_heldout(views: Mapping[str, ViewQuality]) -> HeldoutReport:
    """Average the quality of held-out views; values that do not exist are left out of their mean."""

    def mean(name: str) -> float | None:
        values = [v for v in (getattr(view, name) for view in views.values()) if v is not None and math.isfinite(v)]
        return sum(values) / len(values) if values else None

    means = {name: mean(name) for name in ("psnr", "ssim", "covered_psnr", "covered_share", "flip")}
    return HeldoutReport(**means, views=dict(views))


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json` and `report.html` into a project folder; each appears whole or not at all.

    The page shows the pictures in `previews/` and the cameras of `cameras.json` if they are there: write it last.
    """
    from recon.report_html import report_page  # it imports the types above

    write_whole(folder / REPORT_NAME, json.dumps(to_plain(report), indent=2, ensure_ascii=False) + "\n")
    write_whole(folder / "report.html", report_page(report, folder))


def read_report(folder: Path) -> Report:
    """Read `report.json` of a project folder.

    Raises:
        ReportFileError: it is missing, damaged or of another schema version.
    """
    path = folder / REPORT_NAME
    try:
        plain = json.loads(path.read_text("utf-8"))
        version = plain.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ReportFileError(f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}.")
        return _from_plain(plain, Report)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ReportFileError(f"{path} is damaged: {error}.") from error


def holds_result(folder: Path) -> bool:
    """A run into the folder ended with a result, and no later one has failed since."""
    try:
        return read_report(folder).status in ("complete", "partial")
    except ReportFileError:
        return False


def to_plain(value: Any) -> Any:
    """Dicts, lists, numbers and texts of a tree of dataclasses, fit for JSON: what is not finite becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "item"):  # a NumPy or torch scalar
        return to_plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise TypeError(f"{type(value).__name__} cannot be written to a report")


def _from_plain(plain: Any, kind: Any) -> Any:
    """The inverse of `to_plain` for a declared type; unknown keys are errors."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if plain is None:
            return None
        (kind,) = (arg for arg in args if arg is not type(None))
        return _from_plain(plain, kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        unknown = set(plain) - set(hints)
        if unknown:
            raise ValueError(f"unknown keys {sorted(unknown)}")
        return kind(**{name: _from_plain(part, hints[name]) for name, part in plain.items()})
    if origin is tuple:
        return tuple(_from_plain(item, args[0]) for item in plain)
    if origin is dict:
        return {key: _from_plain(item, args[1]) for key, item in plain.items()}
    return plain
