"""How large an export will be, told before it is written.

Formats of a fixed layout are counted, those that compress are written for a sample. Of eleven projects all
were within 10 % of the files that were written; `tests/bench/bench_export_sizes.py` measures that.
"""

import io
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon.errors import ReconError

_SAMPLE = 16_384  # Gaussians; twice as many are no nearer
# What a sample takes more than its share, in the mean of eleven scenes: neighbours in a picture or stream differ more.
_SOG_EXCESS, _HTML_EXCESS = 1.07, 1.045
_ROWS = 2000  # of a mesh's vertices, texture places and faces
_BANDS, _BAND_PX = 16, 32  # of a texture
_COMPRESSED_PLY_HEADER, _SPLAT_GLB_HEADER, _MESH_PLY_HEADER = 1000, 2200, 300
_XML_BLOCKS, _XML_ROWS = 8, 1000  # neighbours together, as deflate sees them
_BINARY_SHARE = 0.88  # of a COLMAP model in text
_FRAME_BYTES = 900  # of transforms.json
_POINT_BYTES = 16  # of a PLY of coloured points
_THUMBNAIL_BYTES = 7000  # of a photo in the page


def export_size(project: Path, format: str) -> int:
    """Bytes of all that `recon.export.export` would write, within 10 %; takes up to a second.

    Args:
        project: the project folder.
        format: a key of `recon.export.EXPORTERS`.

    Raises:
        ReconError: the project does not hold what is exported, or it is damaged.
        ValueError: there is no such format.
    """
    if format not in _SIZES:
        raise ValueError(f"format must be one of {', '.join(_SIZES)}, got {format!r}")
    try:
        return round(_SIZES[format](project))
    except (OSError, ValueError) as error:
        raise ReconError(f"{project.name} cannot be measured: {error}.", "Run reconstruct again.") from error


def _of_file(name: str, project: Path) -> float:
    return (project / name).stat().st_size


def _splats(project: Path) -> Any:
    from splatting.formats.ply import read_ply  # loads torch

    return read_ply(project / "splats.ply")


def _fixed(header: int, base: float, per_harmonic: float, project: Path) -> float:
    """A layout with so many bytes for a Gaussian, and for each of its numbers above the constant colour."""
    gaussians = _splats(project)
    return header + len(gaussians) * (base + per_harmonic * 3 * (gaussians.sh.shape[1] - 1))


def _sample(gaussians: Any) -> tuple[Any, float]:
    """Some of the Gaussians, spread over all of them, and how many there are for each."""
    import torch

    count = min(len(gaussians), _SAMPLE)
    rows = torch.linspace(0, len(gaussians) - 1, count).long()
    return gaussians.select(rows), len(gaussians) / max(count, 1)


def _spz(project: Path) -> float:
    from splatting.formats.spz import write_spz

    sample, times = _sample(_splats(project))
    return times * _written(lambda path: write_spz(sample, path), ".spz")


def _sog(project: Path) -> float:
    """With a palette that is as large for the sample as the whole one is for all."""
    from splatting.formats.sog import usual_palette, write_sog

    gaussians = _splats(project)
    sample, times = _sample(gaussians)
    size = max(1, round(usual_palette(len(gaussians)) / times))
    written = _written(lambda path: write_sog(sample, path, max_palette=size), ".sog")
    return times * written / _SOG_EXCESS if times > 1 else written


def _html(project: Path) -> float:
    from recon.camera_files import read_cameras
    from recon.html_splats import drawable_part, pack_splats

    sample, times = _sample(_splats(project))
    packed = 4 / 3 * times * len(pack_splats(drawable_part(sample), sample.sh_degree))
    packed /= _HTML_EXCESS if times > 1 else 1
    viewer = sum(len(file.read_bytes()) for file in (files("assets") / "viewer").iterdir() if file.is_file())
    return packed + viewer + 4 / 3 * _THUMBNAIL_BYTES * len(read_cameras(project / "cameras.json"))


def _written(write: Callable[[Path], object], suffix: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"
        write(path)
        return path.stat().st_size


def _mesh(project: Path) -> Any:
    from recon.mesh_files import read_mesh

    return read_mesh(project / "mesh.glb")


def _stl(project: Path) -> float:
    return 84 + 50 * len(_mesh(project).faces)


def _threemf(project: Path) -> float:
    mesh = _mesh(project)
    vertices = _deflated(mesh.vertices.astype(float), '<vertex x="{}" y="{}" z="{}" />')
    return vertices + _deflated(mesh.faces, '<triangle v1="{}" v2="{}" v3="{}" />')


def _deflated(rows: NDArray[Any], element: str) -> float:
    """Bytes of rows as elements of XML in a ZIP, from blocks of them."""
    block = min(_XML_ROWS, len(rows))
    starts = np.linspace(0, len(rows) - block, min(_XML_BLOCKS, max(1, len(rows) // block))).astype(int)
    some = np.concatenate([rows[start : start + block] for start in starts]).tolist()
    return len(zlib.compress("".join(element.format(*row) for row in some).encode())) * len(rows) / len(some)


def _mesh_ply(project: Path) -> float:
    mesh = _mesh(project)
    return _MESH_PLY_HEADER + 16 * len(mesh.vertices) + 13 * len(mesh.faces)


def _obj(project: Path) -> float:
    mesh = _mesh(project)
    if mesh.texture is None:
        corners = np.hstack([mesh.vertices, mesh.vertex_rgb / 255])
        return _text(corners, "v %.9g %.9g %.9g %.5g %.5g %.5g") + _text(mesh.faces + 1, "f %d %d %d")
    texture = mesh.texture
    corners = np.stack([mesh.faces, texture.faces], axis=2).reshape(-1, 6) + 1
    text = _text(mesh.vertices, "v %.9g %.9g %.9g") + _text(texture.uv, "vt %.9g %.9g")
    return text + _text(corners, "f %d/%d %d/%d %d/%d") + _png(texture.rgb)


def _usdz(project: Path) -> float:
    from recon.usdz import usdz_bytes

    return len(usdz_bytes(_mesh(project)))


def _text(rows: NDArray[Any], line: str) -> float:
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _ROWS)).astype(int)]
    text = io.StringIO()
    np.savetxt(text, some, line)
    return len(text.getvalue()) * len(rows) / max(len(some), 1)


def _png(rgb: NDArray[Any]) -> float:
    """Of a picture [H, W, 3], from bands of it."""
    import imageio.v3 as iio

    height = len(rgb)
    band = min(_BAND_PX, height)
    starts = np.linspace(0, height - band, min(_BANDS, max(1, height // band))).astype(int)
    some = np.concatenate([rgb[start : start + band] for start in starts])
    return len(iio.imwrite("<bytes>", some, extension=".png", plugin="pillow")) * height / len(some)


def _pictures(project: Path) -> list[int]:
    return [file.stat().st_size for file in sorted((project / "images").glob("*")) if file.is_file()]


def _model(project: Path) -> list[int]:
    return [(project / "cameras" / f"{name}.txt").stat().st_size for name in ("cameras", "images", "points3D")]


def _colmap(share: float, project: Path) -> float:
    return share * sum(_model(project)) + sum(_pictures(project))


def _transforms(project: Path) -> float:
    with (project / "cameras" / "points3D.txt").open("rb") as file:
        num_points = sum(not line.startswith(b"#") for line in file)
    pictures = _pictures(project)
    return sum(pictures) + _FRAME_BYTES * len(pictures) + _POINT_BYTES * num_points


_SIZES: dict[str, Callable[[Path], float]] = {
    "ply": partial(_of_file, "splats.ply"),
    "compressed-ply": partial(_fixed, _COMPRESSED_PLY_HEADER, 16 + 72 / 256, 1),
    "splat": partial(_fixed, 0, 32, 0),
    "spz": _spz,
    "sog": _sog,
    "splat-glb": partial(_fixed, _SPLAT_GLB_HEADER, 60, 4),
    "glb": partial(_of_file, "mesh.glb"),
    "obj": _obj,
    "stl": _stl,
    "3mf": _threemf,
    "mesh-ply": _mesh_ply,
    "usdz": _usdz,
    "colmap": partial(_colmap, 1.0),
    "colmap-bin": partial(_colmap, _BINARY_SHARE),
    "transforms": _transforms,
    "cameras": partial(_of_file, "cameras.json"),
    "html": _html,
}
