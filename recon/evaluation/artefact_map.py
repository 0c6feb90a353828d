"""Where a rendered picture looks like nothing in the training photos: artefacts, found without a photo to compare with.

After Puzzle Similarity [1]: each place of a render is compared with all places of all training photos, and what finds
nothing alike is suspect. The paper takes features of networks trained on ImageNet; we take two that are at hand: colour
patches at a quarter of the size, which ask whether such a patch exists at all, and XFeat's descriptors, which ask
whether such a structure does. Each is measured in what a training photo differs from the other ones, so that 1 is as
strange as one more photo of the place would be.

[1] Hermann et al., Puzzle Similarity: A Perceptually-guided Cross-Reference Metric for Artifact Detection in 3D Scene
Reconstructions, 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from matching.dense_descriptors import CELL_PX, DenseDescriber

Floats = NDArray[np.float32]

LONGER_SIDE_PX = 640  # larger pictures are reduced to this first, so that patches mean the same
PATCH_REDUCTION, PATCH_SIZE = 4, 7  # 28 px wide at that size
NUM_COMPONENTS = 32
MAX_PATCHES = 40_000  # of all photos together
_STEP = CELL_PX // PATCH_REDUCTION  # between the patches of a render: one per descriptor
_AT_ONCE = 2048
_FOR_MEANS = 1500  # rows of a photo
HEAT_FROM, HEAT_TO = 0.5, 2.0  # colours of `heat_picture`


@dataclass(frozen=True)
class PhotoMemory:
    """What the training photos look like, place by place.

    Attributes:
        describer: makes the descriptors.
        mean, axes: of the colour patches [P] and their principal axes [P, 32].
        patches: [N, 32] of all photos, along the axes.
        descriptors: [M, 64] of all photos, of unit length.
        usual: how far a photo's patches and descriptors are from the nearest of the other photos, in the mean.
    """

    describer: DenseDescriber
    mean: Tensor
    axes: Tensor
    patches: Tensor
    descriptors: Tensor
    usual: tuple[float, float]


def remember(photos: Sequence[Floats], describer: DenseDescriber, *, seed: int = 0) -> PhotoMemory:
    """Take in the training photos.

    Args:
        photos: at least two, [H, W, 3] in [0, 1].
        describer: XFeat.
        seed: of the choice where there are too many patches.

    Raises:
        ValueError: there are fewer than two photos.
    """
    if len(photos) < 2:
        raise ValueError(f"two photos are needed, got {len(photos)}")
    reduced = [_reduced(photo) for photo in photos]
    random = np.random.default_rng(seed)
    share = MAX_PATCHES // len(photos)
    raw = [_some(_patches(photo).reshape(-1, 3 * PATCH_SIZE**2), share, random) for photo in reduced]
    joined = torch.cat(raw)
    mean = joined.mean(0)
    _, _, principal = torch.pca_lowrank(joined - mean, NUM_COMPONENTS, niter=4)
    patches = [(own - mean) @ principal for own in raw]
    descriptors = [_flat_descriptors(photo, describer)[0] for photo in reduced]
    few = [_evenly(own) for own in patches], [_evenly(own) for own in descriptors]
    usual_patch = np.mean([float(_distance_to(own, _others(patches, i)).mean()) for i, own in enumerate(few[0])])
    usual_descriptor = np.mean([float(_unlike(own, _others(descriptors, i)).mean()) for i, own in enumerate(few[1])])
    return PhotoMemory(
        describer,
        mean,
        principal,
        torch.cat(patches),
        torch.cat(descriptors),
        (max(float(usual_patch), 1e-6), max(float(usual_descriptor), 1e-6)),
    )


def artefact_map(memory: PhotoMemory, rgb: Floats) -> Floats:
    """How strange each pixel of a render [H, W, 3] looks, [H, W]: 1 as one more photo would, more is suspect."""
    reduced = _reduced(rgb)
    grid = _patches(reduced)[::_STEP, ::_STEP]
    along_axes = (torch.from_numpy(grid.reshape(-1, 3 * PATCH_SIZE**2)) - memory.mean) @ memory.axes
    patches = _distance_to(along_axes, memory.patches).reshape(grid.shape[:2]).numpy() / memory.usual[0]
    own, shape = _flat_descriptors(reduced, memory.describer)
    descriptors = _unlike(own, memory.descriptors).reshape(shape).numpy() / memory.usual[1]
    height, width = rgb.shape[:2]
    strange = [_spread(part, reduced.shape[:2], (width, height)) for part in (patches, descriptors)]
    return np.asarray((strange[0] + strange[1]) / 2, np.float32)


def heat_picture(rgb: Floats, strange: Floats) -> NDArray[np.uint8]:
    """A render [H, W, 3] in grey under its artefact map [H, W] in colours, dark to bright; uint8."""
    level = np.clip((strange - HEAT_FROM) / (HEAT_TO - HEAT_FROM), 0, 1)
    heat = cv2.applyColorMap(np.round(255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1] / 255.0
    grey = rgb.mean(axis=2, keepdims=True)
    return np.asarray(np.round(255 * (0.4 * grey + 0.6 * heat)), np.uint8)


def _reduced(rgb: Floats) -> Floats:
    scale = LONGER_SIDE_PX / max(rgb.shape[:2])
    if scale >= 1:
        return np.asarray(rgb, np.float32)
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(np.asarray(rgb, np.float32), size, interpolation=cv2.INTER_AREA))


def _patches(rgb: Floats) -> Floats:
    """Patches around every pixel of a quarter of the picture in Lab, [h, w, 3, 7, 7]; the range of L is 1."""
    height, width = rgb.shape[:2]
    size = (max(1, round(width / PATCH_REDUCTION)), max(1, round(height / PATCH_REDUCTION)))
    lab = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB) / np.float32(100)
    reach = PATCH_SIZE // 2
    padded = np.pad(lab, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return np.asarray(sliding_window_view(padded, (PATCH_SIZE, PATCH_SIZE), axis=(0, 1)))


def _some(rows: Floats, most: int, random: np.random.Generator) -> Tensor:
    chosen = rows if len(rows) <= most else rows[random.choice(len(rows), most, replace=False)]
    return torch.from_numpy(np.ascontiguousarray(chosen))


def _evenly(rows: Tensor) -> Tensor:
    """Some of the rows, spread over all of them: their mean distance is known within two percent."""
    return rows[torch.linspace(0, len(rows) - 1, min(len(rows), _FOR_MEANS)).long()]


def _flat_descriptors(rgb: Floats, describer: DenseDescriber) -> tuple[Tensor, tuple[int, int]]:
    """Descriptors [h * w, 64] and (h, w)."""
    described = describer.describe(np.round(255 * rgb.clip(0, 1)).astype(np.uint8))
    return torch.from_numpy(described.reshape(-1, described.shape[2])), described.shape[:2]


def _others(parts: Sequence[Tensor], left_out: int) -> Tensor:
    return torch.cat([part for i, part in enumerate(parts) if i != left_out])


def _distance_to(rows: Tensor, known: Tensor) -> Tensor:
    """Distance of each row to the nearest known one, [N]."""
    return torch.cat([torch.cdist(some, known).amin(1) for some in rows.split(_AT_ONCE)])


def _unlike(rows: Tensor, known: Tensor) -> Tensor:
    """1 - the largest cosine with a known row, [N]; all rows are of unit length."""
    return torch.cat([1 - (some @ known.T).amax(1) for some in rows.split(_AT_ONCE)])


def _spread(cells: NDArray[np.floating], shape: tuple[int, ...], size: tuple[int, int]) -> Floats:
    """Values of cells of 8 px, in a picture of that shape, for every pixel of one of `size` (width, height)."""
    full = cv2.resize(cells, (cells.shape[1] * CELL_PX, cells.shape[0] * CELL_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(full[: shape[0], : shape[1]], size, interpolation=cv2.INTER_LINEAR))
