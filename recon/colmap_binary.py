"""COLMAP's binary model, written from its text model.

Layout: `src/colmap/scene/reconstruction_io.cc` of COLMAP; little-endian, strings end with a zero byte. COLMAP's own
converter stops at blanks in photo names, this one does not.
"""

import struct
from pathlib import Path

from recon.whole_files import write_whole

_MODEL_IDS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4}
_NO_POINT = 2**64 - 1


def write_binary_model(text_folder: Path, folder: Path) -> None:
    """Write `cameras.bin`, `images.bin` and `points3D.bin` of a text model into an existing folder.

    Raises:
        ValueError: the text model is damaged or has a lens model other than the common five.
        OSError: a file cannot be read or written.
    """
    try:
        write_whole(folder / "cameras.bin", _cameras(_lines(text_folder / "cameras.txt")))
        write_whole(folder / "images.bin", _images(_lines(text_folder / "images.txt")))
        write_whole(folder / "points3D.bin", _points(_lines(text_folder / "points3D.txt")))
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError(f"the COLMAP model in {text_folder} is damaged: {error}") from error


def _lines(path: Path) -> list[str]:
    """Lines that are no comments, without the empty end of the last."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.startswith("#")]
    return lines[:-1] if lines and not lines[-1] else lines


def _cameras(lines: list[str]) -> bytes:
    parts = [struct.pack("<Q", len(lines))]
    for line in lines:
        camera_id, model, width, height, *parameters = line.split()
        parts.append(struct.pack("<IiQQ", int(camera_id), _MODEL_IDS[model], int(width), int(height)))
        parts.append(struct.pack(f"<{len(parameters)}d", *map(float, parameters)))
    return b"".join(parts)


def _images(lines: list[str]) -> bytes:
    if len(lines) % 2:
        raise ValueError("images.txt has no line of points for its last image")
    parts = [struct.pack("<Q", len(lines) // 2)]
    for line, observations in zip(lines[::2], lines[1::2], strict=True):
        image_id, *pose, camera_id, name = line.split(maxsplit=9)
        parts.append(struct.pack("<I7dI", int(image_id), *map(float, pose), int(camera_id)))
        numbers = observations.split()
        parts.append(name.strip().encode("utf-8") + b"\0" + struct.pack("<Q", len(numbers) // 3))
        for x, y, point in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
            point_id = int(point)
            parts.append(struct.pack("<ddQ", float(x), float(y), _NO_POINT if point_id < 0 else point_id))
    return b"".join(parts)


def _points(lines: list[str]) -> bytes:
    parts = [struct.pack("<Q", len(lines))]
    for line in lines:
        point_id, x, y, z, r, g, b, error, *track = line.split()
        rgb = (int(r), int(g), int(b))
        parts.append(
            struct.pack("<Q3d3BdQ", int(point_id), float(x), float(y), float(z), *rgb, float(error), len(track) // 2)
        )
        parts.append(struct.pack(f"<{len(track)}I", *map(int, track)))
    return b"".join(parts)
