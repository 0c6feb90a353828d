"""Render Gaussians to picture files and films."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon.depth_normals import depth_normals
from recon.film import write_film
from recon.mesh_depth import surface_depth
from recon.progress import Progress, no_progress
from recon.whole_files import write_whole
from splatting.camera import Camera
from splatting.gaussians import Gaussians, Splats
from splatting.rasterizer import Rasterizer, Render

_DEPTH_LEVELS = 65535
_SHOWN_RANGE = (2.0, 98.0)  # percentiles of inverse depth between the ends of the colour map


def render_views(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    names: Sequence[str],
    folder: Path,
    rasterizer: Rasterizer,
    *,
    background: Tensor | None = None,
    with_depth: bool = False,
    with_normals: bool = False,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write one PNG per camera, named after its photo.

    Args:
        names: file names, one per camera; `a.jpg` gives `a.png`, or `a.jpg.png` if there is another `a`. Folders in
            them are dropped.
        folder: made if absent.
        background: colour [3] behind everything; black if None.
        with_depth: also `a_depth.png`: 16 bits, `z = value * scale`, 0 where nothing is seen; the scale in world units,
            one for all, is in `depth_scale.txt`. And `a_depth_view.png` to look at: near is red, far is blue.
        with_normals: also `a_normal.png`: unit normals of the surface in the camera's frame, `rgb = 127.5 * (n + 1)`,
            x right, y up and z towards the camera; black where nothing solid is seen.

    Returns:
        The pictures, in the order of the cameras.

    Raises:
        ValueError: names and cameras differ in number, or two names would give one file.
    """
    if len(names) != len(cameras):
        raise ValueError(f"{len(cameras)} cameras but {len(names)} names")
    stems = picture_stems(names)
    folder.mkdir(parents=True, exist_ok=True)
    splats, written, depths = _activate(gaussians), [], []
    for idx, (camera, stem) in enumerate(zip(cameras, stems, strict=True)):
        progress(idx, len(cameras), f"Rendering {stem}")
        render = _render(splats, camera, rasterizer, background)
        written.append(_write_png(folder / f"{stem}.png", to_rgb8(render)))
        if with_depth:
            depths.append(surface_depth(render))
        if with_normals:
            _write_png(folder / f"{stem}_normal.png", normal_picture(surface_depth(render), camera))
    if depths:
        _write_depths(depths, stems, folder)
    progress(len(cameras), len(cameras), "Rendering")
    return written


def picture_stems(names: Sequence[str]) -> list[str]:
    """What the pictures that `render_views` writes for these photos are named, without `.png`.

    Raises:
        ValueError: two names would give one file.
    """
    stems = [Path(name).stem for name in names]
    if len(set(stems)) != len(stems):
        stems = [Path(name).name for name in names]
    if len(set(stems)) != len(stems):
        raise ValueError("two names would give the same file")
    return stems


def render_video(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    path: Path,
    fps: float,
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
    splats = _activate(gaussians)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for idx, camera in enumerate(cameras):
            progress(idx, len(cameras), "Rendering frames")
            yield to_rgb8(_render(splats, camera, rasterizer, background))

    write_film(frames(), path, fps)
    progress(len(cameras), len(cameras), "Rendering frames")
    return path


def to_rgb8(render: Render) -> NDArray[np.uint8]:
    """The picture of a render [H, W, 3], rounded and clamped."""
    return (render.rgb.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def normal_picture(depth: NDArray[np.float32], camera: Camera) -> NDArray[np.uint8]:
    """The normals of a depth map [H, W] as colours [H, W, 3], with OpenGL's axes; see `render_views`."""
    normals = depth_normals(depth, camera) * np.array([1.0, -1.0, -1.0])
    return np.where(normals.any(axis=2, keepdims=True), np.round(127.5 * (normals + 1)), 0).astype(np.uint8)


def depth_pictures(depths: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """Depth maps [H, W] as colours [H, W, 3], red near and blue far, black where 0; one range for all."""
    known = np.concatenate([1 / depth[depth > 0] for depth in depths] or [np.zeros(0)])
    far, near = np.percentile(known, _SHOWN_RANGE) if len(known) else (0.0, 1.0)
    pictures = []
    for depth in depths:
        inverse = 1 / np.where(depth > 0, depth, 1)
        level = np.clip((inverse - far) / max(near - far, 1e-12), 0, 1)
        colours = cv2.applyColorMap(np.round(255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
        pictures.append(np.where((depth > 0)[..., None], colours, 0).astype(np.uint8))
    return pictures


def _write_depths(depths: Sequence[NDArray[np.float32]], stems: Sequence[str], folder: Path) -> None:
    scale = max(max(float(depth.max(initial=0)) for depth in depths), 1e-9) / _DEPTH_LEVELS
    for stem, depth, picture in zip(stems, depths, depth_pictures(depths), strict=True):
        _write_png(folder / f"{stem}_depth.png", np.round(depth / scale).astype(np.uint16))
        _write_png(folder / f"{stem}_depth_view.png", picture)
    write_whole(folder / "depth_scale.txt", f"{scale:.9g}\n")


def _activate(gaussians: Gaussians) -> Splats:
    with torch.no_grad():
        return gaussians.activate()


def _render(splats: Splats, camera: Camera, rasterizer: Rasterizer, background: Tensor | None) -> Render:
    with torch.no_grad():
        return rasterizer(splats, camera, background=background)


def _write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Path:
    write_whole(path, iio.imwrite("<bytes>", pixels, extension=".png"))
    return path
