"""Mesh files: GLB, PLY, OBJ, STL and 3MF, read and written; USDZ written. Whole or not at all."""

import io
import re
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from recon.foreign_meshes import read_parts
from recon.glb import glb_bytes
from recon.glb_reader import read_glb
from recon.mesh_parts import MeshPart, joined
from recon.scene import Mesh, Texture
from recon.usdz import usdz_bytes
from recon.whole_files import write_whole

FORMATS = (".glb", ".ply", ".obj", ".stl", ".3mf")
WRITTEN_FORMATS = (*FORMATS, ".usdz")
_FARTHEST_UV = 1e5  # in repetitions of the picture: beyond, float32 has no places left within one


def write_mesh(mesh: Mesh, path: Path) -> None:
    """Write a mesh in the format that the file name ends with.

    GLB, OBJ and USDZ hold the texture, OBJ in a PNG beside it, named by an MTL file beside it; without a texture they
    hold the colours of the vertices, as PLY does always. STL and 3MF hold the shape only. The world frame (+Y up,
    right-handed) is that of glTF, so positions stay as they are.

    Raises:
        ValueError: no such format, or the mesh has no faces, indices out of range or values that are not finite.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_FORMATS:
        raise ValueError(f"mesh files end in {', '.join(WRITTEN_FORMATS)}, got {path.name}")
    check_mesh(mesh)
    if suffix == ".glb":
        write_whole(path, glb_bytes(mesh))
    elif suffix == ".usdz":
        write_whole(path, usdz_bytes(mesh))
    elif suffix == ".obj":
        _write_obj(mesh, path)
    else:
        import trimesh  # takes half a second

        colors = mesh.vertex_rgb if suffix == ".ply" else None
        whole: Any = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors, process=False)
        write_whole(path, whole.export(file_type=suffix[1:]))


def files_beside(path: Path) -> tuple[Path, ...]:
    """What else `write_mesh` may write: an OBJ's material and picture."""
    if path.suffix.lower() != ".obj":
        return ()
    stem = re.sub(r"[^\w.-]", "_", path.stem)  # readers end a name at a space
    return path.with_name(f"{stem}.mtl"), path.with_name(f"{stem}.png")


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
        material, picture = files_beside(path)
        write_whole(picture, iio.imwrite("<bytes>", texture.rgb, extension=".png", plugin="pillow"))
        write_whole(material, f"newmtl photos\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {picture.name}\n")
        text.write(f"mtllib {material.name}\nusemtl photos\n")
        np.savetxt(text, mesh.vertices, "v %.9g %.9g %.9g")
        np.savetxt(text, np.stack([texture.uv[:, 0], 1 - texture.uv[:, 1]], axis=1), "vt %.9g %.9g")  # from below
        corners = np.stack([mesh.faces, texture.faces], axis=2).reshape(-1, 6) + 1
        np.savetxt(text, corners, "f %d/%d %d/%d %d/%d")
    write_whole(path, text.getvalue())


def read_mesh(path: Path) -> Mesh:
    """Read a mesh of any program.

    Positions of what we wrote come back exactly, faces in their order; vertices that a texture's seams repeat in the
    file are joined. Grey where colourless. What lies in several parts becomes one mesh with one texture.

    Raises:
        ValueError: the file is damaged, promises more than it holds, holds no triangles, or needs what is not read.
        OSError: it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: mesh files end in {', '.join(FORMATS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    parts = read_glb(path) if suffix == ".glb" else read_parts(path)
    try:
        for part in parts:
            check_part(part)
        mesh = joined(parts)
        check_mesh(mesh)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return mesh


def check_part(part: MeshPart) -> None:
    """Raise ValueError, saying why, unless a part can be joined with others."""
    check_mesh(Mesh(part.vertices, part.faces, part.vertex_rgb))
    if part.uv is not None and not (np.isfinite(part.uv).all() and np.abs(part.uv).max(initial=0) < _FARTHEST_UV):
        raise ValueError("a place in the texture is not finite")


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
