"""Files from anywhere: a damaged or malicious one is refused in a sentence, fast, and without taking memory for it."""

import gzip
import json
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from splatting.formats import FORMATS, read_splats, write_splats
from splatting.formats.gltf import write_splat_glb
from splatting.formats.ply import read_ply, write_ply
from splatting.formats.sog import write_sog
from splatting.formats.spz import write_spz
from splatting.gaussians import Gaussians
from splatting.transforms import transformed
from tests.splat_files import random_gaussians

MAX_BYTES = 100 << 20
SUFFIXES = (*FORMATS, ".v3.spz")


def whole_file(suffix: str, path: Path) -> bytes:
    gaussians = random_gaussians(30, 1)
    if suffix == ".v3.spz":
        write_spz(gaussians, path, version=3)
    else:
        write_splats(gaussians, path)
    return path.read_bytes()


def read_or_refuse(path: Path, data: bytes) -> bool:
    """Whether it could be read; anything but a refusal in one sentence fails the test."""
    path.write_bytes(data)
    refusal = ""
    try:
        read_splats(path)
    except (ValueError, OSError) as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 400
    return not refusal


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_cut_anywhere_are_refused(tmp_path: Path, suffix: str) -> None:
    data = whole_file(suffix, tmp_path / f"a{suffix}")
    # Any whole number of rows is a .splat file. The end of a zip holds its contents.
    lengths = {*range(0, min(len(data), 300), 7), *range(0, len(data), max(1, len(data) // 150)), len(data) - 1}
    read = [n for n in sorted(lengths) if read_or_refuse(tmp_path / f"b{suffix}", data[:n])]
    assert all(suffix == ".splat" and n % 32 == 0 for n in read)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_changed_bytes_are_read_or_refused_but_nothing_else(tmp_path: Path, suffix: str) -> None:
    data = whole_file(suffix, tmp_path / f"a{suffix}")
    chance = random.Random(0)
    tracemalloc.start()
    try:
        for _ in range(200):
            damaged = bytearray(data)
            for _ in range(chance.choice((1, 1, 3))):
                # Headers are what breaks readers: at the start, in a zip at the end.
                place = chance.choice((chance.randrange(len(data)), chance.randrange(min(400, len(data)))))
                place = len(data) - 1 - place if suffix == ".sog" and chance.random() < 0.5 else place
                damaged[place] = chance.choice((0, 255, 127, chance.randrange(256), damaged[place] ^ 1))
            read_or_refuse(tmp_path / f"b{suffix}", bytes(damaged))
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()


def ply_of_10_to_the_12(tmp_path: Path) -> Path:
    write_ply(random_gaussians(3), tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes().replace(b"element vertex 3", b"element vertex 1000000000000")
    (tmp_path / "a.ply").write_bytes(data)
    return tmp_path / "a.ply"


def compressed_ply_of_10_to_the_12(tmp_path: Path) -> Path:
    path = tmp_path / "a.compressed.ply"
    write_splats(random_gaussians(3), path)
    data = path.read_bytes().replace(b"element chunk 1\n", b"element chunk 3906250000\n")
    for name in (b"vertex", b"sh"):
        data = data.replace(b"element " + name + b" 3\n", b"element " + name + b" 1000000000000\n")
    path.write_bytes(data)
    return path


def spz_of_4_billion(tmp_path: Path) -> Path:
    path = tmp_path / "a.spz"
    write_spz(random_gaussians(3), path)
    data = bytearray(path.read_bytes())
    data[8:12] = b"\xff" * 4
    path.write_bytes(data)
    return path


def spz_gzip_bomb(tmp_path: Path) -> Path:
    count = 5_000_000
    header = struct.pack("<4sIIBBBB", b"NGSP", 3, count, 3, 12, 0, 0)
    path = tmp_path / "bomb.spz"
    path.write_bytes(gzip.compress(header + bytes(count * 20)))  # 100 MB of zeros; 325 are promised
    return path


def sog_with(tmp_path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """A SOG file whose meta.json and pictures were changed."""
    write_sog(random_gaussians(10), tmp_path / "whole.sog")
    with zipfile.ZipFile(tmp_path / "whole.sog") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    meta = json.loads(files.pop("meta.json"))
    change(meta, files)
    with zipfile.ZipFile(tmp_path / "a.sog", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"meta.json": json.dumps(meta).encode(), **files}.items():
            archive.writestr(name, data)
    return tmp_path / "a.sog"


def sog_of_a_billion(tmp_path: Path) -> Path:
    return sog_with(tmp_path, lambda meta, files: meta.update(count=10**9))


def sog_with_a_huge_picture(tmp_path: Path) -> Path:
    # The header of a lossless WebP with sides of 16,383 px; opening it would take a gigabyte.
    sides = (16382 | 16382 << 14).to_bytes(4, "little")
    picture = b"RIFF" + (100).to_bytes(4, "little") + b"WEBPVP8L" + (80).to_bytes(4, "little") + b"\x2f" + sides
    return sog_with(tmp_path, lambda meta, files: files.update({"means_l.webp": picture + bytes(75)}))


def sog_with_a_zip_bomb(tmp_path: Path) -> Path:
    return sog_with(tmp_path, lambda meta, files: files.update({"quats.webp": bytes(80 << 20)}))


def glb_of_10_to_the_12(tmp_path: Path) -> Path:
    return glb_with(tmp_path, lambda json: [a.update(count=10**12) for a in json["accessors"]])


def glb_that_repeats_itself(tmp_path: Path) -> Path:
    def repeat(description: dict[str, Any]) -> None:
        primitives = description["meshes"][0]["primitives"]
        primitives *= 100

    return glb_with(tmp_path, repeat, n=3000)


def glb_with(tmp_path: Path, change: Callable[[dict[str, Any]], object], n: int = 10) -> Path:
    """A binary glTF file whose description was changed."""
    path = tmp_path / "a.glb"
    write_splat_glb(random_gaussians(n), path)
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    description = json.loads(data[20 : 20 + length])
    change(description)
    text = json.dumps(description).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    path.write_bytes(head + text + rest)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (ply_of_10_to_the_12, "promised"),
        (compressed_ply_of_10_to_the_12, "promised"),
        (spz_of_4_billion, "promise"),
        (spz_gzip_bomb, "promise"),
        (sog_of_a_billion, "promise"),
        (sog_with_a_huge_picture, "larger"),
        (sog_with_a_zip_bomb, "too large"),
        (glb_of_10_to_the_12, "beyond"),
        (glb_that_repeats_itself, "promise"),
    ],
)
def test_promises_beyond_the_file_are_refused_before_memory_is_taken(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words):
            read_splats(path)
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "means_l.webp/../meta.json", "", None, ["a"]])
def test_names_in_an_archive_lead_nowhere(tmp_path: Path, name: object) -> None:
    path = sog_with(tmp_path, lambda meta, files: meta["quats"].update(files=[name]))
    with pytest.raises(ValueError, match="holds no file"):
        read_splats(path)


def test_members_with_hostile_names_are_not_unpacked(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = sog_with(inside, lambda meta, files: files.update({"../escaped.txt": b"x", "/escaped.txt": b"x"}))
    read_splats(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["inside"]
    assert not Path("/escaped.txt").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda meta, files: meta.update(version=1), "version 2"),
        (lambda meta, files: meta.update(count=-1), "count"),
        (lambda meta, files: meta.update(count=True), "count"),
        (lambda meta, files: meta.update(count=1000), "fewer pixels"),
        (lambda meta, files: meta["means"].update(mins=[float("nan"), 0, 0]), "finite"),
        (lambda meta, files: meta["means"].update(maxs=[1e9, 0, 0]), "not finite"),
        (lambda meta, files: meta["scales"].update(codebook=[0.0]), "256"),
        (lambda meta, files: meta["shN"].update(bands=7), "bands"),
        (lambda meta, files: meta["shN"].update(count=3), "beyond the palette"),
        (lambda meta, files: meta.update(sh0=[]), "nothing of sh0"),
        (lambda meta, files: files.update({"sh0.webp": b"GIF89a"}), "picture of sh0"),
    ],
)
def test_a_wrong_meta_json_is_refused_with_the_reason(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_splats(sog_with(tmp_path, change))


def _attributes(description: dict[str, Any]) -> dict[str, int]:
    return description["meshes"][0]["primitives"][0]["attributes"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda gltf: gltf["buffers"][0].update(uri="file:///etc/passwd"), "not in the file itself"),
        (lambda gltf: gltf["nodes"][0].update(children=[0]), "no tree"),
        (lambda gltf: gltf["nodes"][0].update(scale=[1, 2, 1]), "unevenly scaled"),
        (lambda gltf: gltf["nodes"][0].update(scale=[-1, 1, 1]), "mirrored"),
        (lambda gltf: gltf["nodes"][0].update(rotation=[0, 0, 0, 0]), "no rotation"),
        (lambda gltf: _attributes(gltf).pop("KHR_gaussian_splatting:SCALE"), "SCALE is missing"),
        (lambda gltf: _attributes(gltf).pop("KHR_gaussian_splatting:SH_DEGREE_2_COEF_1"), "coefficients fit no"),
        (lambda gltf: _attributes(gltf).update(POSITION=10**9), "none of its"),
        (lambda gltf: gltf["accessors"][0].update(count=9), "differ in length"),
        (lambda gltf: gltf["accessors"][0].update(sparse={}), "kind that is not read"),
        (lambda gltf: gltf["bufferViews"][0].update(byteStride=4), "overlap"),
        (lambda gltf: gltf["bufferViews"][0].update(buffer=1), "binary part"),
        (lambda gltf: gltf["meshes"][0]["primitives"][0].pop("extensions"), "holds no Gaussians"),
        (
            lambda gltf: gltf["meshes"][0]["primitives"][0]["extensions"]["KHR_gaussian_splatting"].update(
                colorSpace="lin_rec709_display"
            ),
            "colorSpace",
        ),
    ],
)
def test_a_wrong_description_of_a_gltf_is_refused_with_the_reason(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_splats(glb_with(tmp_path, change))


def test_nodes_of_a_gltf_place_the_gaussians_and_their_colours(tmp_path: Path) -> None:
    half = np.sqrt(0.5)
    nodes = [{"children": [1], "translation": [1, 2, 3]}, {"mesh": 0, "rotation": [0, half, 0, half], "scale": [2] * 3}]
    read = read_splats(glb_with(tmp_path, lambda gltf: gltf.update(nodes=nodes)))
    quarter_turn_about_y = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    expected = transformed(random_gaussians(10), 2.0, quarter_turn_about_y, np.array([1.0, 2, 3]))
    for name in ("means", "log_scales", "sh"):
        assert torch.allclose(getattr(read, name), getattr(expected, name), atol=1e-5), name


def test_infinite_opacities_of_other_programs_are_read_as_full_and_none(tmp_path: Path) -> None:
    gaussians = random_gaussians(3)
    infinite = torch.tensor([float("inf"), -float("inf"), 0.0])
    write_ply(
        Gaussians(gaussians.means, gaussians.log_scales, gaussians.quats_wxyz, infinite, gaussians.sh),
        tmp_path / "a.ply",
    )
    assert torch.allclose(
        read_ply(tmp_path / "a.ply").opacity_logits.sigmoid(), torch.tensor([1.0, 0.0, 0.5]), atol=1e-6
    )
