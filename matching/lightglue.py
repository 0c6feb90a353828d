"""Kornia's LightGlue, built offline from a file of weights and with a faster cross-attention."""

import re
from dataclasses import dataclass

import torch
from kornia.feature import LightGlue
from kornia.feature.lightglue import CrossBlock
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from matching.types import Features, Matches

# Kornia derives this buffer from the number of layers; files of weights need not hold it.
_DERIVED_BUFFERS = {"confidence_thresholds"}
# LighterGlue's file also holds a copy of XFeat, and DISK's a scalar of each layer that only training used.
_UNUSED = re.compile(r"extractor\..*|log_assignment\.\d+\.r")


@dataclass(frozen=True)
class Shape:
    """Which LightGlue a file of weights belongs to, and how its work is cut short (LightGlue paper, sec. 3.3).

    Attributes:
        input_dim, descriptor_dim, num_layers, num_heads: of the network.
        early_stop: share of the keypoints that must be decided for the layers left to be skipped; -1 skips none.
        pruning: how sure it must be that a keypoint has no match for it to be dropped on the way.
    """

    input_dim: int
    descriptor_dim: int
    num_layers: int
    num_heads: int
    early_stop: float
    pruning: float


# As their authors chose. Measured on 54 pairs with ALIKED: half the time, AUC@5 .932 against .933; on 45 pairs with
# XFeat: .62 of the time, .860 against .852. Early stops, which LighterGlue was not trained for, gain it no more.
LIGHTGLUE = Shape(128, 256, 9, 4, early_stop=0.95, pruning=0.99)
LIGHTERGLUE = Shape(64, 96, 6, 1, early_stop=-1, pruning=0.95)


class _FusedCrossBlock(CrossBlock):
    """Kornia's cross-attention by two fused calls, which never hold the [M, N] attention matrix.

    Kornia uses these on CUDA only. On the CPU they halve the time of a pair and give the same matches.
    """

    def forward(self, x0: Tensor, x1: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        qk0, qk1, v0, v1 = (self._split(t) for t in (self.to_qk(x0), self.to_qk(x1), self.to_v(x0), self.to_v(x1)))
        transposed = None if mask is None else mask.transpose(-1, -2)
        message0 = self._merge(scaled_dot_product_attention(qk0, qk1, v1, attn_mask=mask))
        message1 = self._merge(scaled_dot_product_attention(qk1, qk0, v0, attn_mask=transposed))
        return (
            x0 + self.ffn(torch.cat([x0, message0], -1)),
            x1 + self.ffn(torch.cat([x1, message1], -1)),
        )

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, D / heads]

    def _merge(self, x: Tensor) -> Tensor:
        return self.to_out(x.transpose(1, 2).flatten(-2))  # [B, N, D]


def build(state: dict[str, Tensor], shape: Shape) -> LightGlue:
    """Build a LightGlue; swapping photos changes nothing but rounding.

    Args:
        state: tensors by the names of the original implementation [1] or of LighterGlue [2].
        shape: of the network that the tensors belong to.

    Raises:
        ValueError: the tensors belong to a network of another shape.

    [1] Lindenberger et al., LightGlue, ICCV 2023. [2] github.com/verlab/accelerated_features.
    """
    network = LightGlue(
        None,  # type: ignore[arg-type] # kornia documents None: fetch no weights
        input_dim=shape.input_dim,
        descriptor_dim=shape.descriptor_dim,
        n_layers=shape.num_layers,
        num_heads=shape.num_heads,
        depth_confidence=shape.early_stop,
        width_confidence=shape.pruning,
    )
    for layer in network.transformers:
        layer.cross_attn = _FusedCrossBlock(shape.descriptor_dim, shape.num_heads)
    renamed = {_kornia_name(name): tensor for name, tensor in state.items() if not _UNUSED.fullmatch(name)}
    try:
        missing, unexpected = network.load_state_dict(renamed, strict=False)
    except RuntimeError as error:
        raise ValueError("the tensors belong to a LightGlue of another shape") from error
    if unexpected or set(missing) - _DERIVED_BUFFERS:
        raise ValueError(f"the tensors belong to a LightGlue of another shape: {[*missing, *unexpected]}")
    return network.eval()


def _kornia_name(name: str) -> str:
    """`matcher.self_attn.3.Wqkv.bias` -> `transformers.3.self_attn.Wqkv.bias`."""
    name = name.removeprefix("matcher.")
    block, _, rest = name.partition(".")
    if block not in ("self_attn", "cross_attn"):
        return name
    layer, _, rest = rest.partition(".")
    return f"transformers.{layer}.{block}.{rest}"


@torch.inference_mode()
def match(network: LightGlue, a: Features, b: Features) -> Matches:
    """Match the features of two photos with a network made by `build`."""
    result = network({"image0": _to_kornia(a), "image1": _to_kornia(b)})
    return Matches(result["matches"][0].numpy(), result["scores"][0].float().numpy())


def _to_kornia(features: Features) -> dict[str, Tensor]:
    return {
        "keypoints": torch.from_numpy(features.keypoints - 0.5)[None],  # kornia counts from the pixel centre
        "descriptors": torch.from_numpy(features.descriptors)[None],
        "image_size": torch.tensor([[features.width, features.height]]),
    }
