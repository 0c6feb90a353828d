"""Films that play everywhere: H.264, 4:2:0, even sizes, said to be what they are."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

_QUALITY = "18"  # constant rate factor of x264: differences to the source are hardly seen
_BT709, _LIMITED = 1, 1  # in the stream's header (ITU-T H.273), so that no player guesses


def write_film(frames: Iterable[NDArray[np.uint8]], path: Path, fps: float) -> None:
    """Write frames as an MP4; odd sizes lose their last row or column. The file appears when it is whole.

    The index stands before the pictures, so that browsers start at once.

    Args:
        frames: [H, W, 3] RGB, sRGB-coded, all of one size; taken one at a time.
        path: ends in .mp4; its folder is made.
        fps: frames a second.

    Raises:
        ValueError: no frames, frames of several sizes or below 2 x 2 px, a bad frame rate or no .mp4.
    """
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"films end in .mp4, got {path.name}")
    if not 0 < fps <= 1000:
        raise ValueError(f"a film has up to 1000 frames a second, got {fps}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.stem}.partial.mp4")
    try:
        _encode(frames, aside, fps)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _encode(frames: Iterable[NDArray[np.uint8]], path: Path, fps: float) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream, size = None, (0, 0)
        for pixels in frames:
            if stream is None:
                size = (pixels.shape[0], pixels.shape[1])
                if min(size) < 2:
                    raise ValueError(f"a film needs at least 2 x 2 px, got {size[1]} x {size[0]}")
                stream = film.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.pix_fmt = "yuv420p"
                stream.width, stream.height = size[1] // 2 * 2, size[0] // 2 * 2
                stream.options = {"crf": _QUALITY, "preset": "medium"}
                context = stream.codec_context
                context.colorspace = context.color_primaries = context.color_trc = _BT709
                context.color_range = _LIMITED
            if pixels.shape[:2] != size:
                raise ValueError("all frames of a film have one size")
            rgb = np.ascontiguousarray(pixels[: stream.height, : stream.width])
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format="yuv420p",
                src_color_range=ColorRange.JPEG,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            film.mux(stream.encode(frame))
        if stream is None:
            raise ValueError("a film needs frames")
        film.mux(stream.encode(None))
