"""Whether the mesh of a project belongs to its splats as they are: cleaning changes these and leaves the mesh."""

import json
from typing import Any

from recon.artefacts import ArtefactError
from recon.cleaning import Cleaned, cleaned
from recon.config import ReconConfig, config_from_document
from recon.project import PROJECT_FILE, Project
from recon.stages import next_fingerprint
from recon.stored_results import load_result


def mesh_settings(config: ReconConfig, kept: Cleaned) -> list[Any]:
    """All that a mesh depends on beyond the results of the earlier stages."""
    return [config.mesh, config.texture, *kept.identity]


def is_mesh_fresh(project: Project) -> bool:
    """The mesh was made from the splats as they are after cleaning, with the project's settings.

    False where that cannot be told: there is no mesh, or another version of the program made the project.

    Raises:
        ReconError: the file of removals is damaged.
    """
    if not (project.folder / "mesh.glb").is_file():
        return False
    made_from = project.record("splats").get("fingerprint", "")
    try:
        asked = json.loads((project.folder / PROJECT_FILE).read_text(encoding="utf-8"))
        config, fitted = config_from_document(asked["config"]), load_result(project, "splats")
    except (ArtefactError, OSError, ValueError, KeyError, TypeError):
        return False
    kept = cleaned(project, fitted, made_from=made_from)
    return project.record("mesh").get("fingerprint") == next_fingerprint(made_from, "mesh", mesh_settings(config, kept))
