"""Does the artefact map know, without the photo, where renders are wrong?

Takes what `handful benchmark --images` left in its `renders/` folder: photo, render and error of every held-out photo.
Compares the map with FLIP against the photo, both averaged over cells of 8 px:

    python -m tests.bench.bench_artefact_map out/images/renders DATA...

Spearman: rank correlation over the cells of a photo, mean over photos. AUC: how well the map tells the fifth of the
cells with the largest error from the others; 0.5 is chance. The last column is how strange the photos themselves look,
which is what new content, not artefacts, contributes.
"""

import argparse
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from matching.dense_descriptors import DenseDescriber
from recon.benchmark_scenes import BenchScene, choose_photos, read_scene
from recon.evaluation.artefact_map import artefact_map, remember
from recon.photo_loading import load_photos
from splatting.flip import flip

CELL_PX = 8
WORST_SHARE = 0.2
Floats = NDArray[np.float32]


def cells(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Means over cells of 8 x 8 px, flat; what is left at the right and at the bottom is dropped."""
    rows, columns = (side // CELL_PX for side in values.shape)
    cut = values[: rows * CELL_PX, : columns * CELL_PX].astype(np.float64)
    return cut.reshape(rows, CELL_PX, columns, CELL_PX).mean((1, 3)).ravel()


def area_under_curve(score: NDArray[np.float64], is_wrong: NDArray[np.bool_]) -> float:
    """Chance that a wrong cell scores higher than a right one."""
    wrong, right = int(is_wrong.sum()), int((~is_wrong).sum())
    return float((rankdata(score)[is_wrong].sum() - wrong * (wrong + 1) / 2) / (wrong * right))


def training_photos(scene: BenchScene, num_views: int, width: int, height: int) -> list[Floats]:
    """The photos that renders of that size were made from, in [0, 1]; not undistorted."""
    photos = load_photos([scene.folder / path for path in choose_photos(scene, num_views)]).photos
    sized = (cv2.resize(photo.pixels(), (width, height), interpolation=cv2.INTER_AREA) for photo in photos)
    return [np.asarray(picture, np.float32) / 255 for picture in sized]


def measure(folder: Path, scene: BenchScene, describer: DenseDescriber) -> str:
    """A line of the table: the renders of one run."""
    num_views = int(folder.name.removeprefix(scene.name + "_").split("_")[0])
    strips = [np.asarray(iio.imread(path), np.float32) / 255 for path in sorted(folder.iterdir())]
    width = strips[0].shape[1] // 3
    memory = remember(training_photos(scene, num_views, width, strips[0].shape[0]), describer)
    correlations, areas, scores, errors, of_photos = [], [], [], [], []
    for strip in strips:
        photo, render = strip[:, :width], strip[:, width : 2 * width]
        strange, error = artefact_map(memory, render), flip(render, photo)
        correlations.append(spearmanr(cells(strange), cells(error))[0])
        areas.append(area_under_curve(cells(strange), cells(error) >= np.quantile(cells(error), 1 - WORST_SHARE)))
        scores.append(strange.mean())
        errors.append(error.mean())
        of_photos.append(artefact_map(memory, photo).mean())
    means = [float(np.mean(values)) for values in (correlations, areas, errors, scores, of_photos)]
    return f"| {folder.name} | {len(strips)} | " + " | ".join(f"{value:.3f}" for value in means) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renders", type=Path, nargs="?", help="without it nothing is measured")
    parser.add_argument("scenes", type=Path, nargs="*")
    arguments = parser.parse_args()
    print("| renders | photos | Spearman | AUC | FLIP | strangeness | of the photos |\n|" + "---|" * 7)
    if arguments.renders is None:
        return
    describer = DenseDescriber()
    for scene in map(read_scene, arguments.scenes):
        for folder in sorted(arguments.renders.glob(f"{scene.name}_*")):
            print(measure(folder, scene, describer), flush=True)


if __name__ == "__main__":
    main()
