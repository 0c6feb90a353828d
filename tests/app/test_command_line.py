"""The command line as a user meets it: exit codes, one sentence and a hint for bad input, nothing half-written."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from app.cli import COMMANDS, run_command
from recon.errors import ReconError, mendable_storage
from recon.project import open_project
from recon.report import read_report
from splatting.formats import write_splats
from splatting.gsplat_toolchain import missing_piece
from tests.splat_files import random_gaussians

ROOT = Path(__file__).parents[2]
BANANA = ROOT / "assets" / "samples" / "banana"
COMMAND = [sys.executable, "-P", "-m", "app"]
RESULTS = ("cameras", "cameras.json", "points.ply", "splats.ply", "mesh.glb", "images")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def _run(*arguments: str | Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, *COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=_environment(), capture_output=True, text=True, encoding="utf-8", timeout=300)


def _assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2; on stderr a sentence and a hint that have the words between them, and nothing of our insides."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(("Error: ", "Hint: "))]
    assert [line.split(":")[0] for line in lines] == ["Error", "Hint"], done.stderr
    assert all(word in "".join(lines) for word in words), lines
    assert lines[0].endswith(".")
    assert len(lines[1]) > len("Hint: ")
    assert "Traceback" not in done.stderr


def _assert_nothing_half_written(out: Path) -> None:
    """No folder at all, or one that says why there is no result and holds none."""
    if out.exists():
        assert read_report(out).status == "failed"
        assert not [name for name in RESULTS if (out / name).exists()]
        assert not list(out.rglob("*.partial"))


def _noise(path: Path, seed: int, size: tuple[int, int] = (240, 180)) -> Path:
    """A picture of coarse noise: sharp, full of keypoints, unlike any other."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1] // 6, size[0] // 6, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path, quality=95)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_version_and_help_come_at_once() -> None:
    assert _run("--version").stdout.startswith("handful ")
    code = (
        "import sys, app.cli\n"
        "try: app.cli.run_command(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'cv2', 'pycolmap', 'PyQt6'} & set(sys.modules), 'slow to import'"
    )
    subprocess.run([sys.executable, "-c", code], env=_environment(), check=True, capture_output=True, timeout=60)


def test_photos_are_added_to_a_finished_scene_only(out: Path) -> None:
    _assert_refused(_run("reconstruct", out, "--add", BANANA), "holds no scene", "reconstruct PHOTOS -o OUT")
    assert not out.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        run_command([command, "--help"])
    assert leaving.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"handful {command}" in text.split("examples:")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reconstruct", "a.jpg", "-o", "out", "--preset", "foo"], "--preset must be draft or standard or best"),
        (["reconstruct", "a.jpg", "-o", "out", "--seed", "-3"], "--seed must be 0 or more"),
        (["reconstruct", "a.jpg", "-o", "out", "--seed", "1.5"], "--seed must be a whole number"),
        (["reconstruct", "a.jpg", "-o", "out", "--until", "lunch"], "--until must be"),
        (["reconstruct", "a.jpg", "-o", "out", "--matcher", "magic"], "Matcher must be one of fast, quality,"),
        (["reconstruct", "a.jpg", "-o", "out", "--fit.num-iterations", "-1"], "--fit.num-iterations must"),
        (
            ["reconstruct", "a.jpg", "-o", "out", "--cameras", "nowhere.json"],
            "--cameras names nowhere.json, which does",
        ),
        (["reconstruct", "a.jpg", "-o", "out", "--sed", "1"], "Unrecognized arguments: --sed"),
        (["reconstruct", "a.jpg"], "required: -o"),
        (["reconstruct", "out", "--add", "nowhere.jpg"], "--add names nowhere.jpg, which does not exist"),
        (["reconstruct", "--add", str(BANANA)], "--add takes one project folder"),
        (["reconstruct", "out", "b.jpg", "--add", str(BANANA)], "--add takes one project folder"),
        (["reconstruct", "b.jpg", "-o", "out", "--add", str(BANANA)], "--add takes one project folder"),
        (["reconstruct", "out", "--add", str(BANANA), "--preset", "draft"], "so --preset cannot be given"),
        (["reconstruct", "out", "--add", str(BANANA), "--holdout", "a.jpg"], "so --holdout cannot be given"),
        (
            ["reconstruct", "out", "--add", str(BANANA), "--fit.num-iterations", "9"],
            "so --fit.num-iterations cannot be given",
        ),
        (["render", ".", "--frames", "0", "--turntable", "a.mp4"], "--frames must lie between 1 and"),
        (["render", "."], "--cameras --turntable --path is required"),
        (["export", ".", "--to", "docx"], "--to must be ply or compressed-ply or splat or spz"),
        (["paint"], "COMMAND must be reconstruct or"),
    ],
)
def test_absurd_options_are_refused_in_a_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run_command(arguments)
    assert leaving.value.code == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert words in error
    assert hint.startswith("Hint: See handful")


def test_photos_may_stand_before_and_after_options() -> None:
    from app.reconstruct import parse

    parsed = parse(["a.jpg", "-o", "out", "b.jpg", "--seed", "3", "c.jpg", "--fit.num-iterations", "5"])
    assert [path.name for path in parsed.photos] == ["a.jpg", "b.jpg", "c.jpg"]
    assert parsed.config.seed == 3
    assert parsed.config.fit.num_iterations == 5


def test_an_absurd_option_ends_the_process_with_2(out: Path) -> None:
    _assert_refused(_run("reconstruct", BANANA, "-o", out, "--preset", "foo"), "--preset", "foo")
    assert not out.exists()


def test_no_photos(out: Path) -> None:
    _assert_refused(_run("reconstruct", "-o", out), "No photos")
    _assert_nothing_half_written(out)


def test_a_folder_without_photos(tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty").mkdir()
    _assert_refused(_run("reconstruct", tmp_path / "empty", "-o", out), "empty")
    _assert_nothing_half_written(out)


def test_one_photo(out: Path) -> None:
    _assert_refused(_run("reconstruct", next(BANANA.glob("*.jpg")), "-o", out), "photo")
    _assert_nothing_half_written(out)


def test_a_text_called_jpg(tmp_path: Path, out: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear photo, ...")
    _assert_refused(_run("reconstruct", text, _noise(tmp_path / "a.jpg", 0), "-o", out), "letter.jpg")
    _assert_nothing_half_written(out)


def test_two_identical_photos(tmp_path: Path, out: Path) -> None:
    one = _noise(tmp_path / "one.jpg", 0)
    two = shutil.copy(one, tmp_path / "two.jpg")
    _assert_refused(_run("reconstruct", one, two, "-o", out), "two.jpg", "one.jpg")
    _assert_nothing_half_written(out)


@pytest.mark.parametrize("matcher", ["sift", pytest.param("fast", marks=[pytest.mark.slow, pytest.mark.weights])])
def test_photos_with_nothing_in_common(matcher: str, out: Path) -> None:
    folder = Path(skimage.data.__file__).parent
    names = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "coins.png")
    photos = [folder / name for name in names]
    done = _run("reconstruct", *photos, "-o", out, "--preset", "draft", "--matcher", matcher)
    _assert_refused(done, "nothing in common")
    _assert_nothing_half_written(out)


def test_a_path_that_does_not_exist(tmp_path: Path, out: Path) -> None:
    _assert_refused(_run("reconstruct", tmp_path / "nowhere", "-o", out), "nowhere", "does not exist")
    _assert_nothing_half_written(out)


def test_an_unreadable_folder(tmp_path: Path, out: Path) -> None:
    prefix: list[str] = []
    if os.geteuid() == 0:  # root reads everything, unless it gives that right up
        if shutil.which("setpriv") is None:
            pytest.skip("root can read every folder, and setpriv is not there to give that up")
        prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    secret = tmp_path / "secret"
    shutil.copytree(BANANA, secret)
    secret.chmod(0)
    try:
        _assert_refused(_run("reconstruct", secret, "-o", out, prefix=prefix), "secret", "read")
    finally:
        secret.chmod(0o700)
    _assert_nothing_half_written(out)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    _assert_refused(_run("reconstruct", BANANA, "-o", tmp_path / "file" / "out"), "written")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_is_told_and_the_next_run_goes_on(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [str(_noise(tmp_path / f"{seed}.jpg", seed)) for seed in range(2)]
    command = ["reconstruct", *photos, "-o", str(out), "--until", "photos", "--progress", "jsonl"]
    with monkeypatch.context() as patched:
        patched.setattr("recon.outputs.write_whole", _no_room)
        assert run_command(command) == 2
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-2] == {"event": "error", "message": "The disk is full.", "hint": events[-2]["hint"]}
    assert events[-1]["exit_code"] == 2
    assert run_command(command) == 0


def test_a_folder_that_could_not_be_marked_as_ours_is_taken_next_time(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("recon.project.write_whole", _no_room)
        with pytest.raises(ReconError, match="No space left"):
            open_project(out)
    assert open_project(out).work.is_dir()


def _no_room(path: Path, data: bytes | str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_output_that_holds_something_else(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "diary"
    if kind == "folder":
        out.mkdir()
    diary = out / "monday.txt" if kind == "folder" else out
    diary.write_text("Rain.")
    _assert_refused(_run("reconstruct", BANANA, "-o", out), "diary")
    assert diary.read_text() == "Rain."
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted({"diary", diary.name})


def test_a_truncated_photo_among_good_ones_is_named_and_left_out(tmp_path: Path, out: Path) -> None:
    photos = [_noise(tmp_path / f"{seed}.jpg", seed) for seed in range(3)]
    photos[1].write_bytes(photos[1].read_bytes()[: photos[1].stat().st_size // 2])
    done = _run("reconstruct", *photos, "-o", out, "--until", "photos", "--progress", "jsonl")
    assert done.returncode == 3, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(event["event"] == "warning" and "1.jpg" in event["message"] for event in events)
    assert events[-1] == {"event": "done", "exit_code": 3, "outputs": events[-1]["outputs"]}
    assert [photo.name for photo in read_report(out).photos if photo.placed is False] == ["1.jpg"]
    assert "2 of 3 photos can be used." in _run("reconstruct", *photos, "-o", out, "--until", "photos").stdout


@pytest.mark.slow
@pytest.mark.weights
def test_the_good_photos_are_reconstructed_without_the_truncated_one(tmp_path: Path, out: Path) -> None:
    photos = [Path(shutil.copy(photo, tmp_path)) for photo in sorted(BANANA.glob("*.jpg"))[:4]]
    photos[3].write_bytes(photos[3].read_bytes()[:20_000])
    done = _run("reconstruct", *photos, "-o", out, "--preset", "draft", "--until", "cameras")
    assert done.returncode == 3, done.stderr
    assert photos[3].name in done.stderr
    report = read_report(out)
    assert [photo.placed for photo in report.photos] == [True, True, True, False]
    assert (out / "cameras.json").is_file()


@pytest.mark.weights
def test_ctrl_c_cancels_and_says_how_to_resume(tmp_path: Path, out: Path) -> None:
    photos = [_noise(tmp_path / f"{seed}.jpg", seed, (480, 360)) for seed in range(8)]
    command = [*COMMAND, "reconstruct", *map(str, photos), "-o", str(out), "--progress", "jsonl"]
    with subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == "matches":
                process.send_signal(signal.SIGINT)
                break
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    events = [json.loads(line) for line in rest.splitlines()]
    assert [event["event"] for event in events][-2:] == ["error", "done"]
    assert "finished stages are kept" in events[-2]["hint"]
    assert "Traceback" not in errors
    assert read_report(out).status == "cancelled"


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there and would be used")
def test_cuda_by_name_without_cuda_is_refused_before_any_work(out: Path) -> None:
    _assert_refused(_run("reconstruct", BANANA, "-o", out, "--device", "cuda"), "CUDA was asked for", "--device cpu")
    _assert_nothing_half_written(out)
    assert read_report(out).stages == ()


def test_doctor_says_what_draws_and_why_gsplat_does_not() -> None:
    lines = [line.split(maxsplit=2) for line in _run("doctor").stdout.splitlines() if " rasterizer " in line]
    assert [text.split(":")[0] for _, _, text in lines] == ["cpu", "gsplat", "torch"]
    assert re.search(r"instruction set \w+, \d+ threads", lines[0][2])
    missing = missing_piece()
    assert lines[1][0] == ("ok" if missing is None else "no")
    assert missing is None or missing.reason in lines[1][2]


def test_doctor_says_that_this_machine_will_do() -> None:
    done = _run("doctor")
    assert done.returncode == 0, done.stdout
    for subject in (
        "splatting",
        "matching",
        "recon",
        "torch",
        "cuda",
        "rasterizer",
        "weights",
        "memory",
        "disk",
        "window",
    ):
        assert f"  {subject} " in done.stdout


@pytest.mark.parametrize("arguments", [["export", "--to", "glb"], ["evaluate"], ["render", "--turntable", "film.mp4"]])
def test_commands_on_a_folder_that_is_no_project(arguments: list[str], tmp_path: Path) -> None:
    _assert_refused(_run(arguments[0], tmp_path, *arguments[1:]), tmp_path.name)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for impossible in (tmp_path / ("x" * 300), tmp_path / "file" / "a.ply", tmp_path / "loop" / "a.ply"):
        with pytest.raises(ReconError, match="cannot be a file or folder") as refused, mendable_storage():
            impossible.write_bytes(b"")
        assert impossible.name in refused.value.message


def test_names_that_the_terminal_cannot_show_are_printed_anyway(tmp_path: Path) -> None:
    write_splats(random_gaussians(3), tmp_path / "a.ply")
    environment = _environment() | {"PYTHONIOENCODING": "ascii"}
    command = [*COMMAND, "convert", str(tmp_path / "a.ply"), str(tmp_path / "Tür.ply")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / r"T\xfcr.ply"))


def test_the_window_without_a_display_is_refused(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("other systems always have a display")
    environment = {
        k: v for k, v in _environment().items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    _assert_refused(done, "display")
