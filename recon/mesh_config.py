"""How a mesh is made: all that can be set."""

from dataclasses import dataclass, field
from typing import Literal

from recon.bounds import check_bounds

DepthSource = Literal["both", "stereo", "gaussians"]


@dataclass(frozen=True)
class MeshConfig:
    """How a mesh is made."""

    depth: DepthSource = field(
        default="both",
        metadata={
            "help": "what gives the shape: what photos agree on (stereo), the fitted splats (gaussians), or both",
            "unit": "",
        },
    )
    voxel_px: float = field(
        default=1.5,
        metadata={
            "help": "detail: side of the smallest cells of the grid, as photos show them in the foreground",
            "unit": "px",
            "low": 0.25,
            "high": 20,
        },
    )
    truncation_voxels: float = field(
        default=8.0,
        metadata={
            "help": "thickness of the layer averaged around a surface: more is smoother, less keeps thin things",
            "unit": "voxels",
            "low": 1.5,
            "high": 32,
        },
    )
    memory_mb: int = field(
        default=250,
        metadata={
            "help": "the smallest cells grow until the grid fits into this much memory",
            "unit": "MB",
            "low": 16,
            "high": 64000,
        },
    )
    far_factor: float = field(
        default=4.0,
        metadata={
            "help": "what is farther than this many times the usual distance is left out",
            "unit": "",
            "low": 1,
            "high": 1000,
        },
    )
    min_alpha: float = field(
        default=0.5,
        metadata={
            "help": "how opaque the splats must be in a pixel to count as a surface there",
            "unit": "",
            "low": 0.05,
            "high": 0.99,
        },
    )
    min_agreeing: int = field(
        default=1, metadata={"help": "other photos that must agree on a place", "unit": "", "low": 0, "high": 20}
    )
    agreement: float = field(
        default=0.02,
        metadata={
            "help": "by how much two photos may differ and still agree, as a share of the distance",
            "unit": "",
            "low": 0.0001,
            "high": 0.2,
        },
    )
    max_grazing_deg: float = field(
        default=88.0,
        metadata={
            "help": "surfaces seen more slantingly than this are not taken from that photo",
            "unit": "deg",
            "low": 30,
            "high": 89,
        },
    )
    lone_weight: float = field(
        default=0.25,
        metadata={
            "help": "how much a place that only one photo shows counts against one that more show",
            "unit": "",
            "low": 0,
            "high": 1,
        },
    )
    lone_source_weight: float = field(
        default=0.5,
        metadata={
            "help": "how much the splats count where no two photos agree, against where they do",
            "unit": "",
            "low": 0,
            "high": 1,
        },
    )
    guess_reach: float = field(
        default=0.02,
        metadata={
            "help": "how far past what two photos agree on the mesh goes: less for fewer guesses, 1 for fewer gaps",
            "unit": "longer sides of the photo",
            "low": 0,
            "high": 2,
        },
    )
    free_weight: float = field(
        default=0.2,
        metadata={
            "help": "how much a photo that looks through a place counts against one that shows a surface there",
            "unit": "",
            "low": 0.001,
            "high": 1,
        },
    )
    between_weight: float = field(
        default=0.3,
        metadata={
            "help": "how much the splats count, seen from between photos, where photos agree with them",
            "unit": "",
            "low": 0,
            "high": 1,
        },
    )
    min_component_share: float = field(
        default=0.005,
        metadata={
            "help": "loose pieces smaller than this share of the largest are dropped",
            "unit": "",
            "low": 0,
            "high": 1,
        },
    )
    max_hole_px: float = field(
        default=12.0,
        metadata={
            "help": "holes up to so many pixels across are filled; what is wider stays open",
            "unit": "px",
            "low": 0,
            "high": 1000,
        },
    )
    smoothing: int = field(
        default=5,
        metadata={"help": "rounds of smoothing; the size stays", "unit": "", "low": 0, "high": 100},
    )
    closed: bool = field(
        default=False,
        metadata={
            "help": "make one watertight piece for printing: unseen sides are made up, far things left out",
            "unit": "",
        },
    )
    max_faces: int = field(
        default=80_000,
        metadata={"help": "the mesh is simplified to this many faces", "unit": "faces", "low": 100, "high": 50000000},
    )

    def __post_init__(self) -> None:
        check_bounds(self)
