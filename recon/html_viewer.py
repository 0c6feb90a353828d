"""The scene as one page that shows it in any browser: self-contained, offline, with a viewer of our own in WebGL2.

The viewer's sources are `assets/viewer`; the splats are coded as `recon.html_splats` says. The page fetches nothing:
its content security policy forbids it, and lets no script run but the viewer.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from recon.camera_files import read_cameras
from recon.camera_paths import MIDDLE_SHARE, scene_center, turntable
from recon.errors import ReconError
from recon.html_splats import drawable_part, pack_splats
from recon.whole_files import write_whole
from splatting.camera import Camera
from splatting.formats.ply import read_ply
from splatting.gaussians import Gaussians

SCRIPTS = ("camera.js", "splats.js", "renderer.js", "frusta.js", "controls.js", "interface.js", "viewer.js")
BACKGROUND = (16, 19, 23)  # #101317, as in viewer.css
MAX_SPLATS = 2_000_000  # more than phones hold, and about 100 MB of page
_THUMBNAIL_HEIGHT_PX, _THUMBNAIL_QUALITY = 128, 80  # shown 62 px high: sharp on screens of two pixels to one
_SOLID = 0.5  # opacity of what one looks at


@dataclass(frozen=True)
class PagePhoto:
    """A photo whose place the page can fly to.

    Attributes:
        name: shown to people; may hold anything.
        camera: its camera.
        rgb: picture for the strip, any size, [H, W, 3] uint8; None shows the number only.
    """

    name: str
    camera: Camera
    rgb: NDArray[np.uint8] | None = None


def write_html(
    gaussians: Gaussians, photos: Sequence[PagePhoto], path: Path, *, title: str, start: Camera | None = None
) -> None:
    """Write Gaussians as a page; the file appears whole or not at all.

    The address `page.html#view=3` opens it at the third photo; `#view=3&ui=0` shows nothing but the scene.

    Args:
        photos: in the order of the number keys; may be empty if there is a `start`.
        title: of the page; may hold anything.
        start: what is seen first; the first photo's camera if None.

    Raises:
        ValueError: nothing of the Gaussians can be drawn, they are more than `MAX_SPLATS`, or there is no camera.
    """
    visible = drawable_part(gaussians)
    if not 0 < len(visible) <= MAX_SPLATS:
        raise ValueError(f"a page holds 1 to {MAX_SPLATS} visible splats, got {len(visible)}")
    if start is None and not photos:
        raise ValueError("neither a photo nor a start: nowhere to look from")
    xyz = _solid_centers(visible)
    description = {
        "count": len(visible),
        "numHarmonics": visible.sh.shape[1] - 1,
        "background": [value / 255 for value in BACKGROUND],
        "start": _camera(start or photos[0].camera, xyz),
        "photos": [
            {"name": photo.name, "camera": _camera(photo.camera, xyz), "thumbnail": _thumbnail(photo.rgb)}
            for photo in photos
        ],
    }
    write_whole(path, _page(title, description, pack_splats(visible, visible.sh_degree)))


def export_html(project: Path, destination: Path) -> Path:
    """Write the page of a project folder with finished splats, named after the folder.

    Reads `splats.ply`, `cameras.json` and `images/`; a missing image only misses in the strip.

    Returns:
        `destination`.

    Raises:
        ReconError: splats or cameras are missing or damaged, or nothing can be drawn.
        OSError: the destination cannot be written.
    """
    if not (project / "splats.ply").is_file():
        raise ReconError(
            f"The project {project} holds no Gaussian splats yet.", "Run reconstruct at least until the stage splats."
        )
    cameras = {name: known.camera for name, known in read_cameras(project / "cameras.json").items()}
    photos = [PagePhoto(name, camera, _image(project / "images" / name)) for name, camera in cameras.items()]
    try:
        gaussians = read_ply(project / "splats.ply")
        start = _start(gaussians, list(cameras.values()))
        write_html(gaussians, photos, destination, title=project.resolve().name, start=start)
    except ValueError as error:
        raise ReconError(f"The splats in {project} cannot be shown: {error}.", "Run reconstruct again.") from error
    return destination


def _start(gaussians: Gaussians, cameras: Sequence[Camera]) -> Camera | None:
    """The place of the previews: an eighth of the way along the turntable."""
    if not cameras:
        return None
    return turntable(cameras, scene_center(_solid_centers(drawable_part(gaussians)), cameras), 16)[2]


def _solid_centers(gaussians: Gaussians) -> NDArray[np.float64]:
    """Centres of the Gaussians that hide what is behind them, all if there are none, [N, 3]."""
    is_solid = gaussians.opacity_logits.sigmoid().numpy() >= _SOLID
    means = gaussians.means.numpy().astype(np.float64)
    return means[is_solid] if is_solid.any() else means


def _camera(camera: Camera, xyz: NDArray[np.float64]) -> dict[str, Any]:
    K = camera.K
    lens = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "width": camera.width, "height": camera.height}
    return {
        "camFromWorld": camera.cam_from_world[:3].ravel().tolist(),
        "lens": {name: float(value) for name, value in lens.items()},
        "focus": _focus(camera, xyz),
    }


def _focus(camera: Camera, xyz: NDArray[np.float64]) -> float:
    """Depth of what a camera shows in its middle: the point that one turns around."""
    pixels, depth = camera.project(xyz)
    from_middle = np.abs(pixels / [camera.width, camera.height] - 0.5).max(1)
    for seen in ((depth > 0) & (from_middle < MIDDLE_SHARE / 2), depth > 0):
        if seen.any():
            return float(np.median(depth[seen]))
    return float(np.linalg.norm(np.median(xyz, axis=0) - camera.center)) or 1.0


def _thumbnail(rgb: NDArray[np.uint8] | None) -> str | None:
    """A small JPEG as a data URI."""
    if rgb is None:
        return None
    picture = Image.fromarray(rgb)
    width = max(1, round(picture.width * _THUMBNAIL_HEIGHT_PX / picture.height))
    memory = io.BytesIO()
    picture.resize((width, _THUMBNAIL_HEIGHT_PX), Image.Resampling.BOX).save(memory, "JPEG", quality=_THUMBNAIL_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(memory.getvalue()).decode("ascii")


def _image(path: Path) -> NDArray[np.uint8] | None:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError):
        return None


def _page(title: str, description: dict[str, Any], splats: bytes) -> str:
    """Fill the template."""
    source = files("assets") / "viewer"
    style = (source / "viewer.css").read_text("utf-8")
    script = "".join((source / name).read_text("utf-8") for name in SCRIPTS)
    # A script element ends at "</script", whatever is around it; inside JSON "<" can be written otherwise.
    document = json.dumps(description, allow_nan=False).replace("<", "\\u003c")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; worker-src blob:; "
        f"script-src {_hash(script)}; style-src {_hash(style)}"
    )
    parts = {
        "title": escape(title),
        "policy": policy,
        "style": style,
        "script": script,
        "description": document,
        "splats": base64.b64encode(splats).decode("ascii"),
    }
    template = (source / "index.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
