"""Trained weights of the pair network as safetensors."""

from importlib.resources import as_file, files
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from recon.regression.network import PairNetwork
from recon.whole_files import write_whole

WEIGHTS_NAME = "pose_regression.safetensors"
"""In the package `assets`, with a card that says how it was trained."""


def save_network(network: PairNetwork, path: Path) -> None:
    """Write the weights of a network."""
    write_whole(path, save(network.state_dict()))


def load_network(path: Path | None = None) -> PairNetwork:
    """A network for inference, with the shipped weights or those of a file.

    Raises:
        ValueError: the file is missing, damaged or of another network.
    """
    if path is None:
        with as_file(files("assets") / WEIGHTS_NAME) as shipped:
            return load_network(shipped)
    network = PairNetwork()
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} holds no weights of the pair network: {error}") from error
    return network.eval().requires_grad_(False)
