"""What the user took out of a finished scene: kept beside it, step by step, and never in what the stages stored.

`work/` holds the Gaussians as they were fitted. `cleaned.json` in the project folder says which of them were removed;
whoever writes or uses the fitted Gaussians takes them through `cleaned`, so that nothing comes back unsaid.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon.errors import ReconError
from recon.mesh_simplify import used_part
from recon.project import Project
from recon.scene import Mesh
from splatting.edit_history import EditHistory
from splatting.gaussians import Gaussians

CLEANING_FILE = "cleaned.json"
_NEIGHBOURS, _ENOUGH = 8, 7  # of the Gaussians around a vertex were removed: then its place was, not just floaters


@dataclass(frozen=True)
class Cleaned:
    """Fitted Gaussians after what the user removed.

    Attributes:
        gaussians: those that are left.
        removed: which of the fitted ones are not [N].
        fitted: all of them.
        note: what to tell the user; None if nothing was ever removed.
    """

    gaussians: Gaussians
    removed: NDArray[np.bool_]
    fitted: Gaussians
    note: str | None = None

    @property
    def identity(self) -> list[str]:
        """What a mesh made of them depends on, besides the fitted ones: nothing if none was removed."""
        return [hashlib.sha256(np.packbits(self.removed).tobytes()).hexdigest()] if self.removed.any() else []

    def without_removed(self, mesh: Mesh) -> Mesh:
        """A mesh without the faces that lie where everything was removed; stereo depth may have brought them back."""
        if not self.removed.any() or not len(mesh.faces):
            return mesh
        count = min(_NEIGHBOURS, len(self.fitted))
        _, rows = cKDTree(self.fitted.means.numpy()).query(mesh.vertices, count)
        is_gone = self.removed[rows.reshape(len(mesh.vertices), count)].sum(axis=1) >= min(_ENOUGH, count)
        faces = mesh.faces[~is_gone[mesh.faces].all(axis=1)]
        return used_part(mesh.vertices, faces, mesh.vertex_rgb) if len(faces) else mesh


def cleaned(project: Project, fitted: Gaussians, *, made_from: str) -> Cleaned:
    """The fitted Gaussians without those that were removed from them.

    Removals belong to the fit that they were made in: after another one all Gaussians stay, and the note says so.

    Args:
        made_from: fingerprint of what the Gaussians were fitted from.

    Raises:
        ReconError: the file of removals is damaged.
    """
    nothing = np.zeros(len(fitted), bool)
    document = _document(project)
    if document is None:
        return Cleaned(fitted, nothing, fitted)
    history = _history(project, document)
    steps = "; ".join(step.what for step in history.steps)
    if document["made_from"] != made_from or history.num_gaussians != len(fitted):
        return Cleaned(fitted, nothing, fitted, _AGAIN.format(steps=steps, out=project.folder) if steps else None)
    removed = history.removed()
    if not removed.any():
        return Cleaned(fitted, nothing, fitted)
    note = cleaning_note(project, history)
    return Cleaned(fitted.select(torch.from_numpy(~removed)), removed, fitted, note)


def cleaning_note(project: Project, history: EditHistory) -> str | None:
    """What the report says of the steps; None if there are none."""
    if not len(history):
        return None
    return _NOTE.format(
        count=int(history.removed().sum()),
        total=history.num_gaussians,
        steps="; ".join(step.what for step in history.steps),
        out=project.folder,
    )


_NOTE = "{count:,} of {total:,} Gaussians were cleaned away: {steps}. 'handful clean {out} --undo' takes a step back."
_AGAIN = (
    "The splats were made anew, so what was cleaned away before ({steps}) may be back. Clean them again: handful clean "
    "{out} --help."
)


def history_of(project: Project, num_gaussians: int, *, made_from: str) -> EditHistory:
    """The steps that removed some of these Gaussians; none if those on file belong to others.

    Raises:
        ReconError: the file is damaged.
    """
    document = _document(project)
    history = EditHistory(num_gaussians) if document is None else _history(project, document)
    if document is None or document["made_from"] != made_from or history.num_gaussians != num_gaussians:
        return EditHistory(num_gaussians)
    return history


def history_document(history: EditHistory, made_from: str) -> str:
    """The text of `cleaned.json`."""
    return json.dumps({"made_from": made_from, **history.to_document()}, indent=1) + "\n"


def _document(project: Project) -> dict[str, Any] | None:
    path = project.folder / CLEANING_FILE
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["made_from"], document["steps"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(project, error) from error
    return dict(document)


def _history(project: Project, document: dict[str, Any]) -> EditHistory:
    try:
        return EditHistory.from_document(document)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(project, error) from error


def _damaged(project: Project, error: Exception) -> ReconError:
    path = project.folder / CLEANING_FILE
    return ReconError(f"{path} cannot be read: {error}.", "Delete it: all that was cleaned away comes back then.")
