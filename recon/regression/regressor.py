"""The trained pair network behind plain arrays."""

from pathlib import Path

import numpy as np
import torch

from recon.focal import FocalEvidence
from recon.regression.correspondences import Correspondences, PairGuess
from recon.regression.network import PairNetwork, symmetric_prediction
from recon.regression.weights import load_network


class PairRegressor:
    """A loaded pair network; a few ms per pair of some hundred matches on one thread."""

    def __init__(self, network: PairNetwork) -> None:
        self._network = network.eval()

    @classmethod
    def load(cls, path: Path | None = None) -> "PairRegressor":
        """With the shipped weights, or those of a file.

        Raises:
            ValueError: the file holds no weights of this network.
        """
        return cls(load_network(path))

    @torch.inference_mode()
    def guess(self, pair: Correspondences, belief: FocalEvidence) -> PairGuess:
        """Inlier probabilities and pose hypotheses of a pair; does not depend on the order of its matches.

        Swapping the photos inverts the hypotheses.

        Raises:
            ValueError: there are no matches.
        """
        if not len(pair):
            raise ValueError("a guess needs at least one match")
        coordinates = np.concatenate([pair.in_a, pair.in_b], axis=1)
        has_confidence = pair.confidence is not None
        confidence = np.zeros(len(pair)) if pair.confidence is None else pair.confidence
        context = [np.log(belief.focal), belief.sigma, float(has_confidence)]
        said = symmetric_prediction(
            self._network,
            *(torch.tensor(np.asarray(x)[None], dtype=torch.float32) for x in (coordinates, confidence, context)),
        )
        order = torch.argsort(said.scores[0], descending=True, stable=True)
        rotation, direction, focal = said.log_sigmas[0, order].exp().double().numpy().T
        return PairGuess(
            torch.sigmoid(said.inlier_logits[0]).double().numpy(),
            _proper(said.rotations[0, order].double().numpy()),
            said.directions[0, order].double().numpy(),
            belief.focal * said.log_focals[0, order].double().exp().numpy(),
            torch.softmax(said.scores[0, order], 0).double().numpy(),
            rotation,
            direction,
            focal,
            float(torch.sigmoid(said.parallax_logits[0])),
        )


def _proper(rotations: np.ndarray) -> np.ndarray:
    """The nearest rotations [K, 3, 3] in float64."""
    U, _, Vt = np.linalg.svd(rotations)
    return np.asarray(U @ Vt)
