"""Every mesh format: written by us, read by us, by trimesh and, for USDZ, by the library of the format.

Prints one table: sizes, CPU seconds, how far the shape that was read is from what was written, and its colours. USDZ is
read where the package usd-core is installed, and named where not.

Run: python -m tests.bench.bench_mesh_formats [--side N]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from recon.glb import linear_to_srgb
from recon.mesh_files import FORMATS, WRITTEN_FORMATS, read_mesh, write_mesh
from recon.scene import Mesh, Texture

TEXTURED = (".glb", ".obj", ".usdz")
TEXTURE_SIDE_PX = 1024
# Corners [F, 3, 3] and the colours there [F, 3, 3], which are none where the format has none.
Shape = tuple[NDArray[Any], NDArray[Any] | None]


def hills(side: int) -> Mesh:
    """A surface of 2 (side - 1)^2 faces with a smooth picture on it."""
    y, x = np.mgrid[:side, :side] / np.float32(side - 1)
    vertices = np.stack([x, 0.1 * np.sin(9 * x) * np.cos(7 * y), y], axis=-1).reshape(-1, 3).astype(np.float32)
    first = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1, 1, 1)
    faces = (first + np.array([[0, side, 1], [1, side, side + 1]])).reshape(-1, 3).astype(np.int32)
    uv = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
    mesh = Mesh(vertices, faces, _colors(uv), None)
    v, u = np.mgrid[:TEXTURE_SIDE_PX, :TEXTURE_SIDE_PX] / np.float32(TEXTURE_SIDE_PX)
    picture = _colors(np.stack([u, v], axis=-1).reshape(-1, 2)).reshape(TEXTURE_SIDE_PX, TEXTURE_SIDE_PX, 3)
    return replace(mesh, texture=Texture(picture, uv, faces))


def _colors(uv: NDArray[np.float32]) -> NDArray[np.uint8]:
    waves = [np.sin(20 * uv[:, 0]), np.cos(17 * uv[:, 1]), np.sin(11 * (uv[:, 0] + uv[:, 1]))]
    return np.round(127.5 + 120 * np.stack(waves, axis=1)).astype(np.uint8)


def by_us(path: Path) -> Shape:
    """Read with `read_mesh`."""
    mesh = read_mesh(path)
    if mesh.texture is not None:
        return mesh.vertices[mesh.faces], _looked_up(mesh.texture.rgb, mesh.texture.uv[mesh.texture.faces])
    return mesh.vertices[mesh.faces], mesh.vertex_rgb[mesh.faces]


def by_trimesh(path: Path) -> Shape:
    """Read with trimesh, which leaves the colours of a GLB in linear light."""
    (mesh,) = trimesh.load_scene(path, process=False).geometry.values()
    corners, visual = mesh.vertices[mesh.faces], mesh.visual
    if "color" in getattr(visual, "vertex_attributes", {}).keys():  # noqa: SIM118 - no dictionary
        return corners, linear_to_srgb(visual.vertex_attributes["color"][mesh.faces][..., :3])
    if isinstance(visual, trimesh.visual.TextureVisuals):
        picture = getattr(visual.material, "baseColorTexture", None) or visual.material.image
        uv = visual.uv[mesh.faces] * [1, -1] + [0, 1]
        return corners, _looked_up(np.asarray(picture.convert("RGB")), uv)
    return corners, visual.vertex_colors[mesh.faces][..., :3]


def by_usd(path: Path) -> Shape:
    """Read with usd-core: the shape, and the places in the picture."""
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(path))
    shape = UsdGeom.Mesh(stage.GetPrimAtPath("/Scene/Mesh"))
    corners = np.array(shape.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    return np.array(shape.GetPointsAttr().Get())[corners], None


def _looked_up(picture: NDArray[np.uint8], uv: NDArray[Any]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    column, row = (uv[..., 0] * width).astype(int), (uv[..., 1] * height).astype(int)
    return picture[row.clip(0, height - 1), column.clip(0, width - 1)]


def rows(mesh: Mesh, folder: Path) -> Iterator[str]:
    """A row of the table for each format, with and without texture, and each reader."""
    cases = [(suffix, mesh) for suffix in TEXTURED]
    cases += [(suffix, replace(mesh, texture=None)) for suffix in WRITTEN_FORMATS if suffix != ".usdz"]
    for suffix, written in cases:
        path = folder / f"mesh{suffix}"
        for old in folder.iterdir():
            old.unlink()
        seconds = _cpu_seconds(lambda: write_mesh(written, path))[0]  # noqa: B023 - called at once
        size = sum(file.stat().st_size for file in folder.iterdir())
        label = f"{suffix[1:]}{', textured' if written.texture is not None else ''}"
        readers: dict[str, Callable[[Path], Shape]] = {"usd-core": by_usd} if suffix not in FORMATS else {}
        readers = readers or {"ours": by_us, "trimesh": by_trimesh}
        for name, reader in readers.items():
            yield f"| {label} | {size / 1e3:,.0f} | {seconds:.2f} | {_row(name, reader, path, written)}"
            label = ""


def _row(name: str, reader: Callable[[Path], Shape], path: Path, written: Mesh) -> str:
    try:
        seconds, (corners, colors) = _cpu_seconds(lambda: reader(path))
    except ImportError:
        return f"| {name} | is not installed | | |"
    shape = np.abs(corners - written.vertices[written.faces]).max()
    if colors is None or path.suffix in (".stl", ".3mf"):
        return f"{seconds:.2f} | {name} | {len(corners):,} | {shape:.1g} | – |"
    if written.texture is not None:
        expected = _looked_up(written.texture.rgb, written.texture.uv[written.texture.faces])
    else:
        expected = written.vertex_rgb[written.faces]
    off = np.abs(colors.astype(int) - expected)
    return f"{seconds:.2f} | {name} | {len(corners):,} | {shape:.1g} | {off.mean():.2g} |"


def _cpu_seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    made = action()
    return time.process_time() - start, made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=200)
    mesh = hills(parser.parse_args().side)
    print(f"{len(mesh.faces):,} faces, a texture of {TEXTURE_SIDE_PX} px; trimesh {trimesh.__version__}\n")
    print("| format | kB | CPU s to write | to read | read by | faces | shape, largest | colour, mean of 255 |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(mesh, Path(folder)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
