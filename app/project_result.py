"""What came of the last run of a project: its report, and where the photos lie that it speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.project_files import photo_paths
from recon.report import PhotoReport, Report, read_report

MIN_PHOTOS = 2
MIN_FOR_HOLDOUT = 4  # three photos are the least to build from


@dataclass(frozen=True)
class ProjectResult:
    """A report that may be missing.

    Attributes:
        report: None before the first run.
        paths: where the photos lie, by the report's names.
    """

    report: Report | None = None
    paths: Mapping[str, Path] = field(default_factory=dict)

    @property
    def has_cameras(self) -> bool:
        """Photos were placed."""
        return self.report is not None and any(photo.placed for photo in self.report.photos)

    def photo(self, path: Path) -> PhotoReport | None:
        """What became of a photo; None if it was not in the run."""
        photos = () if self.report is None else self.report.photos
        return next((photo for photo in photos if self.paths.get(photo.name, path.parent) == path), None)

    def is_of(self, paths: Sequence[Path]) -> bool:
        """The report speaks of these photos and no others; True without a report."""
        if self.report is None:
            return True
        return {self.paths.get(photo.name) for photo in self.report.photos} == set(paths)

    def has_placed(self, paths: Sequence[Path]) -> bool:
        """All of these photos have cameras, and are enough to build from."""
        placed = {self.paths.get(photo.name) for photo in self.report.photos if photo.placed} if self.report else set()
        return len(set(paths)) >= MIN_PHOTOS and set(paths) <= placed

    def photo_to_measure_on(self, used: Sequence[Path]) -> Path | None:
        """The middle one of the used photos, but none that was left without a camera; None if too few are left."""
        if len(used) < MIN_FOR_HOLDOUT:
            return None
        failed = [path for path in used if (seen := self.photo(path)) is not None and seen.placed is False]
        able = [path for path in used if path not in failed]
        chosen = able[len(able) // 2] if able else used[len(used) // 2]
        names = [path.name for path in used]
        return chosen if names.count(chosen.name) == 1 else None


def read_result(folder: Path) -> ProjectResult:
    """Read the report of a project folder, if there is one.

    Raises:
        ReportFileError: it is damaged.
    """
    if not (folder / "report.json").is_file():
        return ProjectResult()
    return ProjectResult(read_report(folder), photo_paths(folder))
