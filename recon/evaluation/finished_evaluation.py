"""Look at a finished scene: artefacts in its renders, and what its error on held-out photos is made of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matching.dense_descriptors import DenseDescriber
from recon.evaluation.artefact_map import artefact_map, heat_picture
from recon.evaluation.colour_diagnosis import ColourDiagnosis, diagnose_colours
from recon.evaluation.view_check import load_describer, remember_views
from recon.finished_scene import FinishedScene, open_finished_scene
from recon.optimise import background_of, training_view
from recon.progress import Progress, no_progress
from recon.report import to_plain
from recon.scene import View
from recon.whole_files import write_whole
from splatting import rasterizer
from splatting.camera import Camera

FOLDER = "evaluation"
FILE_NAME = "evaluation.json"
STRANGE = 1.5  # times as unlike the photos as a photo is: a tenth of the pixels of good renders reach 1.2
MAX_BETWEEN = 6


@dataclass(frozen=True)
class RenderFinding:
    """How strange a render looks to who knows the training photos; see `artefact_map`.

    Attributes:
        name: of the held-out photo, or of the two photos between which it is taken.
        score: mean of the map; 1 is as strange as one more photo of the place.
        strange_share: of the pixels above `STRANGE`, in [0, 1].
        picture: the render under its map, relative to the project folder.
    """

    name: str
    score: float
    strange_share: float
    picture: str


@dataclass(frozen=True)
class SceneEvaluation:
    """What was found.

    Attributes:
        renders: of the held-out photos, or, without any, halfway between neighbouring photos.
        colours: see `diagnose_colours`; None without held-out photos.
    """

    renders: tuple[RenderFinding, ...]
    colours: ColourDiagnosis | None


def evaluate_scene(folder: Path, *, progress: Progress = no_progress) -> SceneEvaluation:
    """Render a finished scene and look for artefacts; writes `evaluation/` into the project folder.

    Args:
        folder: the project folder.
        progress: told how far it is.

    Raises:
        ReconError: the folder holds no finished scene, or XFeat's weights are missing.
    """
    finished = open_finished_scene(folder)
    describer = load_describer()
    training = [view for view in finished.scene.views if not view.is_heldout]
    heldout = [view for view in finished.scene.views if view.is_heldout]
    found = SceneEvaluation(
        _look(finished, training, heldout, describer, folder, _part(progress, 0)),
        _diagnose(finished, training, heldout, _part(progress, 1)) if heldout else None,
    )
    write_whole(folder / FOLDER / FILE_NAME, json.dumps(to_plain(found), indent=1, ensure_ascii=False) + "\n")
    progress(1, 1, "done")
    return found


def _look(
    finished: FinishedScene,
    training: Sequence[View],
    heldout: Sequence[View],
    describer: DenseDescriber,
    folder: Path,
    progress: Progress,
) -> tuple[RenderFinding, ...]:
    background = background_of(training)
    draw = rasterizer.create("cpu")
    asked = {view.name: view.camera for view in heldout} or cameras_between(training)
    progress(0, len(asked) + 1, "taking in the photos")
    memory = remember_views(training, describer)
    (folder / FOLDER).mkdir(exist_ok=True)
    findings = []
    for done, (name, camera) in enumerate(asked.items(), start=1):
        progress(done, len(asked) + 1, f"looking at {name}")
        with torch.no_grad():
            rgb = draw(finished.gaussians.activate(), camera, background=background).rgb.clamp(0, 1).numpy()
        strange = artefact_map(memory, rgb)
        path = f"{FOLDER}/artefacts_{Path(name).stem}.png"
        write_whole(folder / path, iio.imwrite("<bytes>", heat_picture(rgb, strange), extension=".png"))
        findings.append(RenderFinding(name, float(strange.mean()), float((strange > STRANGE).mean()), path))
    return tuple(findings)


def _diagnose(
    finished: FinishedScene, training: Sequence[View], heldout: Sequence[View], progress: Progress
) -> ColourDiagnosis:
    return diagnose_colours(
        finished.gaussians,
        [training_view(view, torch.device("cpu")) for view in heldout],
        rasterizer.create("cpu"),
        background_of(training),
        seed=finished.config.seed,
        progress=progress,
    )


def cameras_between(views: Sequence[View]) -> dict[str, Camera]:
    """Cameras halfway between each photo and the nearest other one, at most six, by the names of both: `a-b`."""
    centers = np.stack([view.camera.center for view in views])
    distance = np.linalg.norm(centers[:, None] - centers[None], axis=2) + np.diag(np.full(len(views), np.inf))
    pairs = dict.fromkeys(tuple(sorted((i, int(distance[i].argmin())))) for i in range(len(views)))
    farthest = sorted(pairs, key=lambda pair: -distance[pair])[:MAX_BETWEEN]  # the hardest ones
    return {
        f"{Path(views[a].name).stem}-{Path(views[b].name).stem}": _halfway(views[a].camera, views[b].camera)
        for a, b in sorted(farthest)
    }


def _halfway(a: Camera, b: Camera) -> Camera:
    R = Rotation.from_matrix(np.stack([a.R, b.R])).mean().as_matrix()
    cam_from_world: NDArray[np.float64] = np.eye(4)
    cam_from_world[:3, :3], cam_from_world[:3, 3] = R, -R @ ((a.center + b.center) / 2)
    return Camera(a.K, cam_from_world, a.width, a.height)


def _part(progress: Progress, number: int) -> Progress:
    """The first or the second half of the work."""
    return lambda done, total, message: progress(number * total + done, 2 * max(1, total), message)
