import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from matching.dense_descriptors import DenseDescriber
from recon.evaluation.artefact_map import PhotoMemory, artefact_map, heat_picture, remember

pytestmark = pytest.mark.weights
HEIGHT, WIDTH = 240, 320


def _place() -> NDArray[np.float32]:
    """A long wall of coloured blotches of all sizes, of which photos show parts."""
    random = np.random.default_rng(0)
    layers = [gaussian_filter(random.normal(size=(HEIGHT, 3 * WIDTH, 3)), (s, s, 0)) * s for s in (1.5, 4, 12)]
    return np.clip(0.5 + 0.28 * sum(layers), 0, 1).astype(np.float32)  # type: ignore[arg-type]


def _photo(place: NDArray[np.float32], left: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(place[:, left : left + WIDTH])


@pytest.fixture(scope="module")
def place() -> NDArray[np.float32]:
    return _place()


@pytest.fixture(scope="module")
def memory(place: NDArray[np.float32]) -> PhotoMemory:
    return remember([_photo(place, left) for left in (0, 160, 320)], DenseDescriber())


def test_a_render_of_what_the_photos_show_is_no_stranger_than_a_photo(
    place: NDArray[np.float32], memory: PhotoMemory
) -> None:
    strange = artefact_map(memory, _photo(place, 83))
    assert strange.shape == (HEIGHT, WIDTH)
    assert strange.mean() < 1


def test_a_floater_and_a_smear_stand_out_where_they_are(place: NDArray[np.float32], memory: PhotoMemory) -> None:
    clean = _photo(place, 83)
    spoiled = clean.copy()
    spoiled[60:120, 40:100] = (0.95, 0.9, 0.1)
    spoiled[130:200, 200:280] = gaussian_filter(spoiled, (25, 3, 0))[130:200, 200:280]
    strange = artefact_map(memory, spoiled)
    wrong = np.zeros((HEIGHT, WIDTH), bool)
    wrong[60:120, 40:100] = wrong[130:200, 200:280] = True
    assert strange[wrong].mean() > 1.5 * strange[~wrong].mean()
    assert strange[60:120, 40:100].mean() > 1.3 * artefact_map(memory, clean)[60:120, 40:100].mean()
    assert np.quantile(strange[~wrong], 0.5) < np.quantile(strange[wrong], 0.25)


def test_a_thing_that_no_photo_shows_is_strange(place: NDArray[np.float32], memory: PhotoMemory) -> None:
    stripes = np.repeat((np.arange(WIDTH) // 6 % 2)[None, :, None], HEIGHT, axis=0).repeat(3, axis=2)
    assert artefact_map(memory, stripes.astype(np.float32)).mean() > 2 * artefact_map(memory, _photo(place, 83)).mean()


def test_the_map_has_the_picture_s_size_whatever_that_is(place: NDArray[np.float32], memory: PhotoMemory) -> None:
    assert artefact_map(memory, _photo(place, 10)[:101, :157]).shape == (101, 157)


def test_heat_grows_with_strangeness() -> None:
    grey = np.full((10, 10, 3), 0.5, np.float32)
    levels = [heat_picture(grey, np.full((10, 10), value, np.float32)).mean() for value in (0.0, 1.0, 1.5, 2.0)]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 30


def test_one_photo_is_refused(place: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="two photos"):
        remember([_photo(place, 0)], DenseDescriber())
