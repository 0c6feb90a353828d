"""Meshes that other programs wrote in several parts, each with colours or a picture of its own, as one of ours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recon.mesh_geometry import welded
from recon.scene import Mesh, Texture

_ATLAS_SIDE_PX = 4096  # of a sheet of several pictures, unless one of them is larger
_MARGIN_PX = 2  # around each of them: bilinear lookups reach one texel out
_SMALLEST_PX = 4  # side of a picture on a sheet
_UV_SLACK = 1e-3  # by so much places in a picture lie outside of it by rounding alone
_MAX_TILES = 1024


@dataclass(frozen=True)
class MeshPart:
    """Triangles that share a picture, or have none.

    Attributes:
        vertices: [N, 3] float32, world frame.
        faces: [F, 3] int32, counter-clockwise from outside.
        vertex_rgb: [N, 3] uint8, sRGB-coded; not used where there is a picture.
        uv: [N, 2] float32, x to the right and y down from the corner of the picture, which repeats beyond [0, 1]; None
            without a picture.
        picture: [H, W, 3] uint8, sRGB-coded, the same array for parts that share it; None: the vertices have colours.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    vertex_rgb: NDArray[np.uint8]
    uv: NDArray[np.float32] | None = None
    picture: NDArray[np.uint8] | None = None


def joined(parts: list[MeshPart]) -> Mesh:
    """One mesh of all parts.

    Without pictures vertices stay as they are. With one picture that does not repeat it becomes the texture as it is;
    else all go onto one sheet, parts that share one together, repeated as often as they are seen side by side, and
    reduced if it gets too large. A part without picture among others that have one gets a texel for each colour of its
    faces.

    Args:
        parts: at least one; indices, places and vertices must be valid and finite.
    """
    if all(part.picture is None for part in parts):
        vertices, faces = _stacked(parts)
        return Mesh(vertices, faces, np.concatenate([part.vertex_rgb for part in parts]))
    first = parts[0].picture
    if first is not None and all(part.picture is first and _is_inside(part) for part in parts):
        vertices, faces = _stacked(parts)
        uv = np.concatenate([part.uv for part in parts if part.uv is not None]).clip(0, 1)
        return textured_mesh(vertices, faces, Texture(first, uv, faces))
    return _on_one_sheet(parts)


def textured_mesh(positions: NDArray[np.float32], faces: NDArray[np.int32], texture: Texture) -> Mesh:
    """A mesh of a file that repeats vertices along seams: they are joined, and coloured as the texture is there.

    Args:
        positions: [U, 3], one for each row of the texture's uv.
        faces: [F, 3] into them, the texture's.
    """
    vertices, row = welded(positions)
    height, width = texture.rgb.shape[:2]
    column = np.clip(texture.uv[:, 0] * width, 0, width - 1).astype(int)
    line = np.clip(texture.uv[:, 1] * height, 0, height - 1).astype(int)
    vertex_rgb = np.zeros((len(vertices), 3), np.uint8)
    vertex_rgb[row] = texture.rgb[line, column]
    return Mesh(vertices, row[faces], vertex_rgb, texture)


def _stacked(parts: list[MeshPart]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + np.int32(start) for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([part.vertices for part in parts]), np.concatenate(faces)


def _is_inside(part: MeshPart) -> bool:
    return part.uv is not None and bool((part.uv > -_UV_SLACK).all() and (part.uv < 1 + _UV_SLACK).all())


def _on_one_sheet(parts: list[MeshPart]) -> Mesh:
    """The parts with their pictures side by side; every corner of a face has a row of uv of its own."""
    by_picture: dict[int, list[MeshPart]] = {}
    for part in parts:
        by_picture.setdefault(id(part.picture), []).append(part)
    groups = list(by_picture.values())
    pictures, corner_uvs = zip(*(_tiled(group) for group in groups), strict=True)
    sheet, places = _packed(list(pictures))
    size = np.array(sheet.shape[1::-1], np.float32)
    uv = [(place[:2] + place[2:] * corners) / size for place, corners in zip(places, corner_uvs, strict=True)]
    positions = np.concatenate([part.vertices[part.faces].reshape(-1, 3) for group in groups for part in group])
    faces = np.arange(len(positions), dtype=np.int32).reshape(-1, 3)
    return textured_mesh(positions, faces, Texture(sheet, np.concatenate(uv).astype(np.float32), faces))


def _tiled(group: list[MeshPart]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture of parts that share one, repeated as often as a face sees it, and the places of all corners in it."""
    picture = group[0].picture
    if picture is None:
        return _swatches(group)
    corners = np.concatenate([part.uv[part.faces] for part in group if part.uv is not None])  # [F, 3, 2]
    corners = corners - np.floor(corners.min(axis=1, keepdims=True) + _UV_SLACK)
    tiles = np.clip(np.ceil(corners.max(axis=(0, 1)) - _UV_SLACK), 1, _MAX_TILES).astype(int)
    room = _ATLAS_SIDE_PX // tiles
    reduced = _resized(picture, np.minimum(picture.shape[1::-1], np.where(tiles > 1, room, 1 << 20)))
    return np.tile(reduced, (tiles[1], tiles[0], 1)), (corners / tiles).clip(0, 1).reshape(-1, 2).astype(np.float32)


def _swatches(group: list[MeshPart]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A square with one texel for each mean colour of a face, and for all corners the middles of theirs."""
    rgb = np.concatenate([part.vertex_rgb[part.faces].mean(axis=1) for part in group])
    steps = 2 if len(rgb) > 1 << 16 else 1  # fewer colours than texels of the sheet
    colors, row = np.unique(np.round(rgb / steps).astype(np.uint8), axis=0, return_inverse=True)
    side = int(np.ceil(np.sqrt(len(colors))))
    square = np.zeros((side * side, 3), np.uint8)
    square[: len(colors)] = (colors * np.float32(steps)).clip(0, 255).astype(np.uint8)
    places = np.stack([row.ravel() % side + 0.5, row.ravel() // side + 0.5], axis=1) / side
    return square.reshape(side, side, 3), np.repeat(places, 3, axis=0).astype(np.float32)


def _packed(pictures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Pictures on one sheet, and of each x, y, width and height on it in px [P, 4]; reduced until they fit."""
    limit = max(_ATLAS_SIDE_PX, *(max(picture.shape) + 2 * _MARGIN_PX for picture in pictures))
    while True:
        sizes = np.array([picture.shape[1::-1] for picture in pictures])
        corners, (width, height) = _shelves(sizes + 2 * _MARGIN_PX)
        if max(width, height) <= limit or sizes.max() <= _SMALLEST_PX:
            break
        wanted = np.maximum(_SMALLEST_PX, (sizes * 0.8).astype(int))
        pictures = [_resized(picture, size) for picture, size in zip(pictures, wanted, strict=True)]
    sheet = np.zeros((height, width, 3), np.uint8)
    for picture, (x, y) in zip(pictures, corners, strict=True):
        framed = np.pad(picture, ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0)), mode="edge")
        sheet[y : y + framed.shape[0], x : x + framed.shape[1]] = framed
    return sheet, np.hstack([corners + _MARGIN_PX, sizes]).astype(np.float32)


def _shelves(sizes: NDArray[np.int_]) -> tuple[NDArray[np.int_], tuple[int, int]]:
    """Upper left corners [P, 2] of rectangles of width and height [P, 2], the tallest first, and the size of all."""
    width = max(int(sizes[:, 0].max()), int(np.ceil(np.sqrt(sizes.prod(axis=1).sum()) * 1.05)))
    corners = np.zeros_like(sizes)
    x = y = shelf = 0
    for i in np.argsort(-sizes[:, 1], kind="stable"):
        if x + sizes[i, 0] > width:
            x, y, shelf = 0, y + shelf, 0
        corners[i] = x, y
        x, shelf = x + int(sizes[i, 0]), max(shelf, int(sizes[i, 1]))
    return corners, (width, y + shelf)


def _resized(picture: NDArray[np.uint8], size: NDArray[np.int_]) -> NDArray[np.uint8]:
    width, height = (max(1, int(side)) for side in size)
    if (width, height) == picture.shape[1::-1]:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
