"""Mesh files: GLB, PLY, OBJ, STL and 3MF, written whole or not at all."""

import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from recon.glb import glb_bytes, parse_glb, textured_mesh
from recon.scene import Mesh, Texture
from recon.whole_files import write_whole

if TYPE_CHECKING:
    import trimesh  # takes half a second: imported where it is used

FORMATS = (".glb", ".ply", ".obj", ".stl", ".3mf")
_GREY = 128
# A 3MF file is a ZIP archive of XML. XML of triangles shrinks to about a fifth.
_LARGEST_UNPACKED = 2_000_000_000
_LARGEST_RATIO = 100


def write_mesh(mesh: Mesh, path: Path) -> None:
    """Write a mesh in the format that the file name ends with.

    GLB and OBJ hold the texture, OBJ in a PNG beside it, named by an MTL file beside it; without a texture they hold
    the colours of the vertices, as PLY does always. STL and 3MF hold the shape only. The world frame (+Y up,
    right-handed) is that of glTF, so positions stay as they are.

    Raises:
        ValueError: no such format, or the mesh has no faces, indices out of range or values that are not finite.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"mesh files end in {', '.join(FORMATS)}, got {path.name}")
    check_mesh(mesh)
    if suffix == ".glb":
        write_whole(path, glb_bytes(mesh))
    elif suffix == ".obj":
        _write_obj(mesh, path)
    else:
        import trimesh

        colors = mesh.vertex_rgb if suffix == ".ply" else None
        whole: Any = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors, process=False)
        write_whole(path, whole.export(file_type=suffix[1:]))


def _write_obj(mesh: Mesh, path: Path) -> None:
    """OBJ with MTL and PNG.

    By hand: trimesh repeats the vertices along seams, so that the shape falls into pieces in programs that edit it.
    """
    text = io.StringIO()
    texture = mesh.texture
    if texture is None:
        np.savetxt(text, np.hstack([mesh.vertices, mesh.vertex_rgb / 255]), "v %.9g %.9g %.9g %.5g %.5g %.5g")
        np.savetxt(text, mesh.faces + 1, "f %d %d %d")
    else:
        stem = re.sub(r"[^\w.-]", "_", path.stem)  # readers end a name at a space
        material, picture = path.with_name(f"{stem}.mtl"), path.with_name(f"{stem}.png")
        write_whole(picture, iio.imwrite("<bytes>", texture.rgb, extension=".png", plugin="pillow"))
        write_whole(material, f"newmtl photos\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {picture.name}\n")
        text.write(f"mtllib {material.name}\nusemtl photos\n")
        np.savetxt(text, mesh.vertices, "v %.9g %.9g %.9g")
        np.savetxt(text, np.stack([texture.uv[:, 0], 1 - texture.uv[:, 1]], axis=1), "vt %.9g %.9g")  # from below
        corners = np.stack([mesh.faces, texture.faces], axis=2).reshape(-1, 6) + 1
        np.savetxt(text, corners, "f %d/%d %d/%d %d/%d")
    write_whole(path, text.getvalue())


def read_mesh(path: Path) -> Mesh:
    """Read a mesh: GLB as `write_mesh` writes it; the others through trimesh, grey where colourless.

    Positions come back exactly, faces in their order; vertices that a texture's seams repeat in the file are joined.

    Raises:
        ValueError: the file is damaged, promises more than it holds, holds no triangles, or is a GLB of another layout.
        OSError: it cannot be read.
    """
    suffix = path.suffix.lower()
    mesh = parse_glb(path.read_bytes(), str(path)) if suffix == ".glb" else _from_trimesh(_load(path, suffix))
    try:
        check_mesh(mesh)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return mesh


def _load(path: Path, suffix: str) -> "trimesh.Trimesh":
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    import trimesh

    try:
        if suffix == ".3mf":
            _check_archive(path)
        loaded = trimesh.load(path, process=False)
        if isinstance(loaded, trimesh.Scene):
            loaded = loaded.to_mesh()
    except Exception as error:  # trimesh raises whatever its parsers meet in a damaged file
        raise ValueError(f"{path}: cannot be read as a mesh; it is damaged, or not {suffix} inside") from error
    if not isinstance(loaded, trimesh.Trimesh) or len(loaded.faces) == 0:
        raise ValueError(f"{path}: holds no triangles")
    return loaded


def _check_archive(path: Path) -> None:
    """Refuse archives that unpack to far more than meshes do."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > min(_LARGEST_UNPACKED, _LARGEST_RATIO * path.stat().st_size):
        raise ValueError("the archive unpacks to more than a mesh")


def _from_trimesh(loaded: "trimesh.Trimesh") -> Mesh:
    from trimesh.visual import ColorVisuals

    vertices, faces = loaded.vertices.astype(np.float32), loaded.faces.astype(np.int32)
    visual: Any = loaded.visual
    picture = getattr(getattr(visual, "material", None), "image", None)
    if picture is not None and visual.uv is not None and len(visual.uv) == len(vertices):
        uv = np.stack([visual.uv[:, 0], 1 - visual.uv[:, 1]], axis=1).astype(np.float32)
        return textured_mesh(vertices, faces, Texture(np.asarray(picture.convert("RGB")), uv, faces))
    rgb = np.full((len(vertices), 3), _GREY, np.uint8)
    if isinstance(visual, ColorVisuals) and visual.kind == "vertex":
        rgb = np.asarray(visual.vertex_colors)[:, :3].astype(np.uint8)
    return Mesh(vertices, faces, rgb)


def check_mesh(mesh: Mesh) -> None:
    """Raise ValueError, saying why, unless shapes, indices and values are those of a mesh."""
    _check_rows(mesh.vertices, 3, "vertices")
    _check_rows(mesh.faces, 3, "faces")
    _check_rows(mesh.vertex_rgb, 3, "vertex_rgb")
    if len(mesh.vertex_rgb) != len(mesh.vertices):
        raise ValueError(f"{len(mesh.vertices)} vertices but {len(mesh.vertex_rgb)} colours")
    if len(mesh.faces) == 0:
        raise ValueError("the mesh has no faces")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise ValueError("a face names a vertex that does not exist")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("a vertex is not finite")
    if mesh.texture is not None:
        _check_texture(mesh.texture, len(mesh.faces))


def _check_texture(texture: Texture, num_faces: int) -> None:
    _check_rows(texture.uv, 2, "uv")
    _check_rows(texture.faces, 3, "the texture's faces")
    if texture.rgb.ndim != 3 or texture.rgb.shape[2] != 3 or texture.rgb.size == 0:
        raise ValueError(f"the texture must be [H, W, 3], got {texture.rgb.shape}")
    if len(texture.faces) != num_faces:
        raise ValueError(f"{num_faces} faces but {len(texture.faces)} of the texture")
    if texture.faces.min() < 0 or texture.faces.max() >= len(texture.uv):
        raise ValueError("a face names a place in the texture that does not exist")
    if not np.isfinite(texture.uv).all():
        raise ValueError("a place in the texture is not finite")


def _check_rows(values: NDArray[np.generic], width: int, what: str) -> None:
    if values.ndim != 2 or values.shape[1] != width:
        raise ValueError(f"{what} must be [N, {width}], got {values.shape}")
