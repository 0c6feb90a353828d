"""What matches between two photos of a project, read for the window; runs in a worker, without Qt."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.project_files import photo_paths
from recon.errors import ReconError

MAX_LINES = 150
SIDE_PX = 1400


@dataclass(frozen=True)
class PairLines:
    """Two photos and points that they share.

    Attributes:
        names: of the photos.
        pictures: of each, [H, W, 3] uint8, upright.
        points: in each, [M, 2] in shares of its width and height; at most 150, spread evenly over the matches.
        num_matches: how many agree in all.
        rejected: why the pair was not used; None if it was.
    """

    names: tuple[str, str]
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    points: tuple[NDArray[np.float64], NDArray[np.float64]]
    num_matches: int
    rejected: str | None


def load_pair(folder: Path, name_a: str, name_b: str) -> PairLines:
    """Read the matches between two photos.

    Raises:
        ReconError: they were not compared, or what was found is gone.
    """
    from matching.types import Features
    from recon.artefacts import ArtefactError, load_artefact
    from recon.match_graph import MatchGraph, PairMatches

    paths = photo_paths(folder)
    names = list(paths)
    gone = ReconError(f"The matches between {name_a} and {name_b} are not kept.", "Find the cameras again.")
    if name_a not in paths or name_b not in paths:
        raise gone
    try:
        graph: MatchGraph = load_artefact(folder / "work" / "matches.npz", (MatchGraph, PairMatches, Features))
        pictures = [_read(paths[name]) for name in (name_a, name_b)]
    except (ArtefactError, OSError) as error:
        raise gone from error
    index_a, index_b = names.index(name_a), names.index(name_b)
    pair = next((pair for pair in graph.pairs if {pair.a, pair.b} == {index_a, index_b}), None)
    if pair is None or max(index_a, index_b) >= len(graph.keypoints):
        raise gone
    columns = (0, 1) if pair.a == index_a else (1, 0)
    chosen = pair.indices[np.linspace(0, len(pair.indices) - 1, min(len(pair.indices), MAX_LINES)).astype(int)]
    (rgb_a, size_a), (rgb_b, size_b) = pictures
    points_a = graph.keypoints[index_a][chosen[:, columns[0]]] / size_a
    points_b = graph.keypoints[index_b][chosen[:, columns[1]]] / size_b
    return PairLines((name_a, name_b), (rgb_a, rgb_b), (points_a, points_b), len(pair.indices), pair.rejected)


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A photo, upright and small enough to show, and its full width and height."""
    from PIL import ImageOps

    from recon.photo import open_image, to_rgb

    with open_image(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        size = np.array(image.size, np.float64)
        image.thumbnail((SIDE_PX, SIDE_PX))
        return to_rgb(image), size
