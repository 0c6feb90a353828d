"""Where the splats are fitted and drawn: our kernels on the CPU, gsplat on CUDA."""

from dataclasses import dataclass
from typing import Literal

import torch

from recon.errors import ReconError
from splatting.rasterizer import RasterizerName

DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """A torch device, the rasterizer that serves it, and why it is not CUDA if that was to be expected."""

    torch_name: str
    rasterizer: RasterizerName
    warning: str | None = None


def choose_device(name: DeviceName) -> Device:
    """Pick the device; the only place that does.

    Raises:
        ReconError: CUDA was asked for by name and cannot be used.
    """
    if name == "cpu":
        return Device("cpu", "cpu")
    if not torch.cuda.is_available():
        if name == "cuda":
            raise ReconError(
                "CUDA was asked for, but torch finds no CUDA device.",
                "Leave --device out to use the CPU, or install a CUDA build of torch and a driver.",
            )
        return Device("cpu", "cpu")
    from splatting.rasterize_gsplat import why_unavailable  # gsplat takes seconds to import

    problem = why_unavailable()
    if problem is None:
        return Device("cuda", "gsplat")
    if name == "cuda":
        raise ReconError(f"CUDA was asked for, but gsplat cannot be used: {problem}.", "Use --device cpu meanwhile.")
    return Device(
        "cpu", "cpu", f"There is a CUDA device, but gsplat cannot be used ({problem}): the CPU is used instead."
    )
