"""The measurements compare like with like, and the quick ones write what is asked of them."""

import itertools
import json
import subprocess
import sys

import pytest
import torch

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.losses import photometric_loss
from splatting.rasterize_native import rasterize
from tests.bench import torch_path
from tests.bench.rasterizer_cases import check_same_picture
from tests.bench.surface_scene import surface_scene
from tests.bench.turns import Contestant, Stopwatch, take_turns


@pytest.fixture(scope="module")
def scene() -> tuple[Splats, Camera]:
    return surface_scene(3000, 3, 96, 64)  # 0.5 Gaussians per px: some pixels saturate


def gradients(splats: Splats) -> dict[str, torch.Tensor]:
    tensors = {name: tensor for name, tensor in vars(splats).items() if tensor is not None}
    taken = {name: tensor.grad for name, tensor in tensors.items()}
    for tensor in tensors.values():
        tensor.grad = None
    return taken


@pytest.mark.parametrize(
    ("way", "pairs_at_once"),
    [(torch_path.blend, 5000), (torch_path.blend, 10**9), (torch_path.blend_as_gsplat, 10**9)],
)
def test_torch_path_has_the_gradients_of_the_native_rasterizer(scene, way, pairs_at_once):
    splats, camera = scene
    pieces = torch_path.find_pairs(splats, camera, pairs_at_once=pairs_at_once)
    gradient = torch.randn(camera.height, camera.width, 3, generator=torch.Generator().manual_seed(0))
    torch_path.forward_backward(splats, camera, pieces, gradient, way)
    of_torch = gradients(splats)
    rasterize(splats, camera).rgb.backward(gradient)
    for name, expected in gradients(splats).items():
        # Rounding decides about pairs near opacity 1/255; such a pair moves a gradient by some 1e-3 of one Gaussian's.
        assert (of_torch[name] - expected).norm() <= 3e-3 * expected.norm(), name


def test_pieces_are_bounded_and_cut_between_pixels(scene):
    pieces = torch_path.find_pairs(*scene, pairs_at_once=5000)
    assert len(pieces) > 3
    assert all(0 < len(piece.pixels) <= 5000 for piece in pieces)
    ends = [(int(piece.pixels[0]), int(piece.pixels[-1])) for piece in pieces]
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(ends))


def test_a_torch_path_that_draws_something_else_is_refused(scene):
    splats, camera = scene
    pieces = torch_path.find_pairs(splats, camera, pairs_at_once=5000)
    check_same_picture(splats, camera, pieces)
    with pytest.raises(RuntimeError, match="pictures differ"):
        check_same_picture(splats, camera, pieces[1:])


def test_convolved_loss_is_the_fused_loss():
    random = torch.Generator().manual_seed(0)
    target = torch.rand(40, 50, 3, generator=random)
    rgb = torch.rand(40, 50, 3, generator=random).requires_grad_()
    found = []
    for loss in (photometric_loss(rgb, target), torch_path.photometric_loss(rgb, target)):
        found.append((loss.item(), torch.autograd.grad(loss, rgb)[0]))
    (fused, fused_gradient), (convolved, convolved_gradient) = found
    assert convolved == pytest.approx(fused, rel=1e-5)  # float32 sums over 6,000 values
    assert (fused_gradient - convolved_gradient).norm() <= 1e-4 * convolved_gradient.norm()


def test_first_turn_does_not_count_and_threads_are_given_back():
    seen, before = [], torch.get_num_threads()

    def run(watch: Stopwatch) -> None:
        seen.append(torch.get_num_threads())
        watch.lap("first")
        watch.lap("second")

    times = take_turns({"a": Contestant(run, threads=1, repeats=2), "b": Contestant(run, threads=2)}, turns=3)
    assert seen == [1, 1, 2] * 4
    assert torch.get_num_threads() == before
    assert times["a"].wall_ms.shape == (6, 2)
    assert times["b"].parts == ("first", "second")


@pytest.mark.slow
def test_quick_run_writes_the_demanded_figures(tmp_path):
    path = tmp_path / "figures.json"
    subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_rasterizer", "--quick", "--json", str(path)], check=True, timeout=150
    )
    figures = json.loads(path.read_text())
    # Loose, because the machine may be busy: the demanded ratios are 30 and 6.
    assert figures["ratio_torch_100k"] > 5
    assert figures["ratio_ssim_torch"] > 2
    assert figures["ratio_threads_2_1"] > 0.5
    assert set(figures["ms_step"]) == {"forward", "loss", "backward", "adam", "sum", "cpu"}
