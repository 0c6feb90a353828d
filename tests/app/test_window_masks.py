"""Masks in the Photos step: shown, told, and what is wrong with them told before a run."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

try:
    from app.window import MainWindow
    from tests.app.windows import make_photos, make_window
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

from app.masked_picture import OUTLINE_RGB, masked_picture
from app.photo_inspection import inspect_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "mug")


@pytest.fixture
def window(application: object, tmp_path: Path) -> Iterator[MainWindow]:
    made = make_window(tmp_path)
    yield made
    made.close()


def _mask(photo: Path, size: tuple[int, int] = (800, 600)) -> None:
    """A mask of the left half."""
    half = np.zeros((size[1], size[0]), np.uint8)
    half[:, : size[0] // 2] = 255
    folder = photo.parent / "masks"
    folder.mkdir(exist_ok=True)
    Image.fromarray(half).save(folder / f"{photo.stem}.png")


def test_a_masked_picture_keeps_what_is_built_and_darkens_the_rest() -> None:
    mask = np.zeros((40, 60), bool)
    mask[:, :30] = True
    drawn = masked_picture(np.full((40, 60, 3), 200, np.uint8), mask)
    assert (drawn[:, :28] == 200).all()
    assert (drawn[:, 29:31] == OUTLINE_RGB).all()
    assert drawn[:, 32:].max() <= 100
    with pytest.raises(ValueError, match="differ in size"):
        masked_picture(drawn, mask[1:])


def test_masks_are_drawn_into_thumbnail_and_detail_until_the_box_says_no(window: MainWindow, photos: Path) -> None:
    _mask(photos / "a.jpg")
    window.add_photos([photos])
    panel, photo = window.photo_panel, window.model.photos[0]
    assert not panel.masks.isHidden()
    assert [(badge.kind, badge.is_problem) for badge in photo.badges] == [("mask", False)]
    assert "50% of it is built" in photo.badges[0].sentence
    window.grid.setCurrentRow(0)

    def right_half() -> list[float]:
        pictures = window.grid.picture(photo), panel.pane.picture
        images = [picture.toImage() for picture in pictures if picture is not None]
        places = [(image.width() * 3 // 4 + x, image.height() // 2) for image in images for x in range(16)]
        return [image.pixelColor(*place).lightness() for image in images for place in places[:16]]

    assert max(right_half()) < 130
    panel.masks.click()
    assert max(right_half()) > 150
    assert window.grid.picture(window.model.photos[2]) is not None


def test_a_mask_that_would_stop_the_run_is_told_on_its_photo(window: MainWindow, photos: Path) -> None:
    _mask(photos / "a.jpg", (600, 600))
    window.add_photos([photos])
    (badge,) = window.model.photos[0].badges
    assert badge.is_problem
    assert "600 x 600 pixels, but a.jpg is 800 x 600" in badge.sentence
    window.grid.setCurrentRow(0)
    assert "600 x 600" in window.photo_panel.findings.text()


def test_a_transparent_part_is_a_mask_and_an_empty_one_makes_the_photo_unusable(tmp_path: Path) -> None:
    rgba = np.full((120, 160, 4), 255, np.uint8)
    rgba[:60, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    seen = inspect_photo(tmp_path / "a.png")
    assert seen.mask is not None
    assert seen.mask.mean() == pytest.approx(0.5, abs=0.01)
    rgba[..., 3] = 0
    Image.fromarray(rgba).save(tmp_path / "b.png")
    assert "leaves nothing" in str(inspect_photo(tmp_path / "b.png").problem)
