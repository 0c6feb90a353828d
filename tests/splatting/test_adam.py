"""The optimiser against torch's, and what it promises beyond."""

import pytest
import torch
from torch import Tensor

from splatting import _native
from splatting.adam import Adam

SHAPES = {"means": (3,), "opacity_logits": (), "sh": (16, 3)}
STEPS = 7


def tensors_of(n: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(n)
    return {name: torch.randn(n, *shape, generator=g).to(dtype) for name, shape in SHAPES.items()}


def rates_of() -> dict[str, float | Tensor]:
    harmonics = torch.full((16, 3), 0.001)
    harmonics[0] = 0.02
    return {"means": 0.01, "opacity_logits": 0.05, "sh": harmonics}


def take_steps(adam: Adam, steps: int = STEPS) -> None:
    """Gradients over ten orders of magnitude, some of them zero."""
    g = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for leaf in adam.leaves.values():
            sizes = 10 ** (torch.rand(leaf.shape, generator=g) * 10 - 9)
            signs = torch.randint(-1, 2, leaf.shape, generator=g)
            leaf.grad = (sizes * signs).to(leaf.dtype)
        adam.step()


@pytest.mark.parametrize("instruction_set", _native.instruction_sets())
@pytest.mark.parametrize("n", [1, 15, 1600])
def test_steps_are_those_of_torch_in_float64(n: int, instruction_set: str) -> None:
    expected = Adam(tensors_of(n, torch.float64), rates_of())
    take_steps(expected)
    used = _native.instruction_set()
    try:
        _native.use_instruction_set(instruction_set)
        adam = Adam(tensors_of(n), rates_of())
        take_steps(adam)
    finally:
        _native.use_instruction_set(used)
    for name, start in tensors_of(n).items():
        moved, wanted = adam.leaves[name] - start, expected.leaves[name] - start
        # A value near 3 keeps steps of 1e-3 to 1e-4 of them.
        assert (moved - wanted).abs().max() < 1e-5, name


def test_the_plain_way_is_torchs_own_adam() -> None:
    adam = Adam(tensors_of(40, torch.float64), rates_of())
    take_steps(adam)
    tensors = tensors_of(40, torch.float64)
    parts = [tensors["means"], tensors["opacity_logits"], tensors["sh"][:, :1].clone(), tensors["sh"][:, 1:].clone()]
    rates = [0.01, 0.05, 0.02, 0.001]
    own = torch.optim.Adam(
        [{"params": [p.requires_grad_()], "lr": r} for p, r in zip(parts, rates, strict=True)], eps=1e-15
    )
    g = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        gradients = []
        for shape in SHAPES.values():
            sizes = 10 ** (torch.rand((40, *shape), generator=g) * 10 - 9)
            gradients.append((sizes * torch.randint(-1, 2, (40, *shape), generator=g)).double())
        means, opacities, harmonics = gradients
        for part, gradient in zip(parts, [means, opacities, harmonics[:, :1], harmonics[:, 1:]], strict=True):
            part.grad = gradient
        own.step()
    assert torch.allclose(adam.leaves["means"], parts[0])
    assert torch.allclose(adam.leaves["opacity_logits"], parts[1])
    assert torch.allclose(adam.leaves["sh"], torch.cat(parts[2:], 1))


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    used, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            adam = Adam(tensors_of(5000), rates_of())
            take_steps(adam, 2)
            results.append(adam.leaves)
    finally:
        torch.set_num_threads(used)
    assert all(torch.equal(results[0][name], other[name]) for other in results[1:] for name in SHAPES)


def test_what_is_kept_goes_on_as_if_alone() -> None:
    rows = torch.arange(0, 100, 3)
    alone = Adam({name: tensor[rows] for name, tensor in tensors_of(100).items()}, rates_of())
    adam = Adam(tensors_of(100), rates_of())
    for everything in (adam, alone):
        for leaf in everything.leaves.values():
            leaf.grad = torch.ones_like(leaf)
        everything.step()
    adam.keep(rows)
    take_steps(adam)
    take_steps(alone)
    assert all(torch.equal(adam.leaves[name], alone.leaves[name]) for name in SHAPES)


def test_the_start_is_not_touched_and_gradients_are_forgotten() -> None:
    start = tensors_of(10)
    before = {name: tensor.clone() for name, tensor in start.items()}
    adam = Adam(start, rates_of())
    take_steps(adam, 1)
    assert all(torch.equal(start[name], before[name]) for name in SHAPES)
    assert all(leaf.grad is None and leaf.requires_grad for leaf in adam.leaves.values())


def test_a_leaf_without_a_gradient_and_no_gaussians_at_all_are_no_trouble() -> None:
    adam = Adam(tensors_of(4), rates_of())
    adam.leaves["means"].grad = torch.ones(4, 3)
    adam.step()
    assert torch.equal(adam.leaves["sh"], tensors_of(4)["sh"])
    assert torch.allclose(adam.leaves["means"], tensors_of(4)["means"] - 0.01)
    take_steps(Adam(tensors_of(0), rates_of()))


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    adam = Adam(tensors_of(4), rates_of())
    loss = adam.leaves["means"].square().sum()
    adam.leaves["means"].grad = torch.ones(4, 3)
    adam.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_rates_of_other_names_or_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="rates must be those of means"):
        Adam({"means": torch.zeros(2, 3)}, {"mean": 0.1})
    with pytest.raises(ValueError, match=r"the rate of means must be \[3\], got \[2\]"):
        Adam({"means": torch.zeros(2, 3)}, {"means": torch.zeros(2)})


def test_gaussians_may_have_rates_of_their_own() -> None:
    factors = torch.tensor([1.0, 5.0, 0.0, 2.0])[:, None]
    adam, plain = Adam(tensors_of(4), rates_of()), Adam(tensors_of(4), rates_of())
    adam.rates["means"] = 0.01 * factors
    take_steps(adam, 2)
    take_steps(plain, 2)
    start = tensors_of(4)["means"]
    moved, expected = adam.leaves["means"] - start, factors * (plain.leaves["means"] - start)
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)
    kept = torch.tensor([False, True, True, False])
    adam.keep(kept)
    before = adam.leaves["means"].detach().clone()
    take_steps(adam, 1)
    changed = (adam.leaves["means"] != before).any(1)
    assert changed.tolist() == [True, False]
