"""Files of splats and of meshes: which is which."""

from pathlib import Path

SPLAT_SUFFIXES = (".ply", ".splat", ".spz", ".sog", ".glb")
MESH_SUFFIXES = (".glb", ".ply", ".obj", ".stl", ".3mf")
SUFFIXES = tuple(sorted({*SPLAT_SUFFIXES, *MESH_SUFFIXES}))
_HEADER_BYTES = 65536
_SPLAT_MARKS = (b"f_dc_0", b"packed_position", b"KHR_gaussian_splatting")


def holds_splats(path: Path) -> bool:
    """By the name, which must end as one of `SUFFIXES`; PLY and GLB files hold either, which their headers tell.

    Raises:
        OSError: the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        return True
    if suffix not in SPLAT_SUFFIXES:
        return False
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    return any(mark in head for mark in _SPLAT_MARKS) or (suffix == ".ply" and b"element face" not in head)
