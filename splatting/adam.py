"""Adam over the parameters of Gaussians, with rates for single columns and room for fewer Gaussians as it goes."""

import math

import torch
from torch import Tensor

BETA1, BETA2 = 0.9, 0.999
EPSILON = 1e-15  # 3DGS: gradients of single Gaussians are far below Adam's usual 1e-8


class Adam:
    """Adam [1] over tensors that all have one row for every Gaussian.

    Torch's own would need the constant colour and the harmonics above it, which learn at another rate, in two tensors,
    and every step would join and cut them. Float32 on the CPU takes a fused kernel; the rest is plain torch.

    Attributes:
        leaves: what is optimised by name, each [N, ...]; new tensors after `keep`.
        rates: the learning rate of each: one for all, one for every element of a row [...], or one for every Gaussian
            [N, 1, ...] (slower); may be changed any time.

    [1] Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1.
    """

    def __init__(self, tensors: dict[str, Tensor], rates: dict[str, float | Tensor]) -> None:
        """Copy the tensors and make the copies leaves.

        Raises:
            ValueError: the names differ, or a rate is neither of the shape of a row nor one for every Gaussian.
        """
        if tensors.keys() != rates.keys():
            raise ValueError(f"rates must be those of {', '.join(tensors)}, got {', '.join(rates)}")
        for name, rate in rates.items():
            row = tensors[name].shape[1:]
            if isinstance(rate, Tensor) and rate.shape not in (row, (len(tensors[name]), *(1 for _ in row))):
                raise ValueError(f"the rate of {name} must be {list(row)}, got {list(rate.shape)}")
        self.leaves = {name: tensor.detach().clone().contiguous().requires_grad_() for name, tensor in tensors.items()}
        self.rates = dict(rates)
        self._means = {name: torch.zeros_like(leaf, requires_grad=False) for name, leaf in self.leaves.items()}
        self._squares = {name: torch.zeros_like(leaf, requires_grad=False) for name, leaf in self.leaves.items()}
        self._num_steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the leaves' gradients and forget those; a leaf without one stays where it is."""
        self._num_steps += 1
        for name, leaf in self.leaves.items():
            if leaf.grad is None:
                continue
            rate = self.rates[name]
            work = (leaf.detach(), leaf.grad, self._means[name], self._squares[name])
            one_per_row = isinstance(rate, Tensor) and rate.ndim == leaf.ndim
            if leaf.device.type == "cpu" and leaf.dtype == torch.float32 and not one_per_row:
                rates = torch.as_tensor(rate, dtype=leaf.dtype).expand(leaf.shape[1:])
                _step_native(*work, rates, self._num_steps)
                torch.autograd.graph.increment_version(leaf)
            else:
                _step_torch(*work, rate, self._num_steps)
            leaf.grad = None

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Go on with some of the Gaussians only: a mask [N] or indices."""
        for name, rate in self.rates.items():
            if isinstance(rate, Tensor) and rate.ndim == self.leaves[name].ndim:
                self.rates[name] = rate[rows]
        self.leaves = {name: leaf[rows].detach().requires_grad_() for name, leaf in self.leaves.items()}
        self._means = {name: tensor[rows] for name, tensor in self._means.items()}
        self._squares = {name: tensor[rows] for name, tensor in self._squares.items()}


def _step_native(value: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: Tensor, step: int) -> None:
    import splatting._native as _native

    if not len(value):
        return
    rows = (tensor.reshape(len(value), -1) for tensor in (value, gradient.contiguous(), mean, square))
    rates = rate.contiguous().reshape(-1)
    _native.adam_step(*rows, rates, BETA1, BETA2, EPSILON, step, torch.get_num_threads())


def _step_torch(value: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: float | Tensor, step: int) -> None:
    mean.lerp_(gradient, 1 - BETA1)
    square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    root = square.sqrt().div_(math.sqrt(1 - BETA2**step)).add_(EPSILON)
    if isinstance(rate, Tensor):
        value.sub_(mean / root * (rate / (1 - BETA1**step)))
    else:
        value.addcdiv_(mean, root, value=-rate / (1 - BETA1**step))
