"""Every splat format: what comes back, what other programs read, and what the table promises."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from splatting.formats import FORMATS, format_of, read_splats, write_splats
from splatting.formats.frames import half_turn
from splatting.formats.ply import declared_up, read_ply, write_ply
from splatting.formats.sog import write_sog
from splatting.formats.spz import read_spz, write_spz
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import evaluate_bases
from splatting.transforms import transformed
from tests.splat_files import Errors, errors, random_gaussians, stored_order

# Upper bounds of (xyz, log-scale, rotation in degrees, opacity, dc, harmonics): half a step of each quantisation, on
# average a quarter; for the random Gaussians of `random_gaussians`.
BOUNDS = {
    ".ply": Errors(0, 0, 0, 0, 0, 0),
    ".compressed.ply": Errors(2e-3, 2e-3, 0.12, 1.1e-3, 5e-3, 0.0095),
    ".splat": Errors(0, 1e-6, 0.5, 1.1e-3, 4.2e-3, 0),
    ".spz": Errors(2e-4, 0.0165, 0.1, 1.1e-3, 0.008, 0.005),
    ".sog": Errors(2e-4, 0.006, 0.4, 1.1e-3, 0.005, 0.025),
    ".glb": Errors(0, 1e-6, 1e-4, 1e-6, 0, 0),
}
SUFFIXES = tuple(FORMATS)
RECORDED = Path(__file__).with_name("recorded")


def assert_within(found: Errors, bounds: Errors) -> None:
    for name, bound in vars(bounds).items():
        value = getattr(found, name)
        assert value <= bound or value != value, f"{name}: {value} > {bound}"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("degree", [0, 2, 3])
def test_what_is_read_is_what_was_written_within_the_steps_of_the_format(
    tmp_path: Path, suffix: str, degree: int
) -> None:
    gaussians = random_gaussians(2000, degree)
    file = tmp_path / f"a{suffix}"
    FORMATS[suffix].write(gaussians, file)
    read = FORMATS[suffix].read(file)
    assert read.sh_degree == (0 if suffix == ".splat" else degree)
    assert_within(errors(gaussians.select(stored_order(suffix, gaussians)), read), BOUNDS[suffix])
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("suffix", [".ply", ".compressed.ply", ".splat", ".spz", ".sog"])
def test_gaussforge_reads_the_same_from_our_files(tmp_path: Path, suffix: str) -> None:
    gaussforge = pytest.importorskip("gaussforge", reason="gaussforge is a development dependency")
    gaussians = random_gaussians(1500)
    FORMATS[suffix].write(gaussians, tmp_path / f"a{suffix}")
    made = gaussforge.GaussForge().convert((tmp_path / f"a{suffix}").read_bytes(), suffix[1:], "ply")
    (tmp_path / "theirs.ply").write_bytes(made["data"])
    found = errors(gaussians.select(stored_order(suffix, gaussians)), read_ply(tmp_path / "theirs.ply"))
    bounds = {**vars(BOUNDS[suffix]), "rotation_deg": BOUNDS[suffix].rotation_deg + 1e-4}
    bounds["opacity"] += 1e-6
    assert_within(found, Errors(**bounds))


@pytest.mark.parametrize(
    ("suffix", "bounds"),
    [
        (".compressed.ply", Errors(2e-3, 2e-3, 0.12, 1.1e-3, 5e-3, 0.0105)),
        # Harmonics of the first degree in 5 bits.
        (".spz", Errors(2e-4, 0.03, 0.1, 1.1e-3, 0.008, 0.036)),
        (".sog", Errors(2e-4, 0.01, 0.7, 4e-3, 0.01, 0.005)),
        (".glb", Errors(1e-6, 1e-6, 1e-3, 1e-6, 1e-6, 1e-6)),
    ],
)
def test_we_read_what_splat_transform_wrote_upright(suffix: str, bounds: Errors) -> None:
    # recorded/scene.ply, y down and without a comment for splat-transform, which made the other files of it:
    #   splat-transform -g cpu scene.ply scene.glb
    scene = read_splats(RECORDED / "scene.ply")
    if suffix == ".glb":  # it turns the scene upright about z, we about x
        scene = transformed(read_ply(RECORDED / "scene.ply"), 1.0, np.diag([-1.0, -1.0, 1.0]), np.zeros(3))
    read = read_splats(RECORDED / f"scene{suffix}")
    nearest = torch.cdist(read.means, scene.means).argmin(1)
    assert sorted(nearest.tolist()) == list(range(len(scene)))
    assert_within(errors(scene.select(nearest), read), bounds)


def test_glb_files_hold_their_points_for_programs_that_know_no_splats(tmp_path: Path) -> None:
    gaussians = random_gaussians(50)
    write_splats(gaussians, tmp_path / "a.glb")
    (cloud,) = trimesh.load(tmp_path / "a.glb").geometry.values()
    assert np.array_equal(cloud.vertices, gaussians.means.numpy())
    rgb = (gaussians.sh[:, 0] * 0.28209479177387814 + 0.5).clamp(0, 1)
    assert np.abs(cloud.colors[:, :3] / 255 - rgb.numpy()).max() <= 0.5 / 255 + 1e-6


# Not compressed PLY: its writer mixes up the channels of the harmonics (seen in 0.6.0, by two other readers too).
@pytest.mark.parametrize("suffix", [".ply", ".splat", ".spz", ".sog"])
def test_we_read_what_gaussforge_writes(tmp_path: Path, suffix: str) -> None:
    gaussforge = pytest.importorskip("gaussforge", reason="gaussforge is a development dependency")
    gaussians = random_gaussians(1500)
    # Its SOG writer packs quaternions as they are, which only those of unit length survive.
    gaussians.quats_wxyz.div_(gaussians.quats_wxyz.norm(dim=1, keepdim=True))
    write_ply(gaussians, tmp_path / "a.ply")
    made = gaussforge.GaussForge().convert((tmp_path / "a.ply").read_bytes(), "ply", suffix[1:])
    (tmp_path / f"theirs{suffix}").write_bytes(made["data"])
    read = FORMATS[suffix].read(tmp_path / f"theirs{suffix}")
    nearest = torch.cdist(read.means.double(), gaussians.means.double()).argmin(1)
    assert len(nearest.unique()) > 0.99 * len(gaussians)
    found = errors(gaussians.select(nearest), read)
    # Its SPZ has harmonics of 5 and 4 bits, which a step of 1/8 leaves within 0.036. Its .splat rounds down.
    bounds = {**vars(BOUNDS[suffix]), "rotation_deg": 1.0, "xyz": 1e-3, "sh": 0.04, "opacity": 2.5e-3, "dc": 0.0085}
    assert_within(found, Errors(**bounds))


def test_the_half_turn_of_a_world_is_a_similarity_and_its_own_inverse() -> None:
    gaussians = random_gaussians(50)
    expected = transformed(gaussians, 1.0, np.diag([1.0, -1.0, -1.0]), np.zeros(3))
    turned = half_turn(gaussians)
    assert torch.equal(turned.means, expected.means)
    assert torch.allclose(turned.sh, expected.sh, atol=1e-6)
    assert torch.allclose(covariances(turned), covariances(expected), atol=1e-6)
    for name, values in vars(half_turn(turned)).items():
        assert torch.equal(values, getattr(gaussians, name)), name


def covariances(gaussians: Gaussians) -> torch.Tensor:
    rotations = Rotation.from_quat(gaussians.quats_wxyz.numpy(), scalar_first=True).as_matrix()
    axes = torch.from_numpy(rotations) * gaussians.log_scales.double().exp()[:, None]
    return axes @ axes.transpose(1, 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_our_world_comes_back_from_every_file_and_has_y_up_where_others_expect_it(tmp_path: Path, suffix: str) -> None:
    gaussians = random_gaussians(300)
    file = tmp_path / f"a{suffix}"
    write_splats(gaussians, file)
    as_written = gaussians if suffix in (".spz", ".glb") else half_turn(gaussians)
    order = stored_order(suffix, as_written)
    assert_within(errors(gaussians.select(order), read_splats(file)), BOUNDS[suffix])
    assert_within(errors(as_written.select(order), FORMATS[suffix].read(file)), BOUNDS[suffix])


def test_a_ply_that_does_not_say_which_way_is_up_is_taken_for_one_with_y_down(tmp_path: Path) -> None:
    gaussians = random_gaussians(5)
    write_splats(gaussians, tmp_path / "ours.ply", up="+y")
    assert declared_up(tmp_path / "ours.ply") == "+y"
    silent = (tmp_path / "ours.ply").read_bytes().replace(b"comment up axis +y\n", b"")
    (tmp_path / "silent.ply").write_bytes(silent)
    assert torch.equal(read_splats(tmp_path / "silent.ply").means, half_turn(gaussians).means)
    assert torch.equal(read_splats(tmp_path / "silent.ply", up="+y").means, gaussians.means)
    write_splats(gaussians, tmp_path / "down.ply")
    assert declared_up(tmp_path / "down.ply") == "-y"
    assert torch.equal(read_splats(tmp_path / "down.ply").means, gaussians.means)


def test_the_suffix_chooses_the_format_and_a_compressed_ply_is_known_by_its_header(tmp_path: Path) -> None:
    assert format_of(Path("A.Compressed.PLY")).label == "compressed PLY"
    with pytest.raises(ValueError, match="named as"):
        format_of(Path("a.obj"))
    gaussians = random_gaussians(20)
    write_splats(gaussians, tmp_path / "a.compressed.ply")
    (tmp_path / "a.compressed.ply").rename(tmp_path / "b.ply")
    assert len(read_splats(tmp_path / "b.ply")) == 20


@pytest.mark.parametrize("version", [3, 4])
def test_fewer_bits_of_harmonics_make_smaller_spz_files_with_larger_errors(tmp_path: Path, version: int) -> None:
    gaussians = random_gaussians(1000)
    sizes, found = [], []
    for bits in (8, 5):
        file = tmp_path / f"{bits}.spz"
        write_spz(gaussians, file, version=version, sh_bits=bits)  # type: ignore[arg-type]
        sizes.append(file.stat().st_size)
        found.append(errors(gaussians, read_spz(file)).sh)
    assert sizes[1] < 0.75 * sizes[0]
    assert found[0] < 0.005 < found[1] < 0.02


def test_spz_positions_are_as_fine_as_the_farthest_gaussian_allows(tmp_path: Path) -> None:
    gaussians = random_gaussians(100)
    far = Gaussians(gaussians.means * 1e5, *(getattr(gaussians, n) for n in ("log_scales", "quats_wxyz")),
                    gaussians.opacity_logits, gaussians.sh)  # fmt: skip
    write_spz(far, tmp_path / "far.spz")
    assert (read_spz(tmp_path / "far.spz").means - far.means).abs().max() <= 0.04
    with pytest.raises(ValueError, match="beyond"):
        write_spz(
            Gaussians(far.means * 1e3, far.log_scales, far.quats_wxyz, far.opacity_logits, far.sh), tmp_path / "b"
        )


def test_spz_of_version_2_has_the_first_three_of_the_quaternion(tmp_path: Path) -> None:
    import gzip
    import struct

    header = struct.pack("<4sIIBBBB", b"NGSP", 2, 1, 0, 12, 0, 0)
    position = (4096).to_bytes(3, "little") + (-8192).to_bytes(3, "little", signed=True) + bytes(3)
    # xyz of the quaternion as bytes about 127.5: (0.6, 0, 0), so that w is 0.8.
    body = position + bytes([128, 128, 128, 128, 160, 144, 176]) + bytes([204, 128, 127])
    (tmp_path / "a.spz").write_bytes(gzip.compress(header + body))
    read = read_spz(tmp_path / "a.spz")
    assert read.means.tolist() == [[1.0, -2.0, 0.0]]
    assert read.log_scales.tolist() == [[0.0, -1.0, 1.0]]
    assert torch.allclose(read.quats_wxyz, torch.tensor([[0.8, 0.6, 0.0, 0.0]]), atol=0.005)


def test_a_small_palette_keeps_colours_that_repeat_exactly(tmp_path: Path) -> None:
    gaussians = random_gaussians(3000)
    kinds = torch.arange(3000) % 40
    repeated = Gaussians(
        gaussians.means, gaussians.log_scales, gaussians.quats_wxyz, gaussians.opacity_logits, gaussians.sh[kinds]
    )
    write_sog(repeated, tmp_path / "a.sog", max_palette=256)
    found = errors(repeated.select(stored_order(".sog", repeated)), FORMATS[".sog"].read(tmp_path / "a.sog"))
    assert found.sh < 0.02  # of a spread of 0.088; one centre for all would leave all of it


def test_sog_files_of_one_scene_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_sog(random_gaussians(500), tmp_path / f"{name}.sog", max_palette=64)
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("n", [0, 1])
def test_one_gaussian_is_a_scene_and_none_is_one_or_a_reason(tmp_path: Path, suffix: str, n: int) -> None:
    file = tmp_path / f"a{suffix}"
    if n == 0 and suffix in (".sog", ".glb"):
        with pytest.raises(ValueError, match="no Gaussians"):
            write_splats(random_gaussians(n), file)
    else:
        write_splats(random_gaussians(n), file)
        assert len(read_splats(file)) == n


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != ".ply"])
def test_values_that_are_no_numbers_are_not_written(tmp_path: Path, suffix: str) -> None:
    for name in ("means", "log_scales", "quats_wxyz", "opacity_logits", "sh"):
        gaussians = random_gaussians(10)
        getattr(gaussians, name)[3] = float("nan")
        with pytest.raises(ValueError, match="finite"):
            FORMATS[suffix].write(gaussians, tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def failing_after(num_bytes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that is full after so many bytes."""
    import splatting.formats.whole_files as whole_files

    real = Path.open

    def open_small(path: Path, mode: str = "r", *args: object) -> object:
        file = real(path, mode, *args)  # type: ignore[call-overload]
        if "w" in mode:
            written = [0]

            def write(data: bytes, inner=file.write) -> int:  # type: ignore[no-untyped-def]
                written[0] += len(data)
                if written[0] > num_bytes:
                    raise OSError(28, "No space left on device")
                return inner(data)

            return _Wrapped(file, write)
        return file

    with monkeypatch.context() as patched:
        patched.setattr(whole_files.Path, "open", open_small)
        yield


class _Wrapped:
    def __init__(self, file, write) -> None:  # type: ignore[no-untyped-def]
        self._file, self.write = file, write

    def __enter__(self) -> "_Wrapped":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(b"old")
    with failing_after(500, monkeypatch), pytest.raises(OSError, match="No space"):
        write_splats(random_gaussians(200), file)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_colours_seen_from_the_side_survive_the_turn() -> None:
    gaussians = random_gaussians(20)
    directions = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    turned_directions = directions * torch.tensor([1.0, -1.0, -1.0])
    before = (evaluate_bases(3, directions)[:, :, None] * gaussians.sh).sum(1)
    after = (evaluate_bases(3, turned_directions)[:, :, None] * half_turn(gaussians).sh).sum(1)
    assert torch.allclose(before, after, atol=1e-6)
