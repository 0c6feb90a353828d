"""Pixels are upright and area-averaged once; masks follow; EXIF gives the focal length."""

import io
import math
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from recon.photo import focal_prior_px
from recon.photo_loading import load_photos

ORIENTATION, MAKE, MODEL, EXIF_IFD = 0x0112, 0x010F, 0x0110, 0x8769
FOCAL_MM, FOCAL_35MM, PLANE_X, PLANE_UNIT, EXIF_WIDTH = 0x920A, 0xA405, 0xA20E, 0xA210, 0xA002


def noise(width=160, height=96, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, channels), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def exif_of(tags=None, **ifd0):
    exif = Image.Exif()
    for tag, value in ifd0.items():
        exif[globals()[tag]] = value
    exif.get_ifd(EXIF_IFD).update(tags or {})
    return exif


def load_one(path):
    """The photo at `path`, loaded beside another so that there are two."""
    other = path.parent / "another.png"
    Image.fromarray(noise(seed=99)).save(other)
    return load_photos([path, other]).photos[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_exif_orientation_is_applied_once(tmp_path, orientation, suffix):
    upright = noise()
    # What a camera held that way stores; EXIF 2.32, tag Orientation: where row 0 and column 0 of the file belong.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    path = tmp_path / f"a.{suffix}"
    options = {"webp": {"lossless": True}, "jpg": {"quality": 98, "subsampling": 0}}.get(suffix, {})
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif_of(ORIENTATION=orientation), **options)
    photo = load_one(path)
    assert (photo.width, photo.height) == (160, 96)
    tolerance = 8 if suffix == "jpg" else 0  # lossy
    assert np.abs(photo.pixels().astype(int) - upright).max() <= tolerance
    assert photo.pixels(80).shape == (48, 80, 3)


def test_a_turned_heic_photo_is_upright_once(tmp_path):
    upright = noise()
    path = tmp_path / "a.heic"
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright, 1)))
    exif = exif_of({FOCAL_35MM: 26}, ORIENTATION=6)
    pillow_heif.from_pillow(stored).save(path, quality=95, exif=exif.tobytes())
    photo = load_one(path)
    assert (photo.width, photo.height) == (160, 96)
    assert np.abs(photo.pixels().astype(int) - upright).mean() < 6  # lossy
    assert photo.focal_prior_px == pytest.approx(26 / 43.267 * math.hypot(160, 96), rel=1e-4)


def test_photos_are_shrunk_by_area_and_never_enlarged(tmp_path):
    rgb = noise()
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path)
    photo = load_one(path)
    blocks = rgb.reshape(24, 4, 40, 4, 3).mean(axis=(1, 3))
    assert np.abs(photo.pixels(40) - blocks).max() <= 0.5 + 1e-6  # rounding
    assert np.array_equal(photo.pixels(500), rgb)


def test_a_large_jpeg_is_decoded_smaller_without_moving(tmp_path):
    rgb = np.asarray(Image.fromarray(noise(640, 384)).resize((1280, 768), Image.Resampling.BICUBIC))
    path = tmp_path / "a.jpg"
    Image.fromarray(rgb).save(path, quality=98, subsampling=0)
    blocks = rgb.reshape(96, 8, 160, 8, 3).mean(axis=(1, 3))
    difference = load_one(path).pixels(160) - blocks
    # A shift by one pixel of the file would show as about 3 gray levels here.
    assert np.abs(difference).max() < 4
    assert np.abs(difference).mean() < 0.6


def test_sixteen_bit_gray_keeps_its_range(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 128).astype(np.uint16), (96, 1))
    path = tmp_path / "a.png"
    Image.fromarray(ramp).save(path)
    pixels = load_one(path).pixels()
    assert np.array_equal(pixels[0, :, 0], (ramp[0] >> 8).astype(np.uint8))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_alpha_is_the_mask_and_does_not_change_pixels(tmp_path):
    rgba = np.dstack([noise(), np.zeros((96, 160), np.uint8)])
    rgba[20:60, 40:100, 3] = 255
    path = tmp_path / "a.png"
    Image.fromarray(rgba).save(path)
    photo = load_one(path)
    assert photo.has_alpha
    assert np.array_equal(photo.pixels(), rgba[..., :3])
    assert np.array_equal(photo.mask(), rgba[..., 3] > 0)
    half = photo.mask(80)
    assert half.shape == photo.pixels(80).shape[:2]
    assert np.array_equal(half, rgba[::2, ::2, 3] > 0)


def test_an_opaque_alpha_channel_is_no_mask(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.dstack([noise(), np.full((96, 160), 255, np.uint8)])).save(path)
    photo = load_one(path)
    assert not photo.has_alpha
    assert photo.mask() is None


def test_a_file_in_the_masks_folder_is_the_mask(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise()).save(path)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((48, 80), np.uint8)
    mask[10:30, 20:50] = 1  # any value but zero is the object
    Image.fromarray(mask).save(tmp_path / "masks/a.png")
    photo = load_one(path)
    assert photo.mask_path == tmp_path / "masks/a.png"
    assert np.array_equal(photo.mask(), np.kron(mask, np.ones((2, 2))) > 0)
    assert np.array_equal(photo.mask(80), mask > 0)


def test_a_mask_of_an_upright_photo_is_upright(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.ascontiguousarray(np.rot90(noise()))).save(path, exif=exif_of(ORIENTATION=6))
    (tmp_path / "masks").mkdir()
    mask = np.zeros((96, 160), np.uint8)
    mask[:30, :50] = 255
    Image.fromarray(mask).save(tmp_path / "masks/a.jpg.png")
    assert np.array_equal(load_one(path).mask(), mask > 0)


def icc_profile(red, green, blue, gamma=2.2):
    """A version-2 matrix profile of the given primaries, XYZ under D50 (ICC.1:2001-04, secs. 6.1-6.5)."""

    def fixed(*values):
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    text = b"test"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(79)}
    tags |= {b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249)}
    for letter, primary in zip(b"rgb", (red, green, blue), strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*primary)
        tags[bytes([letter]) + b"TRC"] = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    table, data = b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + body


SRGB_RED, SRGB_GREEN, SRGB_BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)


def test_an_embedded_colour_profile_is_honoured(tmp_path):
    rgb = noise()
    path = tmp_path / "a.png"
    # a camera whose channels are named green, red, blue
    Image.fromarray(rgb[..., [1, 0, 2]]).save(path, icc_profile=icc_profile(SRGB_GREEN, SRGB_RED, SRGB_BLUE))
    difference = load_one(path).pixels().astype(int) - rgb
    # sRGB is gamma 2.2 but for its linear foot: up to 9 levels in the dark
    assert np.abs(difference).max() <= 12
    assert np.abs(difference).mean() < 2


def test_a_damaged_colour_profile_leaves_pixels_alone(tmp_path):
    rgb = noise()
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path, icc_profile=b"no profile at all")
    assert np.array_equal(load_one(path).pixels(), rgb)


def reopened(exif, size=(160, 96)):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "JPEG", exif=exif)
    return Image.open(buffer)


@pytest.mark.parametrize("size", [(160, 96), (96, 160), (128, 96), (64, 64)])
def test_the_35_mm_equivalent_counts_by_the_diagonal(size):
    # a 50 mm lens sees the diagonal of full frame, 43.267 mm, under 2 atan(43.267 / 100)
    focal = focal_prior_px(reopened(exif_of({FOCAL_35MM: 50, FOCAL_MM: 4.2}), size))
    half_diagonal = math.hypot(*size) / 2
    assert math.atan(half_diagonal / focal) == pytest.approx(math.atan(43.2666 / 100), rel=1e-4)


@pytest.mark.parametrize(("unit", "per_mm"), [(2, 25.4), (3, 10), (4, 1)])
def test_without_it_the_resolution_of_the_focal_plane_counts(unit, per_mm):
    tags = {FOCAL_MM: 24.0, PLANE_X: 20.0 * per_mm, PLANE_UNIT: unit, EXIF_WIDTH: 640}  # 20 px per mm of sensor
    # the file was shrunk to a quarter since
    assert focal_prior_px(reopened(exif_of(tags))) == pytest.approx(24 * 20 / 4, rel=1e-3)


@pytest.mark.parametrize("tags", [{}, {FOCAL_MM: 4.2}, {FOCAL_35MM: 0}, {FOCAL_35MM: 65535}, {FOCAL_MM: math.nan}])
def test_silent_or_impossible_exif_gives_no_focal_length(tags):
    assert focal_prior_px(reopened(exif_of(tags))) is None


def test_photos_share_a_camera_only_with_the_same_lens_setting_and_shape(tmp_path):
    variants = {
        "a": (50, 160, 96),
        "b": (50, 160, 96),
        "zoomed": (85, 160, 96),
        "cropped": (50, 128, 96),
        "portrait": (50, 96, 160),
        "resized": (50, 320, 192),
    }
    for seed, (name, (focal, width, height)) in enumerate(variants.items()):
        exif = exif_of({FOCAL_35MM: focal}, MAKE="Acme", MODEL="Acme One")
        Image.fromarray(noise(width, height, seed)).save(tmp_path / f"{name}.png", exif=exif)
    labels = {photo.path.stem: photo.camera_label for photo in load_photos([tmp_path]).photos}
    same = "Acme One, 50 mm equivalent, 1.67:1"
    assert {name for name, label in labels.items() if label == same} == {"a", "b", "portrait", "resized"}
    assert len(set(labels.values())) == 3
