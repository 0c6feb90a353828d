"""What a run made so far, and the report of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recon.config import ReconConfig
from recon.dense import DenseScene
from recon.errors import ReconError
from recon.frame import Frame, frame_report
from recon.match_graph import MatchGraph
from recon.photo_loading import PhotoSet
from recon.progress import Cancelled, StageName
from recon.report import DeviceReport, HeldoutReport, PairReport, PhotoReport, Report, ReportError, StageReport, Status
from recon.scene import Mesh, Reconstruction
from splatting.gaussians import Gaussians


@dataclass
class Results:
    """Results of the stages as they come in; None where a stage has not run.

    With `is_recorded`, `project.json` says what was asked: what the folder held before is not what it holds any more.
    """

    preset: str
    config: ReconConfig
    photos: PhotoSet | None = None
    graph: MatchGraph | None = None
    scene: Reconstruction | None = None
    dense: DenseScene | None = None
    gaussians: Gaussians | None = None
    device: DeviceReport | None = None
    heldout: HeldoutReport | None = None
    mesh: Mesh | None = None
    frame: Frame | None = None
    is_recorded: bool = False
    warnings: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)

    def note(self, warning: str | None) -> None:
        """Keep a warning for the report."""
        if warning:
            self.warnings.append(warning)


def make_report(
    results: Results, stages: Sequence[StageReport], until: StageName, error: Exception | None = None
) -> Report:
    """Put together what is known; `error` is what ended the run early."""
    photos = _photo_reports(results)
    return Report(
        status=_status(photos, error),
        preset=results.preset,
        seed=results.config.seed,
        stages=tuple(stages),
        photos=photos,
        pairs=_pair_reports(results),
        warnings=tuple(
            [
                *(results.photos.warnings if results.photos else ()),
                *(results.scene.warnings if results.scene else ()),
                *results.warnings,
            ]
        ),
        device=results.device,
        heldout=results.heldout,
        outputs=dict(results.written),
        totals=_totals(results),
        frame=frame_report(results.frame) if results.frame else None,
        error=ReportError(error.message, error.hint) if isinstance(error, ReconError) else None,
    )


def _status(photos: Sequence[PhotoReport], error: Exception | None) -> Status:
    if isinstance(error, Cancelled):
        return "cancelled"
    if error is not None:
        return "failed"
    return "partial" if any(photo.placed is False for photo in photos) else "complete"


def _photo_reports(results: Results) -> tuple[PhotoReport, ...]:
    if results.photos is None:
        return ()
    reports = []
    scene = results.scene
    unplaced = {photo.name: photo for photo in scene.unplaced} if scene else {}
    confidences = dict(enumerate(scene.confidences)) if scene else {}
    seen, errors = Counter[int](), Counter[int]()
    if scene:
        for track, error in zip(scene.points.view_indices or (), scene.points.error_px, strict=False):
            seen.update(track)
            errors.update(dict.fromkeys(track, float(error)))
    views = {view.name: (index, view) for index, view in enumerate(scene.views)} if scene else {}
    for photo in results.photos.photos:
        index, view = views.get(photo.name, (-1, None))
        reports.append(
            PhotoReport(
                name=photo.name,
                placed=None if scene is None else view is not None,
                reason=unplaced[photo.name].reason if photo.name in unplaced else None,
                hint=unplaced[photo.name].hint or None if photo.name in unplaced else None,
                confidence=confidences.get(index),
                is_heldout=view.is_heldout if view else False,
                num_points=seen[index],
                error_px=errors[index] / seen[index] if seen[index] else None,
                focal_px=float(view.camera.K[0, 0]) if view else None,
            )
        )
    reports.extend(PhotoReport(photo.name, placed=False, reason=photo.reason) for photo in results.photos.rejected)
    return tuple(reports)


def _pair_reports(results: Results) -> tuple[PairReport, ...]:
    if results.photos is None or results.graph is None:
        return ()
    names = [photo.name for photo in results.photos.photos]
    return tuple(
        PairReport(names[pair.a], names[pair.b], pair.num_matches, len(pair.indices), pair.rejected)
        for pair in results.graph.pairs
    )


def _totals(results: Results) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    if results.scene:
        points = results.scene.points
        totals["num_photos_placed"] = len(results.scene.views)
        totals["num_sparse_points"] = len(points)
        totals["reprojection_error_px"] = float(np.mean(points.error_px)) if len(points) else None
        if results.scene.confidences:
            totals["lowest_confidence"] = min(results.scene.confidences)
        totals["focal_px"] = float(np.median([view.camera.K[0, 0] for view in results.scene.views]))
    if results.dense:
        totals["num_points"] = int(results.dense.is_verified.sum())
        totals["num_guesses"] = int((~results.dense.is_verified).sum())
        totals["verified_share"] = results.dense.verified_share
    if results.gaussians:
        totals["num_gaussians"] = len(results.gaussians)
    if results.mesh:
        totals["num_faces"] = len(results.mesh.faces)
        if results.mesh.texture:
            totals["texture_side_px"] = len(results.mesh.texture.rgb)
            totals["texture_seen_share"] = results.mesh.texture.seen_share
    return totals
