"""What the graph of placed photos makes doubtful: guessed scales, things that look alike, matches that are missing."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recon.pair_rotations import PairRotation, cycle_errors_deg
from recon.sparse_model import MAPPING_SIDE_PX, MappingProblem, SparseModel

_LEAST_COMMON_TRACKS = 5  # fewer carry a scale only by chance
_LEAST_PAIR_POINTS = 15  # for a direction of translation that is worth something
_LEAST_TRIANGLE_DEG = 5.0  # three directions fix a triangle unless it is flat
_STRONG_PAIR = 50  # matches: weaker pairs of true scenes have rotations 10 degrees off
_CONTRADICTED_SHARE = 0.4  # a pair with fewer of its matches in agreement contradicts the cameras
_WEIGHTY_SHARE = 0.2  # of a photo's matches: fewer that contradict its camera are outvoted
_MAX_CYCLE_DEG = 5.0
_SEEN_SHARE = 0.6  # of the points of either photo that the other should see
_MAX_VIEW_ANGLE_DEG = 25.0  # further apart photos may well fail to match
_MAX_ZOOM = 1.8
_MAX_NAMED = 3  # sentences of one kind


def structure_warnings(
    problem: MappingProblem,
    model: SparseModel,
    rotations: tuple[PairRotation, ...],
    names: Sequence[str],
    tried: Collection[tuple[int, int]],
) -> tuple[str, ...]:
    """One sentence for each thing that makes the arrangement of the placed photos doubtful.

    Args:
        problem: verified matches.
        model: the placed photos.
        rotations: what single pairs say, see `pair_rotations`.
        names: of all photos.
        tried: pairs (a, b), a < b, that were matched, with or without success.
    """
    suspects = _weighty_contradictions(rotations)
    heard = tuple(pair for pair in rotations if not contradicts(pair) or any(pair is own for own in suspects))
    return (
        *_scale_warnings(model, names),
        *_contradiction_warnings(suspects, names),
        *_cycle_warnings(heard, names),
        *_missing_match_warnings(problem, model, names, tried),
    )


def scale_groups(model: SparseModel) -> list[set[int]]:
    """Groups of placed photos that have one scale each, the largest first; groups may share one photo.

    Three photos have one scale when they see common points, or when every two of them do and the triangle of their
    centres is not flat; two such triangles that share two photos have the same one. A single pair is a group of its
    own. One group that holds all photos is what one wants.
    """
    seen = _visibility(model)  # [N, P]
    placed = sorted(model.cam_from_world)
    pairs = seen.T @ seen
    triangles: list[set[int]] = []
    for a in range(len(placed)):
        common = (seen * seen[:, a : a + 1]).T @ seen
        triangles += [
            {placed[a], placed[b], placed[c]}
            for b, c in combinations(range(a + 1, len(placed)), 2)
            if common[b, c] >= _LEAST_COMMON_TRACKS
            or (
                min(pairs[a, b], pairs[b, c], pairs[a, c]) >= _LEAST_PAIR_POINTS
                and _smallest_angle_deg(model, (placed[a], placed[b], placed[c])) >= _LEAST_TRIANGLE_DEG
            )
        ]
    groups = _merged(triangles, overlap=2)
    edges = [{placed[a], placed[b]} for a, b in combinations(range(len(placed)), 2) if pairs[a, b] > 0]
    groups += [edge for edge in edges if not any(edge <= group for group in groups)]
    groups += [{photo} for photo in placed if not any(photo in group for group in groups)]
    return sorted(groups, key=lambda group: (-len(group), sorted(group)))


def _scale_warnings(model: SparseModel, names: Sequence[str]) -> Iterable[str]:
    main, *others = scale_groups(model) or [set()]
    for other in others[:_MAX_NAMED]:
        inside, outside = (main, other - main) if other - main else (main - other, other)
        joint = sorted(main & other)
        hint = (
            f"one more photo near {names[joint[0]]} of what both sides show" if joint else "one more photo between them"
        )
        yield (
            f"The scale between {listed(inside, names)} on one side and {listed(outside, names)} on the other is a "
            f"guess: only points that two photos see link them. Take {hint}."
        )


def _contradiction_warnings(suspects: Sequence[PairRotation], names: Sequence[str]) -> Iterable[str]:
    for pair in suspects[:_MAX_NAMED]:
        yield (
            f"{names[pair.a]} and {names[pair.b]} have {pair.num_own} matches that contradict their cameras: "
            "things that look alike may have been taken for each other."
        )


def _weighty_contradictions(rotations: tuple[PairRotation, ...]) -> list[PairRotation]:
    """Pairs that contradict the cameras, strongest first, without those that the other pairs of both photos outvote.

    Measured: of fountain and fox, six photos each, all cameras within 1 degree, two pairs of 70 to 95 matches mix up
    things that look alike; they are 10 and 18 % of the matches of the photo that both share.
    """
    against = [pair for pair in rotations if contradicts(pair)]
    total, contrary = Counter[int](), Counter[int]()
    for counts, pairs in ((total, rotations), (contrary, against)):
        for pair in pairs:
            counts.update({pair.a: pair.num_matches, pair.b: pair.num_matches})
    weighty = [
        pair for pair in against if max(contrary[photo] / total[photo] for photo in (pair.a, pair.b)) >= _WEIGHTY_SHARE
    ]
    return sorted(weighty, key=lambda pair: -pair.num_own)


def contradicts(pair: PairRotation) -> bool:
    """The pair has many matches that agree with one another and not with the cameras."""
    own_share_in_model = pair.num_model / max(1, pair.num_own)
    return pair.num_own >= _STRONG_PAIR and own_share_in_model < _CONTRADICTED_SHARE


def _cycle_warnings(rotations: tuple[PairRotation, ...], names: Sequence[str]) -> Iterable[str]:
    cycles = cycle_errors_deg(rotations, min_matches=_STRONG_PAIR)
    open_cycles = {photos: error for photos, error in cycles.items() if error > _MAX_CYCLE_DEG}
    if open_cycles:
        worst = max(open_cycles, key=lambda photos: open_cycles[photos])
        yield (
            f"The rotations between {listed(worst, names)} do not fit together, by {open_cycles[worst]:.0f} degrees: "
            "things that look alike, or that moved, may mislead the cameras."
        )


def _missing_match_warnings(
    problem: MappingProblem, model: SparseModel, names: Sequence[str], tried: Collection[tuple[int, int]]
) -> Iterable[str]:
    matched = {(pair.a, pair.b) for pair in problem.pairs}
    suspects = [
        (a, b)
        for a, b in combinations(sorted(model.cam_from_world), 2)
        if (a, b) in tried and (a, b) not in matched and _should_match(problem, model, a, b)
    ]
    for a, b in suspects[:_MAX_NAMED]:
        yield (
            f"{names[a]} and {names[b]} should show the same things where they were placed, but share no matches: "
            "one of them may be in a wrong place."
        )


def _should_match(problem: MappingProblem, model: SparseModel, a: int, b: int) -> bool:
    """Most points of each photo lie in the other, seen from nearly the same side and about as large."""
    return all(_share_in_view(problem, model, *pair) >= _SEEN_SHARE for pair in ((a, b), (b, a)))


def _share_in_view(problem: MappingProblem, model: SparseModel, photo: int, other: int) -> float:
    xyz = model.xyz[model.point_of[model.photo_of == photo]]
    if len(xyz) < _LEAST_PAIR_POINTS:
        return 0.0
    T = model.cam_from_world[other]
    x = xyz @ T[:3, :3].T + T[:3, 3]
    focal_px = model.lenses[problem.lens_of[other]].focal * MAPPING_SIDE_PX
    pixels = x[:, :2] / np.maximum(x[:, 2:], 1e-9) * focal_px + MAPPING_SIDE_PX / 2
    keypoints = problem.keypoints[other]  # their box stands for the photo, whose shape is not known here
    inside = np.all((pixels >= keypoints.min(axis=0)) & (pixels <= keypoints.max(axis=0)), axis=1) & (x[:, 2] > 0)
    to_own, to_other = (xyz - _center(model, p) for p in (photo, other))
    near, far = (np.linalg.norm(rays, axis=1) for rays in (to_own, to_other))
    cosine = np.sum(to_own * to_other, axis=1) / np.maximum(near * far, 1e-12)
    zoom = np.maximum(near, far) / np.maximum(np.minimum(near, far), 1e-12)
    alike = (cosine >= np.cos(np.radians(_MAX_VIEW_ANGLE_DEG))) & (zoom <= _MAX_ZOOM)
    return float(np.mean(inside & alike))


def _visibility(model: SparseModel) -> NDArray[np.float32]:
    """Which points each placed photo sees, [N, P] of 0 and 1."""
    placed = sorted(model.cam_from_world)
    seen = np.zeros((len(model.xyz), len(placed)), np.float32)
    for position, photo in enumerate(placed):
        seen[model.point_of[model.photo_of == photo], position] = 1
    return seen


def _smallest_angle_deg(model: SparseModel, photos: tuple[int, int, int]) -> float:
    a, b, c = (_center(model, photo) for photo in photos)
    angles = []
    for corner, one, other in ((a, b, c), (b, c, a), (c, a, b)):
        u, v = one - corner, other - corner
        angles.append(float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))))
    return min(angles)


def _center(model: SparseModel, photo: int) -> NDArray[np.float64]:
    T = model.cam_from_world[photo]
    return np.asarray(-T[:3, :3].T @ T[:3, 3])


def _merged(groups: list[set[int]], *, overlap: int) -> list[set[int]]:
    """Unite groups that share so many members until none do."""
    united: list[set[int]] = []
    for group in groups:
        own = set(group)
        while touching := [other for other in united if len(own & other) >= overlap]:
            own = own.union(*touching)
            united = [other for other in united if other not in touching]
        united.append(own)
    return united


def listed(photos: Collection[int], names: Sequence[str]) -> str:
    """`a.jpg, b.jpg and c.jpg`; of many the first three and their number."""
    own = [names[photo] for photo in sorted(photos)]
    if len(own) > 4:
        own = [*own[:3], f"{len(own) - 3} more"]
    return own[0] if len(own) == 1 else f"{', '.join(own[:-1])} and {own[-1]}"
