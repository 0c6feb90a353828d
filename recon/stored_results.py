"""What each stage leaves in a project's `work/`, and reading it back: for commands that go on from a finished scene."""

from typing import Any

from matching.types import Features
from recon.artefacts import load_artefact
from recon.dense import DenseScene
from recon.match_graph import MatchGraph, PairMatches
from recon.progress import StageName
from recon.project import Project
from recon.scene import DepthMap, Mesh, PointCloud, Reconstruction, Texture, UnplacedPhoto, View
from splatting.camera import Camera
from splatting.gaussians import Gaussians

RESULT_TYPES: dict[StageName, tuple[type, ...]] = {
    "photos": (),  # reading them again is as fast
    "matches": (MatchGraph, PairMatches, Features),
    "cameras": (Reconstruction, View, Camera, PointCloud, UnplacedPhoto),
    "points": (DenseScene, DepthMap, Gaussians),
    "splats": (Gaussians,),
    "mesh": (Mesh, Texture),
}
"""The dataclasses in a stage's result, the result's own first; none: it is not stored."""


def load_result(project: Project, stage: StageName) -> Any:
    """The stored result of a stage, of the first of its `RESULT_TYPES`.

    Raises:
        ArtefactError: it is missing or damaged.
    """
    return load_artefact(project.artefact(stage), RESULT_TYPES[stage])
