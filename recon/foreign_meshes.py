"""OBJ, PLY, STL and 3MF files of any program, read through trimesh within bounds of our own."""

import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recon.mesh_geometry import welded
from recon.mesh_parts import MeshPart
from recon.mesh_pictures import rgb_of

if TYPE_CHECKING:
    import trimesh  # takes half a second: imported where it is used

_GREY = 128
# A 3MF file is a ZIP archive of XML. XML of triangles shrinks to about a fifth.
_LARGEST_UNPACKED = 2_000_000_000
_LARGEST_RATIO = 100
_FREE_ROWS = 1_000_000
_MAX_DEPTH = 32  # of objects of 3MF within each other
_LARGEST_COMPANION = 1 << 28  # bytes of a file that an OBJ or PLY file names


def read_parts(path: Path) -> list[MeshPart]:
    """The triangles of a file; its name says the format. Grey where colourless, polygons cut into triangles.

    Materials and pictures of an OBJ file are looked for in its own folder and those below.

    Raises:
        ValueError: the file is damaged, promises more than it holds, or holds no triangles.
        OSError: it cannot be read.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".3mf":
            _check_archive(path)
        with path.open("rb") as file:
            import trimesh

            scene = trimesh.load_scene(file, file_type=suffix[1:], resolver=_companions(path), process=False)
        meshes = [mesh for mesh in scene.dump() if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces)]
    except OSError:
        raise
    except _RefusedError as error:
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # trimesh raises whatever its parsers meet in a damaged file
        raise ValueError(f"{path}: cannot be read as a mesh; it is damaged, or not {suffix} inside") from error
    if not meshes:
        raise ValueError(f"{path}: holds no triangles")
    pictures: dict[int, Any] = {}
    return [_part(mesh, path, pictures) for mesh in meshes]


class _RefusedError(Exception):
    """A reason of our own not to read a file."""


def _part(mesh: "trimesh.Trimesh", path: Path, pictures: dict[int, Any]) -> MeshPart:
    from trimesh.visual import ColorVisuals

    vertices, faces = mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32)
    if path.suffix.lower() == ".stl":  # it repeats each vertex for each of its faces
        vertices, row = welded(vertices)
        return MeshPart(vertices, row[faces], np.full((len(vertices), 3), _GREY, np.uint8))
    visual: Any = mesh.visual
    grey = np.full((len(vertices), 3), _GREY, np.uint8)
    if isinstance(visual, ColorVisuals):
        if visual.kind == "vertex":
            return MeshPart(vertices, faces, np.asarray(visual.vertex_colors)[:, :3].astype(np.uint8))
        if visual.kind == "face":  # each face gets corners of its own, so that its colour stays in it
            rgb = np.repeat(np.asarray(visual.face_colors)[:, :3].astype(np.uint8), 3, axis=0)
            return MeshPart(vertices[faces].reshape(-1, 3), np.arange(faces.size, dtype=np.int32).reshape(-1, 3), rgb)
        return MeshPart(vertices, faces, grey)
    material = getattr(visual, "material", None)
    picture, uv = getattr(material, "image", None), visual.uv
    if picture is not None and uv is not None and len(uv) == len(vertices):
        if id(picture) not in pictures:
            pictures[id(picture)] = picture, rgb_of(picture, str(path))  # keeps it alive, and so its id
        turned = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1).astype(np.float32)  # OBJ counts from below
        return MeshPart(vertices, faces, grey, turned, pictures[id(picture)][1])
    diffuse = getattr(material, "diffuse", None)
    return MeshPart(vertices, faces, grey if diffuse is None else np.tile(_rgb(diffuse), (len(vertices), 1)))


def _rgb(color: Any) -> Any:
    return np.asarray(color)[:3].astype(np.uint8)


@cache
def _companion_class() -> type:
    """The class through which trimesh opens what a file names, made when trimesh is loaded."""
    from trimesh.resolvers import FilePathResolver

    class Companions(FilePathResolver):
        """Whole files of bounded size, of the folder and those below, nothing else."""

        def get(self, name: str) -> bytes:
            """The content of a file, by its name, else by the last part of a path of another machine."""
            for candidate in (name.strip(), name.strip().replace("\\", "/").split("/")[-1]):
                found = (Path(self.parent) / candidate).resolve()
                if found.is_relative_to(Path(self.parent).resolve()) and found.is_file():
                    if found.stat().st_size > _LARGEST_COMPANION:
                        raise _RefusedError(f"the file {candidate[:80]} beside it is too large")
                    return found.read_bytes()
            raise FileNotFoundError(name)

    return Companions


def _companions(path: Path) -> Any:
    return _companion_class()(str(path))


def _check_archive(path: Path) -> None:
    """Refuse 3MF archives that unpack to far more than meshes do, and models that repeat themselves without bounds."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > min(_LARGEST_UNPACKED, _LARGEST_RATIO * path.stat().st_size):
            raise _RefusedError("the archive unpacks to more than a mesh")
        models = [name for name in archive.namelist() if name.lower().endswith(".model")]
        objects = [found for name in models for found in _objects(archive, name)]
    holds = {name: count for name, count, _ in objects}
    names = {name: inside for name, _, inside in objects}
    rows = {name: 0 for name in names}  # of an object with all that it names, however often
    for _ in range(_MAX_DEPTH):
        deeper = {name: holds[name] + sum(rows.get(part, 0) for part in names[name]) for name in names}
        if deeper == rows:
            break
        rows = {name: min(count, 1 << 40) for name, count in deeper.items()}
    if deeper != rows or rows.get("build", 0) > _FREE_ROWS + unpacked:
        raise _RefusedError("its objects repeat themselves without bounds")


def _objects(archive: zipfile.ZipFile, model: str) -> list[tuple[str, int, list[str]]]:
    """Of each object of a model, and of what it builds: name, rows of its own, names of the objects in it."""
    from lxml import etree

    found: list[tuple[str, int, list[str]]] = []
    rows, inside = 0, []
    options: Any = {"resolve_entities": False, "no_network": True, "huge_tree": False, "load_dtd": False}
    with archive.open(model) as file:
        for _, element in etree.iterparse(file, events=("end",), **options):
            kind = etree.QName(element).localname if isinstance(element.tag, str) else ""
            rows += kind in ("vertex", "triangle", "component", "item")
            if kind in ("component", "item"):
                inside.append(str(element.get("objectid")))
            if kind in ("object", "build"):
                found.append((str(element.get("id")) if kind == "object" else "build", rows, inside))
                rows, inside = 0, []
            element.clear()
    return found
