"""Everything that can be set, and the three presets."""

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from matching.stereo import StereoConfig
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


def check_bounds(config: Any, prefix: str = "") -> None:
    """Check every numeric field of a config dataclass, and of those inside it, against its `low` and `high`.

    Raises:
        ValueError: names the field, its value and what it may be.
    """
    for part in dataclasses.fields(config):
        value, name = getattr(config, part.name), prefix + part.name
        if dataclasses.is_dataclass(value):
            check_bounds(value, name + ".")
            continue
        low, high = part.metadata.get("low"), part.metadata.get("high")
        if isinstance(value, int | float) and not isinstance(value, bool):
            too_low = low is not None and not value >= low
            if too_low or (high is not None and not value <= high):
                raise ValueError(f"{name} must lie between {low} and {high}, got {value}")


_STANDARD = ReconConfig()

PRESETS: dict[PresetName, ReconConfig] = {
    "draft": replace(
        _STANDARD,
        initialise=InitialiseConfig(num_gaussians=80_000),
        fit=FitConfig(num_iterations=250),
        mesh=MeshConfig(),
    ),
    "standard": _STANDARD,
    "best": replace(
        _STANDARD,
        working_side_px=1280,
        dense=DenseConfig(stereo=StereoConfig()),
        initialise=InitialiseConfig(num_gaussians=300_000),
        fit=FitConfig(num_iterations=2500, sh_degree=2),
    ),
}
