"""Everything that can be set, and the three presets."""

from dataclasses import dataclass, field, replace
from typing import Literal

from recon.bounds import check_bounds
from recon.dense_depth import DenseConfig
from recon.initialise import InitialiseConfig
from recon.match_photos import MatchingConfig
from recon.meshing import MeshConfig
from recon.poses import PoseConfig
from splatting.fit import FitConfig

PresetName = Literal["draft", "standard", "best"]


@dataclass(frozen=True)
class ReconConfig:
    """The settings of a whole run: one part per stage, and what they share.

    Raises:
        ValueError: a value lies outside what its field allows; the message names the field.
    """

    working_side_px: int = field(
        default=640,
        metadata={"help": "longer side of the images that depth and splats see", "unit": "px", "low": 64, "high": 8192},
    )
    seed: int = field(default=0, metadata={"help": "of everything random", "unit": "", "low": 0, "high": 2**31 - 1})
    device: Literal["auto", "cpu", "cuda"] = field(
        default="auto", metadata={"help": "where the splats are fitted", "unit": ""}
    )
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    poses: PoseConfig = field(default_factory=PoseConfig)
    dense: DenseConfig = field(default_factory=DenseConfig)
    initialise: InitialiseConfig = field(default_factory=InitialiseConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)

    def __post_init__(self) -> None:
        check_bounds(self)


_STANDARD = ReconConfig()

PRESETS: dict[PresetName, ReconConfig] = {
    "draft": replace(
        _STANDARD,
        initialise=InitialiseConfig(num_gaussians=80_000),
        fit=FitConfig(num_iterations=250, coarse_share=0),  # at so few steps it costs .003 SSIM
    ),
    "standard": _STANDARD,
    "best": replace(
        _STANDARD,
        working_side_px=1024,
        initialise=InitialiseConfig(num_gaussians=250_000),
        fit=FitConfig(num_iterations=2000, sh_degree=2),
    ),
}
