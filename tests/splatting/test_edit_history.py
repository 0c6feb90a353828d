"""Every edit can be undone, redone and stored."""

import json

import numpy as np
import pytest

from splatting.edit_history import EditHistory


def mask(*rows: int, count: int = 21) -> np.ndarray:
    return np.isin(np.arange(count), rows)


def test_undo_and_redo_walk_through_the_steps() -> None:
    history = EditHistory(21)
    assert history.undo() is None
    assert history.remove(mask(1, 2), "lasso") == 2
    assert history.remove(mask(2, 3), "box") == 1  # 2 is out already
    assert (history.removed() == mask(1, 2, 3)).all()
    assert history.undo().what == "box"  # type: ignore[union-attr]
    assert (history.removed() == mask(1, 2)).all()
    assert history.redo().what == "box"  # type: ignore[union-attr]
    assert (history.removed() == mask(1, 2, 3)).all()
    history.undo(), history.undo()
    assert not history.removed().any()


def test_a_new_step_forgets_what_was_undone_and_an_empty_one_does_not() -> None:
    history = EditHistory(21)
    history.remove(mask(1), "a")
    history.undo()
    assert history.remove(mask(), "nothing") == 0
    assert history.next_redo is not None
    history.remove(mask(5), "b")
    assert history.redo() is None
    assert [step.what for step in history.steps] == ["b"]


def test_steps_survive_a_file() -> None:
    history = EditHistory(21)
    history.remove(mask(0, 20), "ends")
    history.remove(mask(7), "seven")
    read = EditHistory.from_document(json.loads(json.dumps(history.to_document())))
    assert read.steps == history.steps
    assert (read.removed() == history.removed()).all()


@pytest.mark.parametrize("rows", ["bm9uc2Vucw==", "!", 5])
def test_a_damaged_file_is_refused(rows: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        EditHistory.from_document({"num_gaussians": 21, "steps": [{"what": "a", "count": 1, "rows": rows}]})


def test_masks_must_fit_and_something_must_stay() -> None:
    history = EditHistory(21)
    with pytest.raises(ValueError, match=r"\[21\]"):
        history.remove(mask(count=20), "a")
    with pytest.raises(ValueError, match="nothing would be left"):
        history.remove(np.ones(21, bool), "all")


def test_a_step_is_small() -> None:
    history = EditHistory(1_000_000)
    history.remove(np.arange(1_000_000) < 500_000, "half")
    assert len(history.steps[0].packed) < 1000
    scattered = np.random.default_rng(0).uniform(size=1_000_000) < 0.02
    history.remove(scattered, "floaters")
    assert len(history.steps[1].packed) < 30_000
