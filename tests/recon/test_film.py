"""Films: what comes out of a decoder is what went in, and says what it is."""

from pathlib import Path

import av
import numpy as np
import pytest

from recon.film import write_film

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40)]


def test_colours_survive_a_player_that_believes_the_header(tmp_path: Path) -> None:
    frames = [np.tile(np.array(colour, np.uint8), (49, 65, 1)) for colour in COLOURS]
    write_film(frames, tmp_path / "deep" / "film.mp4", 29.97)
    with av.open(str(tmp_path / "deep" / "film.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48)
        assert float(stream.average_rate) == pytest.approx(29.97)
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)  # BT.709, limited
        decoded = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(decoded) == len(COLOURS)
    for colour, frame in zip(COLOURS, decoded, strict=True):
        np.testing.assert_allclose(frame.reshape(-1, 3).mean(axis=0), colour, atol=3)  # 8-bit limited range


def test_the_index_stands_before_the_pictures(tmp_path: Path) -> None:
    write_film([np.zeros((16, 16, 3), np.uint8)] * 3, tmp_path / "film.mp4", 10)
    data = (tmp_path / "film.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize(
    ("shapes", "name", "fps"),
    [
        ([], "a.mp4", 10), ([(1, 9, 3)], "a.mp4", 10), ([(8, 8, 3), (8, 10, 3)], "a.mp4", 10),
        ([(8, 8, 3)], "a.avi", 10), ([(8, 8, 3)], "a.mp4", 0), ([(8, 8, 3)], "a.mp4", float("nan")),
    ],
)  # fmt: skip
def test_absurd_films_are_refused_and_leave_nothing(
    tmp_path: Path, shapes: list[tuple[int, ...]], name: str, fps: float
) -> None:
    with pytest.raises(ValueError, match="film"):
        write_film([np.zeros(shape, np.uint8) for shape in shapes], tmp_path / name, fps)
    assert list(tmp_path.iterdir()) == []
