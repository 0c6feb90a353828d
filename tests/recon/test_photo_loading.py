"""Good photos pass, useless files are named, and what the user can mend is said in one sentence with a hint."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, features

from recon import photo_loading
from recon.errors import ReconError
from recon.photo_loading import KnownPhoto, load_more_photos, load_photos
from recon.progress import Cancelled

SAMPLES = Path(__file__).parents[2] / "assets/samples"


def noise(seed, width=640, height=480):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def save(path, seed, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed)).save(path, **options)
    return path


def names(photo_set):
    return [photo.name for photo in photo_set.photos]


def reasons(photo_set):
    return {photo.name: photo.reason for photo in photo_set.rejected}


@pytest.fixture
def two_photos(tmp_path):
    return [save(tmp_path / "1.jpg", 1), save(tmp_path / "2.jpg", 2)]


def test_the_sample_photos_are_fine():
    for folder in sorted(SAMPLES.iterdir()):
        if folder.is_dir():
            found = load_photos([folder])
            assert len(found.photos) >= 3
            assert (found.rejected, found.warnings) == ((), ())


def test_a_folder_gives_its_photos_in_natural_order_and_nothing_else(tmp_path):
    for index, name in enumerate(["IMG_10.jpg", "IMG_2.jpg", "img_1.JPG", "masks/IMG_2.png", "thumbs/IMG_3.jpg"]):
        save(tmp_path / name, index)
    (tmp_path / "notes.txt").write_text("not a photo, and not called one")
    (tmp_path / "._IMG_2.jpg").write_bytes(b"what macOS leaves behind")
    found = load_photos([tmp_path])
    assert names(found) == ["img_1.JPG", "IMG_2.jpg", "IMG_10.jpg"]
    assert found.rejected == ()
    assert [photo.mask_path for photo in found.photos] == [None, tmp_path / "masks/IMG_2.png", None]


def test_every_format_is_read(tmp_path):
    for seed, suffix in enumerate(["jpg", "png", "tiff", "webp"]):
        save(tmp_path / f"{seed}.{suffix}", seed)
    for seed, suffix in enumerate(["heic", "heif"], 4):
        pillow_heif.from_pillow(Image.fromarray(noise(seed))).save(tmp_path / f"{seed}.{suffix}")
    if features.check("avif"):
        save(tmp_path / "6.avif", 6)
    found = load_photos([tmp_path])
    assert found.rejected == ()
    assert len(found.photos) == 6 + features.check("avif")
    for seed, photo in enumerate(found.photos):
        assert np.abs(photo.pixels().astype(int) - noise(seed)).mean() < 8  # lossy


def test_files_keep_the_order_given_and_count_once(two_photos):
    one, two = two_photos
    assert names(load_photos([two, one, two, one.parent])) == ["2.jpg", "1.jpg"]


def test_equal_names_from_different_folders_become_unique(tmp_path):
    paths = [save(tmp_path / name, seed) for seed, name in enumerate(["a/1.jpg", "b/1.jpg", "x/b/1.jpg", "b_1.jpg"])]
    found = load_photos(paths)
    assert names(found) == ["a_1.jpg", "b_1_2.jpg", "b_1_3.jpg", "b_1.jpg"]
    assert [photo.path for photo in found.photos] == paths


def test_names_that_differ_in_their_suffix_only_become_unique_too(tmp_path):
    paths = [save(tmp_path / name, seed) for seed, name in enumerate(["a/1.png", "a/1.jpg", "a/2.PNG", "b/2.jpg"])]
    assert names(load_photos(paths)) == ["a_1.png", "a_1_2.jpg", "a_2.PNG", "b_2.jpg"]


def test_names_are_text_that_fits_in_a_line_whatever_the_file_system_allows(tmp_path):
    odd = [tmp_path / "a\nb.jpg", tmp_path / os.fsdecode(b"a\xffb.jpg"), tmp_path / "Küche 1.jpg"]
    try:
        for seed, path in enumerate(odd):
            save(tmp_path / "plain.jpg", seed).rename(path)
    except OSError:
        pytest.skip("the file system takes no such names")
    assert names(load_photos(odd)) == [f"{tmp_path.name}_a_b.jpg", f"{tmp_path.name}_a_b_2.jpg", "Küche 1.jpg"]


def test_films_and_raw_files_are_named_unless_a_photo_is_their_twin(tmp_path, two_photos):
    for name in ("1.MOV", "2.dng", "clip.mp4", "room.NEF", "notes.txt"):
        (tmp_path / name).write_bytes(b"no picture")
    found = load_photos([tmp_path])
    assert names(found) == ["1.jpg", "2.jpg"]
    assert [warning for warning in found.warnings if warning.startswith("Not used: clip.mp4, room.NEF. The first ")]
    for path in two_photos:
        path.unlink()
    with pytest.raises(ReconError) as caught:
        load_photos([tmp_path])
    assert "clip.mp4" in caught.value.hint
    assert (
        "ffmpeg"
        in reasons(load_photos([tmp_path / "clip.mp4", *(save(path, 1 + i) for i, path in enumerate(two_photos))]))[
            "clip.mp4"
        ]
    )


def test_a_truncated_jpeg_a_text_file_and_an_empty_file_are_left_out_and_named(tmp_path, two_photos):
    good = save(tmp_path / "3.jpg", 3)
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (tmp_path / "text.jpg").write_text("I am not a photo.")
    (tmp_path / "void.png").touch()
    found = load_photos([tmp_path])
    assert names(found) == ["1.jpg", "2.jpg", "3.jpg"]
    assert reasons(found) == {
        "cut.jpg": "cut.jpg is damaged or incomplete.",
        "text.jpg": "text.jpg is not a photo, or of a kind that cannot be read.",
        "void.png": "void.png is an empty file.",
    }


def test_a_black_photo_is_darker_than_the_others(tmp_path, two_photos):
    Image.new("RGB", (640, 480)).save(tmp_path / "black.png")
    warnings = load_photos([*two_photos, save(tmp_path / "3.jpg", 3), tmp_path / "black.png"]).warnings
    assert "black.png is much darker than the others." in warnings


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "heic"])
def test_truncated_files_of_other_kinds_are_left_out_too(tmp_path, two_photos, suffix):
    pillow_heif.register_heif_opener()
    path = save(tmp_path / f"whole.{suffix}", 5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = load_photos([*two_photos, path])
    assert list(reasons(found)) == [path.name]
    assert reasons(found)[path.name].startswith(f"{path.name} is ")


def test_an_identical_copy_is_left_out(tmp_path, two_photos):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(two_photos[0].read_bytes())
    found = load_photos([*two_photos, copy])
    assert names(found) == ["1.jpg", "2.jpg"]
    assert reasons(found) == {"copy.jpg": "copy.jpg is an identical copy of 1.jpg."}


def test_two_identical_photos_are_not_enough(tmp_path, two_photos):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(two_photos[0].read_bytes())
    with pytest.raises(ReconError, match="Only one distinct photo") as caught:
        load_photos([two_photos[0], copy])
    assert "identical copy of 1.jpg" in caught.value.hint
    assert "3 to 20 photos" in caught.value.hint


def test_one_photo_is_not_enough_and_the_hint_says_how_many_are(two_photos):
    with pytest.raises(ReconError, match="Only one distinct photo") as caught:
        load_photos(two_photos[:1])
    assert "3 to 20 photos" in caught.value.hint


def test_only_useless_files_is_an_error_that_says_why(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(ReconError, match="None of the files") as caught:
        load_photos([tmp_path])
    assert "a.jpg is not a photo" in caught.value.hint


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/at/all.jpg"])
def test_a_path_that_does_not_exist_is_named(tmp_path, two_photos, missing):
    with pytest.raises(ReconError, match=r"nowhere.* does not exist"):
        load_photos([*two_photos, tmp_path / missing])


def test_a_folder_without_photos_suggests_the_folder_that_has_some(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ReconError, match="holds no photos") as caught:
        load_photos([tmp_path])
    assert "jpg" in caught.value.hint
    save(tmp_path / "images/1.jpg", 1)
    with pytest.raises(ReconError, match="holds no photos") as caught:
        load_photos([tmp_path])
    assert caught.value.hint == f"Did you mean {tmp_path / 'images'}?"


def test_no_input_at_all_is_an_error():
    with pytest.raises(ReconError, match="No photos"):
        load_photos([])


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    save(tmp_path / "1.jpg", 1)

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", denied)  # root may read everything, so no mode would do
    with pytest.raises(ReconError, match="cannot be read: Permission denied"):
        load_photos([tmp_path])


def test_an_unreadable_photo_is_left_out(tmp_path, two_photos, monkeypatch):
    locked = save(tmp_path / "locked.jpg", 3)
    read_bytes = Path.read_bytes

    def denied(self):
        if self == locked:
            raise PermissionError(13, "Permission denied", str(self))
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert reasons(load_photos([tmp_path])) == {"locked.jpg": "locked.jpg cannot be read: Permission denied."}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_named_pipe_is_refused_without_waiting_for_it(tmp_path, two_photos):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reasons(load_photos([tmp_path])) == {"pipe.jpg": "pipe.jpg is not a file."}


# Pillow warns above its limit and refuses above twice that.
@pytest.mark.parametrize("pillow_limit", [None, 200_000, 160_000])
def test_an_absurdly_large_photo_is_refused(tmp_path, two_photos, monkeypatch, pillow_limit):
    large = save(tmp_path / "large.png", 3)
    Image.fromarray(noise(3, 720, 480)).save(large)
    monkeypatch.setattr(photo_loading, "_MAX_PIXELS", 640 * 480)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    assert "absurdly large" in reasons(load_photos([*two_photos, large]))["large.png"]


def test_a_speck_is_refused_and_a_small_photo_is_warned_about(tmp_path, two_photos):
    for side in (48, 320):
        Image.fromarray(noise(side, side, side)).save(tmp_path / f"{side}.png")
    found = load_photos([tmp_path])
    assert reasons(found) == {"48.png": "48.png is only 48 x 48 pixels."}
    assert any("320.png is only 320 x 320 pixels" in warning for warning in found.warnings)


def test_a_nearly_identical_photo_is_warned_about(tmp_path, two_photos):
    Image.fromarray(noise(1)).save(tmp_path / "again.jpg", quality=40)
    assert load_photos([tmp_path]).warnings == (
        "1.jpg and again.jpg are nearly identical; photos from different places help more.",
    )


def test_a_blurred_photo_is_warned_about_and_its_sharp_neighbours_are_not(tmp_path):
    photos = sorted((SAMPLES / "banana").glob("*.jpg"))
    blurred = tmp_path / "blurred.jpg"
    cv2.imwrite(str(blurred), cv2.GaussianBlur(cv2.imread(str(photos[0])), (0, 0), 3))
    assert load_photos([*photos[1:4], blurred]).warnings == ("blurred.jpg looks blurred compared with the others.",)


def test_a_dark_photo_is_warned_about_and_its_neighbours_are_not(tmp_path):
    photos = sorted((SAMPLES / "banana").glob("*.jpg"))
    dark = tmp_path / "dark.jpg"
    cv2.imwrite(str(dark), cv2.imread(str(photos[0])) // 2)
    assert load_photos([*photos[1:4], dark]).warnings == ("dark.jpg is much darker than the others.",)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [(np.full((100, 640), 255, np.uint8), "is 640 x 100 pixels, but 1.jpg is 640 x 480"), (None, "is not a photo")],
)
def test_a_mask_that_does_not_fit_is_an_error(tmp_path, two_photos, mask, sentence):
    (tmp_path / "masks").mkdir()
    if mask is None:
        (tmp_path / "masks/1.png").write_text("text")
    else:
        Image.fromarray(mask).save(tmp_path / "masks/1.png")
    with pytest.raises(ReconError, match=sentence):
        load_photos(two_photos)


def test_a_photo_whose_mask_hides_everything_is_left_out(tmp_path, two_photos):
    third = save(tmp_path / "3.jpg", 3)
    (tmp_path / "masks").mkdir()
    Image.new("L", (640, 480)).save(tmp_path / "masks/3.png")
    assert reasons(load_photos([*two_photos, third])) == {"3.jpg": "3.jpg has a mask that leaves nothing of it."}


def test_progress_is_reported_and_can_cancel(two_photos):
    calls = []
    load_photos(two_photos, lambda done, total, message: calls.append((done, total)))
    assert calls == [(0, 2), (1, 2), (2, 2)]

    def cancel(done, total, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        load_photos(two_photos, cancel)


def test_further_photos_keep_the_names_of_the_known_ones(tmp_path):
    for folder, seed in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        pixels = np.random.default_rng(seed).integers(0, 255, (80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / "1.png")
    first = tmp_path / "a" / "1.png"
    known = [KnownPhoto("1.png", first.resolve(), hashlib.sha256(first.read_bytes()).hexdigest())]
    found = load_more_photos(known, [tmp_path / "b" / "1.png"])
    assert [photo.name for photo in found.photos] == ["1.png", "b_1.png"]
    first.unlink()
    with pytest.raises(ReconError, match=r"1\.png is not a file") as caught:
        load_more_photos(known, [tmp_path / "b"])
    assert "put it back" in caught.value.hint
