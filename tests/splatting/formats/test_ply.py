"""3DGS PLY files: exact round trip, the layout other programs expect, and refusal of everything else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from splatting.formats.ply import read_ply, write_ply
from splatting.gaussians import Gaussians


def random_gaussians(n: int, num_coefficients: int = 16) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    shapes = [(n, 3), (n, 3), (n, 4), (n,), (n, num_coefficients, 3)]
    return Gaussians(*(torch.randn(shape, generator=generator) for shape in shapes))


def assert_same(a: Gaussians, b: Gaussians) -> None:
    for name in ("means", "log_scales", "quats_wxyz", "opacity_logits", "sh"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("num_coefficients", [1, 4, 9, 16])
@pytest.mark.parametrize("n", [0, 1, 100])
def test_writing_and_reading_gives_the_same_bits(tmp_path: Path, n: int, num_coefficients: int) -> None:
    gaussians = random_gaussians(n, num_coefficients)
    write_ply(gaussians, tmp_path / "a.ply")
    assert_same(read_ply(tmp_path / "a.ply"), gaussians)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_layout_is_that_of_the_original_implementation(tmp_path: Path) -> None:
    gaussians = random_gaussians(5)
    write_ply(gaussians, tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes()
    header, body = data.split(b"end_header\n", 1)
    names = [line.split()[2].decode() for line in header.splitlines() if line.startswith(b"property float ")]
    expected = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"] + [f"f_rest_{i}" for i in range(45)]
    assert names == [*expected, *["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]]
    table = np.frombuffer(body, "<f4").reshape(5, 62)
    # Coefficients of red come first, then green, then blue: f_rest_15 is green's first after the constant term.
    assert np.array_equal(table[:, names.index("f_rest_15")], gaussians.sh[:, 1, 1].numpy())
    assert np.array_equal(table[:, names.index("rot_0")], gaussians.quats_wxyz[:, 0].numpy())
    assert (table[:, 3:6] == 0).all()


def test_properties_in_another_order_and_without_normals_are_read(tmp_path: Path) -> None:
    gaussians = random_gaussians(7, 1)
    names = [
        "opacity",
        "rot_0",
        "rot_1",
        "rot_2",
        "rot_3",
        "x",
        "y",
        "z",
        "scale_0",
        "scale_1",
        "scale_2",
        "f_dc_0",
        "f_dc_1",
        "f_dc_2",
    ]
    parts = [gaussians.opacity_logits[:, None], gaussians.quats_wxyz, gaussians.means, gaussians.log_scales]
    table = torch.cat([*parts, gaussians.sh[:, 0]], dim=1).numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", "comment made elsewhere", "element vertex 7"]
    header += [f"property float {name}" for name in names] + ["end_header", ""]
    (tmp_path / "a.ply").write_bytes("\r\n".join(header).encode() + table.tobytes())
    assert_same(read_ply(tmp_path / "a.ply"), gaussians)


def changed(tmp_path: Path, old: bytes, new: bytes) -> Path:
    write_ply(random_gaussians(3), tmp_path / "good.ply")
    data = (tmp_path / "good.ply").read_bytes()
    assert old in data
    (tmp_path / "bad.ply").write_bytes(data.replace(old, new, 1))
    return tmp_path / "bad.ply"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"ply\n", b"plx\n", "not a PLY"),
        (b"binary_little_endian", b"ascii", "little-endian"),
        (b"element vertex 3", b"element vertex 4", "promised"),
        (b"element vertex 3", b"element vertex 999999999999999", "promised"),
        (b"element vertex 3", b"element vertex -3", "cannot understand"),
        (b"element vertex 3", b"element face 3", "face"),
        (b"property float opacity", b"property float opaqueness", "opacity"),
        (b"property float nx", b"property float x", "twice"),
        (b"property float nx", b"property list uchar int nx", "list"),
        (b"property float f_rest_44", b"property float something", "f_rest"),
        (b"end_header", b"end_of_it_", "end"),
    ],
)
def test_damaged_headers_are_refused_with_the_reason(tmp_path: Path, old: bytes, new: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_ply(changed(tmp_path, old, new))


def test_truncated_data_is_refused(tmp_path: Path) -> None:
    write_ply(random_gaussians(3), tmp_path / "a.ply")
    (tmp_path / "a.ply").write_bytes((tmp_path / "a.ply").read_bytes()[:-1])
    with pytest.raises(ValueError, match="promised"):
        read_ply(tmp_path / "a.ply")


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0" + bytes(1000), b"ply\n" + b"comment x\n" * 100_000])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(ValueError, match="PLY"):
        read_ply(tmp_path / "a.ply")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    gaussians = random_gaussians(3)
    gaussians.log_scales[1, 2] = value
    write_ply(gaussians, tmp_path / "a.ply")
    with pytest.raises(ValueError, match="finite"):
        read_ply(tmp_path / "a.ply")


def test_a_zero_rotation_is_refused(tmp_path: Path) -> None:
    gaussians = random_gaussians(3)
    gaussians.quats_wxyz[1] = 0
    write_ply(gaussians, tmp_path / "a.ply")
    with pytest.raises(ValueError, match="rotation"):
        read_ply(tmp_path / "a.ply")
