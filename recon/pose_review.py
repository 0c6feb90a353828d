"""The placed photos looked at once more: how sure each camera is, and what is doubtful about them together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recon.colmap import MapperGates
from recon.focal import FocalEvidence
from recon.pair_rotations import PairRotation, pair_rotations
from recon.pose_confidence import PoseEvidence, confidence, gather_evidence, main_doubt, with_second_opinion
from recon.report import LOW_CONFIDENCE
from recon.second_opinion import disagreements_deg, second_model
from recon.sparse_model import MappingProblem, SparseModel
from recon.view_graph import listed, structure_warnings

_MAX_DISAGREEMENT_DEG = 3.0  # keypoint noise alone moves no well-determined camera so far


@dataclass(frozen=True)
class PoseReview:
    """What is known of the cameras beyond themselves.

    Attributes:
        confidences: for each placed photo the probability that its camera is right, see `recon.pose_confidence`.
        warnings: what is doubtful, one sentence each.
    """

    confidences: dict[int, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PoseFindings:
    """What a review found before it is put into numbers and words.

    Attributes:
        evidence: for and against each placed photo.
        rotations: what single pairs say.
    """

    evidence: dict[int, PoseEvidence]
    rotations: tuple[PairRotation, ...]


def review_poses(
    problem: MappingProblem,
    findings: PoseFindings,
    model: SparseModel,
    *,
    names: Sequence[str],
    tried: Collection[tuple[int, int]],
) -> PoseReview:
    """Judge the cameras of an adjusted model.

    Args:
        problem: verified matches in the mapping frame.
        findings: on this model, from `examine_poses`.
        model: as the last adjustment left it.
        names: of all photos.
        tried: pairs (a, b), a < b, that were matched, with or without success.
    """
    confidences = {photo: confidence(own) for photo, own in findings.evidence.items()}
    warnings = (
        *_low_confidence_warnings(problem, findings.evidence, confidences, names),
        *_disagreement_warnings(findings.evidence, names),
        *structure_warnings(problem, model, findings.rotations, names, tried),
    )
    return PoseReview(confidences, warnings)


def examine_poses(
    problem: MappingProblem,
    model: SparseModel,
    beliefs: Sequence[FocalEvidence],
    gates: MapperGates,
    *,
    max_error_px: float,
    seed: int,
) -> PoseFindings:
    """Gather what speaks for and against the cameras of an adjusted model of two or more photos.

    Solves each pair of photos alone, and maps once more (twice at most) beginning with the most doubtful photos.

    Args:
        problem: verified matches in the mapping frame.
        model: as the last adjustment left it.
        beliefs: what was known of each lens; a focal length equal to its belief was held.
        gates: how much evidence mapping asks for.
        max_error_px: up to which a match agrees with the cameras.
        seed: of every random choice.
    """
    held = {
        lens: belief.sigma
        for lens, belief in enumerate(beliefs)
        if np.isclose(model.lenses[lens].focal, belief.focal, rtol=1e-9)
    }
    rotations = pair_rotations(problem, model, seed=seed)
    evidence = gather_evidence(problem, model, held, max_error_px=max_error_px)
    doubtful = sorted(evidence, key=lambda photo: confidence(evidence[photo]))
    other = second_model(problem, model, doubtful, gates, seed=seed + 1)
    if other is not None:
        evidence = with_second_opinion(evidence, disagreements_deg(model, other))
    return PoseFindings(evidence, rotations)


def _low_confidence_warnings(
    problem: MappingProblem,
    evidence: Mapping[int, PoseEvidence],
    confidences: Mapping[int, float],
    names: Sequence[str],
) -> Iterable[str]:
    for photo, value in confidences.items():
        if value < LOW_CONFIDENCE:
            shared = {p.b if p.a == photo else p.a: len(p.indices) for p in problem.pairs if photo in (p.a, p.b)}
            partners = {other: num for other, num in shared.items() if other in confidences}
            hint = ""
            if partners:
                hint = f" Take one more photo between it and {names[max(partners, key=lambda other: partners[other])]}."
            yield (
                f"The camera of {names[photo]} is uncertain (confidence {100 * value:.0f} %): "
                f"{main_doubt(evidence[photo])}.{hint}"
            )


def _disagreement_warnings(evidence: Mapping[int, PoseEvidence], names: Sequence[str]) -> Iterable[str]:
    apart = {photo: own.second_deg for photo, own in evidence.items() if own.second_deg is not None}
    moved = {photo: angle for photo, angle in apart.items() if angle > _MAX_DISAGREEMENT_DEG}
    if moved:
        angle = max(moved.values())
        yield f"Two ways of placing the photos disagree about {listed(moved, names)}, by {angle:.0f} degrees."
