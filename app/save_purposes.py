"""What people save a scene for, in which of the formats that `recon.export` offers, and how large the file will be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SaveFormat:
    """A format for people.

    Attributes:
        key: what `recon.export` calls it.
        label: a few words.
        suffix: of the file; empty for a folder.
        size: bytes of the file, from the project folder and the number of Gaussians; None if nobody can tell before.
    """

    key: str
    label: str
    suffix: str
    size: Callable[[Path, int], int | None]


@dataclass(frozen=True)
class Purpose:
    """Why somebody saves.

    Attributes:
        title: for the button.
        advice: one sentence, where the file goes.
        formats: those that serve it, the best first.
    """

    title: str
    advice: str
    formats: tuple[SaveFormat, ...]


def _file(name: str, factor: float = 1.0) -> Callable[[Path, int], int | None]:
    def size(project: Path, num_gaussians: int) -> int | None:
        path = project / name
        return round(factor * path.stat().st_size) if path.is_file() else None

    return size


def _per_gaussian(num_bytes: float, base: int = 0) -> Callable[[Path, int], int | None]:
    return lambda project, num_gaussians: round(base + num_bytes * num_gaussians) if num_gaussians else None


def _folder(project: Path, num_gaussians: int) -> int | None:
    files = [file for part in ("cameras", "images") for file in (project / part).glob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) or None


def _unknown(project: Path, num_gaussians: int) -> int | None:
    return None


# Bytes of a Gaussian by the formats' own layouts; SOG is images of what colours there are, so a rough mean.
_FORMATS = {
    item.key: item
    for item in (
        SaveFormat("html", "web page, opens in any browser, offline", ".html", _per_gaussian(30, 200_000)),
        SaveFormat("ply", "splats, lossless (PLY)", ".ply", _file("splats.ply")),
        SaveFormat("compressed-ply", "splats, compressed PLY", ".compressed.ply", _per_gaussian(62)),
        SaveFormat("splat", "splats without view-dependent colour (.splat)", ".splat", _per_gaussian(32)),
        SaveFormat("spz", "splats, small (SPZ)", ".spz", _per_gaussian(36)),
        SaveFormat("sog", "splats, smallest (SOG)", ".sog", _per_gaussian(17)),
        SaveFormat("splat-glb", "splats in glTF", ".glb", _per_gaussian(236)),
        SaveFormat("glb", "mesh with colours (GLB)", ".glb", _file("mesh.glb")),
        SaveFormat("obj", "mesh (OBJ)", ".obj", _file("mesh.glb", 2.5)),
        SaveFormat("stl", "mesh without colours (STL)", ".stl", _file("mesh.glb", 1.8)),
        SaveFormat("3mf", "mesh for printers (3MF)", ".3mf", _unknown),
        SaveFormat("mesh-ply", "mesh (PLY)", ".ply", _file("mesh.glb")),
        SaveFormat("usdz", "mesh for iPhone, iPad and Mac (USDZ)", ".usdz", _file("mesh.glb", 2.5)),
        SaveFormat("colmap", "cameras, points and photos (COLMAP folder)", "", _folder),
        SaveFormat("colmap-bin", "the same, binary", "", _folder),
        SaveFormat("transforms", "transforms.json and photos, as nerfstudio reads them", "", _folder),
        SaveFormat("cameras", "cameras.json alone", ".json", _file("cameras.json")),
    )
}

_PURPOSES = (
    ("Look at it in a browser", "One file to open, mail or put on a web site.", ("html",)),
    ("3D print", "For a slicer; set the real size there.", ("stl", "3mf", "obj", "glb")),
    (
        "Blender or a game engine",
        "A mesh that Blender, Unity, Unreal and Godot import.",
        ("glb", "obj", "mesh-ply", "usdz"),
    ),
    (
        "Other splat tools",
        "For SuperSplat, PlayCanvas, Unity plug-ins and viewers of 3D Gaussian splats.",
        ("ply", "compressed-ply", "spz", "sog", "splat", "splat-glb"),
    ),
    (
        "COLMAP and trainers",
        "Cameras and undistorted photos for other programs.",
        ("colmap", "colmap-bin", "transforms", "cameras"),
    ),
)


def purposes(offered: Sequence[str]) -> list[Purpose]:
    """The purposes that the offered formats serve; formats that none of them knows come last, by themselves."""
    found = []
    known: set[str] = set()
    for title, advice, keys in _PURPOSES:
        known |= set(keys)
        formats = tuple(_FORMATS[key] for key in keys if key in offered)
        if formats:
            found.append(Purpose(title, advice, formats))
    others = tuple(SaveFormat(key, key, f".{key}", _unknown) for key in offered if key not in known)
    return [*found, Purpose("Something else", "Further formats.", others)] if others else found


def offered_formats() -> tuple[str, ...]:
    """What `recon.export` writes."""
    from recon.export import EXPORTERS

    return tuple(EXPORTERS)


def told_size(num_bytes: int | None) -> str:
    """For people: "about 12 MB"; empty if unknown."""
    if num_bytes is None:
        return ""
    if num_bytes < 950_000:
        return f"about {max(1, round(num_bytes / 1000))} kB"
    megabytes = num_bytes / 1e6
    return f"about {megabytes:.1f} MB" if megabytes < 9.5 else f"about {megabytes:.0f} MB"
