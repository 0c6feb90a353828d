"""Where the splats are fitted and drawn: our kernels on the CPU, gsplat on CUDA."""

import shutil
from dataclasses import dataclass
from typing import Literal

import torch

from recon.errors import ReconError
from splatting.gsplat_toolchain import MissingPiece, missing_piece
from splatting.rasterizer import RasterizerName

DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """A torch device, the rasterizer that serves it, and how it came to be chosen.

    Attributes:
        torch_name: "cpu" or "cuda".
        rasterizer: its name in `splatting.rasterizer`.
        reason: one sentence, why it is this one.
        warning: there is a GPU, but it cannot be used: why, and what to do about it. None otherwise.
    """

    torch_name: str
    rasterizer: RasterizerName
    reason: str
    warning: str | None = None


def choose_device(name: DeviceName) -> Device:
    """Pick the device; the only place that does. With a GPU gsplat may compile its kernels, which takes minutes.

    Raises:
        ReconError: CUDA was asked for by name and cannot be used.
    """
    if name == "cpu":
        return Device("cpu", "cpu", "It was asked for.")
    missing = _missing_for_cuda()
    if missing is None:
        return Device("cuda", "gsplat", "It was asked for." if name == "cuda" else "There is a CUDA device.")
    if name == "cuda":
        raise ReconError(
            f"CUDA was asked for, but cannot be used: {missing.reason}",
            f"{missing.remedy.removesuffix('.')}; --device cpu works meanwhile.",
        )
    warning = f"The GPU is not used: {missing.reason} {missing.remedy}" if _has_gpu() else None
    return Device("cpu", "cpu", missing.reason, warning)


def _missing_for_cuda() -> MissingPiece | None:
    missing = missing_piece()
    if missing is not None:
        return missing
    try:
        from splatting.rasterize_gsplat import why_unavailable  # gsplat takes seconds to import
    except ImportError as error:
        return MissingPiece(f"gsplat does not load: {error}.", "Install it again.")
    return why_unavailable()


def _has_gpu() -> bool:
    """Whether one would expect a GPU to be used; where torch is built without CUDA, its driver's tool tells."""
    return torch.cuda.is_available() or shutil.which("nvidia-smi") is not None
