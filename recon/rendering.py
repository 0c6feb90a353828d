"""Render Gaussians to picture files and films."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import imageio.v3 as iio
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon.mesh_depth import surface_depth
from recon.progress import Progress, no_progress
from recon.whole_files import write_whole
from splatting.camera import Camera
from splatting.gaussians import Gaussians, Splats
from splatting.rasterizer import Rasterizer, Render

_DEPTH_LEVELS = 65535
Output = Literal["rgb", "rgb+depth"]


def render_views(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    names: Sequence[str],
    folder: Path,
    rasterizer: Rasterizer,
    *,
    background: Tensor | None = None,
    outputs: Output = "rgb",
    progress: Progress = no_progress,
) -> list[Path]:
    """Write one PNG per camera, named after its photo.

    Args:
        names: file names, one per camera; `a.jpg` gives `a.png`. Folders in them are dropped.
        folder: made if absent.
        background: colour [3] behind everything; black if None.
        outputs: "rgb+depth" also writes `a_depth.png`: 16 bits, `z = value * scale`, 0 where nothing is seen; the scale
            in world units, one for all, is in `depth_scale.txt`.

    Returns:
        The pictures, in the order of the cameras.

    Raises:
        ValueError: names and cameras differ in number, or two names would give one file.
    """
    stems = [Path(name).stem for name in names]
    if len(stems) != len(cameras):
        raise ValueError(f"{len(cameras)} cameras but {len(stems)} names")
    if len(set(stems)) != len(stems):
        raise ValueError("two names would give the same file")
    folder.mkdir(parents=True, exist_ok=True)
    splats, written, depths = _activate(gaussians), [], []
    for idx, (camera, stem) in enumerate(zip(cameras, stems, strict=True)):
        progress(idx, len(cameras), f"Rendering {stem}")
        render = _render(splats, camera, rasterizer, background)
        written.append(_write_png(folder / f"{stem}.png", to_rgb8(render)))
        if outputs == "rgb+depth":
            depths.append(surface_depth(render))
    if depths:
        scale = max(max(float(depth.max(initial=0)) for depth in depths), 1e-9) / _DEPTH_LEVELS
        for stem, depth in zip(stems, depths, strict=True):
            _write_png(folder / f"{stem}_depth.png", np.round(depth / scale).astype(np.uint16))
        (folder / "depth_scale.txt").write_text(f"{scale:.9g}\n")
    progress(len(cameras), len(cameras), "Rendering")
    return written


def render_video(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    path: Path,
    fps: int,
    *,
    rasterizer: Rasterizer,
    background: Tensor | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Write an MP4 (H.264, 4:2:0) with one frame per camera; odd sizes lose their last row or column.

    The file appears when it is whole.

    Raises:
        ValueError: no cameras, cameras of several sizes or below 2 x 2 px, a bad frame rate or no .mp4.
    """
    if not cameras or len({(camera.width, camera.height) for camera in cameras}) != 1:
        raise ValueError("a film needs cameras, all of one size")
    width, height = cameras[0].width // 2 * 2, cameras[0].height // 2 * 2
    if min(width, height) < 2 or fps < 1:
        raise ValueError(f"a film needs at least 2 x 2 px and 1 frame a second, got {width} x {height} at {fps}")
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"films end in .mp4, got {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.stem}.partial.mp4")
    splats = _activate(gaussians)
    try:
        with iio.imopen(aside, "w", plugin="pyav") as film:
            film.init_video_stream("libx264", fps=fps, pixel_format="yuv420p")
            for idx, camera in enumerate(cameras):
                progress(idx, len(cameras), "Rendering frames")
                frame = to_rgb8(_render(splats, camera, rasterizer, background))
                film.write_frame(np.ascontiguousarray(frame[:height, :width]))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    progress(len(cameras), len(cameras), "Rendering frames")
    return path


def to_rgb8(render: Render) -> NDArray[np.uint8]:
    """The picture of a render [H, W, 3], rounded and clamped."""
    return (render.rgb.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _activate(gaussians: Gaussians) -> Splats:
    with torch.no_grad():
        return gaussians.activate()


def _render(splats: Splats, camera: Camera, rasterizer: Rasterizer, background: Tensor | None) -> Render:
    with torch.no_grad():
        return rasterizer(splats, camera, background=background)


def _write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Path:
    write_whole(path, iio.imwrite("<bytes>", pixels, extension=".png"))
    return path
