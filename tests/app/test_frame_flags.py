"""`--up`, `--scale` and `align` on the command line: said as people say them, refused in a sentence."""

from pathlib import Path

import pytest

from app.align import parse as parse_align
from app.cli import run_command
from app.frame_flags import frame_wish, joined_values
from app.reconstruct import parse as parse_reconstruct
from app.render import parse as parse_render
from recon.frame_wish import FrameWish

SCALE = "IMG_1.jpg:412,300,IMG_2.jpg:980,310=32cm"


@pytest.mark.parametrize("up", ["-y", "+z", "auto", "none", "-1,0,0.5", "x"])
def test_directions_that_begin_with_a_minus_are_no_options(up: str, tmp_path: Path) -> None:
    parsed = parse_reconstruct(["a.jpg", "-o", "out", "--up", up, "--scale", SCALE])
    assert frame_wish(parsed) == FrameWish(up, SCALE)
    assert frame_wish(parse_align([str(tmp_path), "--up", up])) == FrameWish(up)


def test_joining_leaves_other_arguments_alone() -> None:
    assert joined_values(["out", "--up", "--scale", "x", "-o", "--up"]) == ["out", "--up", "--scale=x", "-o", "--up"]


def test_without_a_wish_nothing_is_asked_for() -> None:
    assert frame_wish(parse_reconstruct(["a.jpg", "-o", "out"])) == FrameWish()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["align", "."], "--up and --scale is required"),
        (["align", "nowhere", "--up", "auto"], "names nowhere, which does not exist"),
        (["align", ".", "--up", "sideways"], "--up must be auto, none, an axis such as +z or -y"),
        (["align", ".", "--scale", "3m"], "--scale must be A,B=LENGTH"),
        (["align", ".", "--scale", "a.jpg,b.jpg=3 miles"], "length in mm, cm, m, in, ft, not 'miles'"),
        (["align", ".", "--scale", "a.jpg,b.jpg=0m"], "a length above 0"),
        (["reconstruct", "out", "--add", ".", "--up", "+z"], "so --up cannot be given"),
        (["render", ".", "--turntable", "a.mp4", "--normals"], "go with pictures, not with --turntable"),
        (["render", ".", "--cameras", ".", "--seconds", "3"], "--seconds go with films"),
        (["render", ".", "--cameras", ".", "-o", "a.mp4"], "for a film between them there is --path"),
        (["render", ".", "--turntable", "a.avi"], "whose name ends in .mp4, not 'a.avi'"),
        (["render", ".", "--path", ".", "-o", "a.MOV"], "Films end in .mp4, not 'a.MOV'"),
        (["render", ".", "--turntable", "a.mp4", "-o", "b.mp4"], "--turntable names its file itself"),
        (["render", ".", "--turntable", "a.mp4", "--size", "9x9"], "--size must be W or WxH"),
        (["render", ".", "--turntable", "a.mp4", "--fps", "0"], "--fps must lie between 1 and"),
        (["render", ".", "--turntable", "a.mp4", "--fps", "9", "--seconds", "2", "--frames", "3"], "not allowed with"),
    ],
)
def test_absurd_wishes_are_refused_in_a_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run_command(arguments)
    assert leaving.value.code == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert words in error
    assert hint.startswith("Hint: See handful")


def test_sizes_are_a_width_or_both_sides(tmp_path: Path) -> None:
    assert parse_render([str(tmp_path), "--turntable", "a.mp4", "--size", "800"]).size == (800, None)
    assert parse_render([str(tmp_path), "--turntable", "a.mp4", "--size", "1280x720"]).size == (1280, 720)


def test_help_shows_how_a_length_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        run_command(["align", "--help"])
    assert leaving.value.code == 0
    told = capsys.readouterr().out
    assert "IMG_1.jpg:412,300,IMG_1.jpg:980,310=9.5cm" in told
    assert "PHOTO:x%,y%" in told.replace("\n", "").replace("  ", "")
