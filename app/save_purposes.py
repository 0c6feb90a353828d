"""What people save a scene for, and in which of the formats that `recon.export` offers."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SaveFormat:
    """A format for people.

    Attributes:
        key: what `recon.export` calls it.
        label: a few words.
        suffix: of the file; empty for a folder.
    """

    key: str
    label: str
    suffix: str

    @property
    def is_mesh(self) -> bool:
        """It holds the mesh, not the splats."""
        return self.key in MESH_FORMATS


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


MESH_FORMATS = frozenset({"glb", "obj", "stl", "3mf", "mesh-ply", "usdz"})

_FORMATS = {
    item.key: item
    for item in (
        SaveFormat("html", "web page, opens in any browser, offline", ".html"),
        SaveFormat("ply", "splats, lossless (PLY)", ".ply"),
        SaveFormat("compressed-ply", "splats, compressed PLY", ".compressed.ply"),
        SaveFormat("splat", "splats without view-dependent colour (.splat)", ".splat"),
        SaveFormat("spz", "splats, small (SPZ)", ".spz"),
        SaveFormat("sog", "splats, smallest (SOG)", ".sog"),
        SaveFormat("splat-glb", "splats in glTF", ".glb"),
        SaveFormat("glb", "mesh with colours (GLB)", ".glb"),
        SaveFormat("obj", "mesh (OBJ)", ".obj"),
        SaveFormat("stl", "mesh without colours (STL)", ".stl"),
        SaveFormat("3mf", "mesh for printers (3MF)", ".3mf"),
        SaveFormat("mesh-ply", "mesh (PLY)", ".ply"),
        SaveFormat("usdz", "mesh for iPhone, iPad and Mac (USDZ)", ".usdz"),
        SaveFormat("colmap", "cameras, points and photos (COLMAP folder)", ""),
        SaveFormat("colmap-bin", "the same, binary", ""),
        SaveFormat("transforms", "transforms.json and photos, as nerfstudio reads them", ""),
        SaveFormat("cameras", "cameras.json alone", ".json"),
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
    others = tuple(SaveFormat(key, key, f".{key}") for key in offered if key not in known)
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
