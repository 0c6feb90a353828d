"""Measure what a texture adds to the colours of a mesh's vertices, on photos that were held out. Prints a table.

    python -m tests.bench.bench_texture [--faces 50000] [--side 2048] [--pictures FOLDER] WORK SCENE ...

Each scene is reconstructed from the six photos of its split with its true cameras, into WORK, by the draft preset;
what was made there before is used again. Its mesh, simplified to the number of faces, is coloured twice from the same
photos: its vertices, and a texture. Both are written as GLB, read back, and rendered by one renderer into the held-out
views; PSNR is over the pixels that the mesh covers, the same for both, of all held-out photos together; then again with
the held-out photos at the exposure of the others: a gain for each photo and channel, solved on what photos share of the
surface by the method that evens the photos of the texture, before either mesh has colours. `fused` are the vertex
colours that the fusion of the depth maps made.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from recon.benchmark_scenes import BenchScene, choose_heldout, choose_photos, read_scene
from recon.config import PRESETS
from recon.dense import DenseScene
from recon.exposure import photo_gains
from recon.mesh_config import MeshConfig
from recon.mesh_files import read_mesh, write_mesh
from recon.mesh_rendering import render_mesh
from recon.meshing import extract_mesh
from recon.photo_loading import load_photos
from recon.photo_samples import observe_vertices, photo_of_mesh
from recon.pipeline import reconstruct
from recon.project import open_project
from recon.scene import Mesh, Reconstruction, View
from recon.stored_results import load_result
from recon.texture import TextureConfig, color_mesh, photo_views
from splatting.gaussians import Gaussians
from splatting.rasterizer import create
from tests.photo_sets import scene_dir

NUM_PHOTOS = 6
COLUMNS = (
    "scene | faces | fused | vertices | texture | gain | same, equal exposure: vertices | texture | gain"
    " | exposures of the held-out | covered | texels seen | CPU s | GLB MB"
)


def prepare(scene: BenchScene, work: Path) -> tuple[Path, list[Path]]:
    """Reconstruct a scene from its true cameras; the project folder and its photos."""
    paths = [*choose_photos(scene, NUM_PHOTOS), *choose_heldout(scene, NUM_PHOTOS)]
    images = []
    for path in paths:
        lens = scene.truth[Path(path).name]
        camera, K = lens.camera, lens.camera.K
        size = {"file": Path(path).name, "width": camera.width, "height": camera.height}
        focal = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
        images.append(
            {**size, **focal, "distortion": lens.distortion.tolist(), "w2c": camera.cam_from_world[:3].tolist()}
        )
    folder = work / scene.name
    folder.mkdir(parents=True, exist_ok=True)
    cameras = folder / "truth.json"
    cameras.write_text(json.dumps({"convention": "opencv", "images": images}))
    files = [scene.folder / path for path in paths]
    heldout = [Path(path).name for path in choose_heldout(scene, NUM_PHOTOS)]
    draft = PRESETS["draft"]
    reconstruct(files, folder / "project", draft, preset="draft", holdout=heldout, cameras=cameras, until="splats")
    return folder / "project", files


def make_mesh(project: Path, views: Sequence[View], num_faces: int) -> Mesh:
    """The mesh of a project in the colours that the fusion gave it."""
    opened = open_project(project)
    dense: DenseScene = load_result(opened, "points")
    gaussians: Gaussians = load_result(opened, "splats")
    config = MeshConfig(max_faces=num_faces)
    return extract_mesh(gaussians, views, config, rasterizer=create("cpu"), stereo_depths=dense.depth_maps)


def psnr(errors: list[np.ndarray]) -> float:
    """Of squared differences of colours in [0, 255]."""
    return float(10 * np.log10(255**2 / np.mean(np.concatenate(errors))))


def exposures(mesh: Mesh, training: Sequence[View], heldout: Sequence[View]) -> np.ndarray:
    """What held-out photos are to be multiplied with to match the others [H, 3], by what they share of the surface."""
    photos = [photo_of_mesh(view, mesh.vertices, mesh.faces) for view in (*training, *heldout)]
    gains = photo_gains(*observe_vertices(photos, mesh.vertices, mesh.faces))
    return gains[len(training) :] / np.exp(np.log(gains[: len(training)]).mean(axis=0))


def score(meshes: dict[str, Mesh], views: list[View], gains: np.ndarray, pictures: Path | None) -> dict[str, float]:
    """PSNR of each mesh over what it covers of the views, as they are and times `gains`; and the share covered."""
    plain: dict[str, list[np.ndarray]] = {name: [] for name in meshes}
    equal: dict[str, list[np.ndarray]] = {name: [] for name in meshes}
    covered = []
    for view, gain in zip(views, gains, strict=True):
        strip = [view.rgb]
        for name, mesh in meshes.items():
            rgb, share, facing = render_mesh(mesh, view.camera)
            use = (share > 0.999) & view.valid & (view.mask if view.mask is not None else True)
            photo, own = view.rgb[use].astype(np.float32), rgb[use]
            plain[name].append(((own - photo) ** 2).ravel())
            equal[name].append(((own - photo * gain) ** 2).ravel())
            strip.append(np.round(np.where(use[..., None], rgb, 128)).astype(np.uint8))
            shape = np.repeat((255 * facing)[..., None], 3, axis=2).astype(np.uint8)
        covered.append(use.mean())
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate([*strip, shape], axis=1)).save(pictures / f"{view.name}.png")
    scores = {name: psnr(errors) for name, errors in plain.items()}
    return scores | {f"{name} equal": psnr(e) for name, e in equal.items()} | {"covered": float(np.mean(covered))}


def reread(mesh: Mesh) -> tuple[Mesh, float]:
    """The mesh as its GLB file gives it back, and the size of that in MB."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mesh.glb"
        write_mesh(mesh, file)
        return read_mesh(file), file.stat().st_size / 1e6


def measure(name: str, arguments: argparse.Namespace) -> str:
    """One row of the table."""
    project, files = prepare(read_scene(scene_dir(name)), arguments.work)
    scene: Reconstruction = load_result(open_project(project), "cameras")
    training = [view for view in scene.views if not view.is_heldout]
    fused = make_mesh(project, training, arguments.faces)
    config = TextureConfig(side_px=arguments.side, photo_side_px=arguments.photo_side, equalize=not arguments.unequal)
    photos = load_photos(files).photos
    started = time.process_time()
    textured = color_mesh(fused, photo_views(photos, training, config.photo_side_px), config)
    cpu_s = time.process_time() - started
    back, size_mb = reread(textured)
    meshes = {"fused": fused, "vertices": reread(replace(textured, texture=None))[0], "texture": back}
    heldout = [view for view in scene.views if view.is_heldout]
    if arguments.view_side:
        heldout = photo_views(photos, heldout, arguments.view_side)
    gains = exposures(fused, training, heldout)
    s = score(meshes, heldout, gains, arguments.pictures and arguments.pictures / name)
    assert textured.texture is not None
    return (
        f"{name} | {len(fused.faces):,} | {s['fused']:.2f} | {s['vertices']:.2f} | {s['texture']:.2f}"
        f" | {s['texture'] - s['vertices']:+.2f} | {s['vertices equal']:.2f} | {s['texture equal']:.2f}"
        f" | {s['texture equal'] - s['vertices equal']:+.2f} | {gains.min():.2f} to {gains.max():.2f}"
        f" | {s['covered']:.1%} | {textured.texture.seen_share:.1%} | {cpu_s:.1f} | {size_mb:.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--faces", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--photo-side", type=int, default=1600)
    parser.add_argument("--view-side", type=int, default=0, help="of the held-out views; 0: 640 px, as the run's views")
    parser.add_argument("--unequal", action="store_true", help="leave the photos' exposures as they are")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    print(f"| {COLUMNS} |\n|---|" + "---:|" * COLUMNS.count("|"))
    for name in arguments.scenes:
        print(f"| {measure(name, arguments)} |", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    main()
