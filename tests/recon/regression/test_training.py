"""Training in small: it learns, it can be interrupted, its weights survive a file."""

from pathlib import Path

import pytest
import torch

from recon.regression.network import PairNetwork
from recon.regression.training import FULL, SMOKE, TrainingConfig, ValidationScores, train, validate, validation_pairs
from recon.regression.weights import load_network, save_network

TINY = TrainingConfig(
    num_steps=24,
    num_matches=48,
    batch_matches=768,
    varied_share=0.0,
    warmup_steps=6,
    learning_rate=3e-3,
    averaging=0.6,
    checkpoint_every=12,
)
FEW = validation_pairs(8, 16)


class TrainingStoppedError(Exception):
    """Stands for a killed process."""


@pytest.fixture(scope="module")
def trained() -> PairNetwork:
    return train(TINY, validation=FEW)


def test_a_tiny_training_beats_the_untrained_network(trained: PairNetwork) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = PairNetwork()
    pairs = validation_pairs(192, 48)
    before, after = validate(untrained, pairs), validate(trained, pairs)
    assert after.loss < 0.9 * before.loss
    assert after.rotation_deg < before.rotation_deg
    assert after.precision > before.precision


def test_an_interrupted_training_ends_in_the_same_weights(trained: PairNetwork, tmp_path: Path) -> None:
    def interrupt(step: int, scores: ValidationScores) -> None:
        raise TrainingStoppedError

    checkpoint = tmp_path / "state.pt"
    with pytest.raises(TrainingStoppedError):
        train(TINY, checkpoint=checkpoint, validation=FEW, report=interrupt)
    resumed = train(TINY, checkpoint=checkpoint, validation=FEW)
    for own, other in zip(resumed.parameters(), trained.parameters(), strict=True):
        assert torch.equal(own, other)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    short = TrainingConfig(num_steps=1, num_matches=16, batch_matches=128, checkpoint_every=1)
    train(short, checkpoint=tmp_path / "state.pt", validation=FEW)
    with pytest.raises(ValueError, match="another training"):
        train(FULL, checkpoint=tmp_path / "state.pt")


def test_weights_survive_a_file(trained: PairNetwork, tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    save_network(trained, path)
    assert path.stat().st_size <= 2_000_000
    loaded = load_network(path)
    for own, other in zip(loaded.parameters(), trained.parameters(), strict=True):
        assert torch.equal(own, other)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no weights"):
        load_network(path)


@pytest.mark.slow
def test_the_smoke_training_learns_poses_in_minutes() -> None:
    pairs = validation_pairs(256)
    scores = validate(train(SMOKE, validation=FEW), pairs)
    # .81, .93 and 6.6 degrees were measured; the rest is room for other rounding.
    assert scores.precision > 0.78
    assert scores.recall > 0.85
    assert scores.rotation_deg < 12
