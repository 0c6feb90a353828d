"""What a project folder with a finished scene holds: photos can be added to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from recon.artefacts import ArtefactError
from recon.cleaning import cleaned
from recon.config import ReconConfig, config_from_document
from recon.errors import ReconError
from recon.match_graph import MatchGraph
from recon.photo_loading import KnownPhoto
from recon.progress import StageName
from recon.project import PROJECT_FILE, Project, open_project
from recon.scene import Reconstruction
from recon.stored_results import load_result
from splatting.gaussians import Gaussians

_NEEDED: tuple[StageName, ...] = ("matches", "cameras", "points", "splats")
_START_OVER = "Make one first: handful reconstruct PHOTOS -o OUT."


@dataclass(frozen=True)
class FinishedScene:
    """A scene as the last run left it.

    Attributes:
        project: where it lies.
        photos: in the order in which they were given and added.
        preset, config: the settings it was made with.
        heldout: names of photos that are kept from training.
        cameras: file of the cameras that the user gave, None if they were estimated.
        graph, scene, gaussians: results of its stages; the Gaussians without those that were cleaned away.
        fingerprint: of everything that the Gaussians were made from.
    """

    project: Project
    photos: tuple[KnownPhoto, ...]
    preset: str
    config: ReconConfig
    heldout: tuple[str, ...]
    cameras: Path | None
    graph: MatchGraph
    scene: Reconstruction
    gaussians: Gaussians
    fingerprint: str


def open_finished_scene(folder: Path) -> FinishedScene:
    """Read what a project holds.

    Raises:
        ReconError: the folder holds no project, its last run did not come as far as the splats, or another version of
            the program made it.
    """
    if not (folder / PROJECT_FILE).is_file():
        raise ReconError(f"{folder} holds no scene that photos could be added to.", _START_OVER)
    project = open_project(folder)
    records = [project.record(stage) for stage in _NEEDED]
    hangs_together = all(later.get("after") == earlier.get("fingerprint") for earlier, later in pairwise(records))
    if not all(records) or not hangs_together:
        raise ReconError(f"The scene in {folder} is not finished.", "Finish it first, with the command that began it.")
    try:
        asked = json.loads((folder / PROJECT_FILE).read_text(encoding="utf-8"))
        return _from_parts(project, asked, records[-1]["fingerprint"])
    except (ArtefactError, OSError, ValueError, KeyError, TypeError) as error:
        raise ReconError(
            f"The scene in {folder} was made by another version of this program, or is damaged: {error}.",
            "Make it anew with all photos: handful reconstruct PHOTOS -o OUT.",
        ) from error


def _from_parts(project: Project, asked: Mapping[str, Any], fingerprint: str) -> FinishedScene:
    photos = tuple(KnownPhoto(photo["name"], Path(photo["path"]), photo["sha256"]) for photo in asked["photos"])
    graph = load_result(project, "matches")
    if len(graph.features) != len(photos):
        raise ValueError("its matches and its photos differ")
    fitted = load_result(project, "splats")
    return FinishedScene(
        project=project,
        photos=photos,
        preset=asked["preset"],
        config=config_from_document(asked["config"]),
        heldout=tuple(asked["holdout"]),
        cameras=Path(asked["cameras"]) if asked["cameras"] else None,
        graph=graph,
        scene=load_result(project, "cameras"),
        gaussians=cleaned(project, fitted, made_from=fingerprint).gaussians,
        fingerprint=fingerprint,
    )
