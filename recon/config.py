"""Everything that can be set, and the three presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, Literal, cast, get_type_hints

from recon.bounds import check_bounds
from recon.dense_depth import DenseConfig
from recon.initialise import InitialiseConfig
from recon.match_photos import MatchingConfig
from recon.mesh_config import MeshConfig
from recon.poses import PoseConfig
from recon.texture import TextureConfig
from splatting.fit import FitConfig

PresetName = Literal["draft", "standard", "best"]
DeviceName = Literal["auto", "cpu", "cuda"]


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
    device: DeviceName = field(default="auto", metadata={"help": "where the splats are fitted", "unit": ""})
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    poses: PoseConfig = field(default_factory=PoseConfig)
    dense: DenseConfig = field(default_factory=DenseConfig)
    initialise: InitialiseConfig = field(default_factory=InitialiseConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    texture: TextureConfig = field(default_factory=TextureConfig)

    def __post_init__(self) -> None:
        check_bounds(self)


def config_from_document(document: Mapping[str, Any]) -> ReconConfig:
    """Undo `dataclasses.asdict` and JSON: the settings of a project file.

    Raises:
        ValueError: a field is missing, unknown or out of bounds; the message names it.
    """
    return _part_from(ReconConfig, document)


def _part_from(cls: type[Any], document: Mapping[str, Any]) -> Any:
    types = get_type_hints(cls)
    if set(types) != set(document):
        raise ValueError(f"the settings differ in {', '.join(sorted(set(types) ^ set(document)))}")
    values = {}
    for name, value in document.items():
        if is_dataclass(types[name]):
            value = _part_from(cast(type, types[name]), value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return cls(**values)


_STANDARD = ReconConfig()

PRESETS: dict[PresetName, ReconConfig] = {
    "draft": replace(
        _STANDARD,
        initialise=InitialiseConfig(num_gaussians=80_000),
        # At so few steps a coarse start and dropout cost .003 SSIM and .1 dB, and slow harmonics .27 dB.
        fit=FitConfig(num_iterations=250, coarse_share=0, dropout=0, lr_harmonics=5e-4),
    ),
    "standard": _STANDARD,
    "best": replace(
        _STANDARD,
        working_side_px=1024,
        initialise=InitialiseConfig(num_gaussians=250_000),
        fit=FitConfig(num_iterations=2000, lr_harmonics=1.25e-4),
    ),
}
