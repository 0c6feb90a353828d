"""The page: self-contained, exact within its coding, safe whatever photos are called, and the same picture as ours."""

import base64
import gzip
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from recon.camera_files import write_cameras_json
from recon.errors import ReconError
from recon.html_splats import RECORD, drawable_part, pack_splats
from recon.html_viewer import BACKGROUND, PagePhoto, export_html, write_html
from recon.scene import View
from splatting.camera import Camera
from splatting.formats.ply import write_ply
from splatting.gaussians import Gaussians, concatenate
from splatting.rasterizer import create
from splatting.spherical_harmonics import num_bases, rgb_from_sh
from tests.browser import Browser, find_browser
from tests.synthetic import arc_of_cameras, looking_at

HOSTILE = "</script><script>window.harm = 1</script><img src=x onerror='window.harm = 2'>\"'&<!--\u2028.jpg"
SIZE = (320, 240)


def random_gaussians(n: int, degree: int = 3, seed: int = 0) -> Gaussians:
    """Gaussians of all shapes within two units of the origin; half of them much smaller than a pixel of `SIZE`."""
    g = torch.Generator().manual_seed(seed)
    sh = 0.15 * torch.randn(n, num_bases(degree), 3, generator=g)
    sh[:, 0] = torch.randn(n, 3, generator=g)
    means = torch.randn(n, 3, generator=g).clamp(-2, 2)
    log_scales = math.log(0.06) + 0.9 * torch.randn(n, 3, generator=g)
    log_scales[::2] -= 3
    return Gaussians(means, log_scales, torch.randn(n, 4, generator=g), 2 * torch.randn(n, generator=g), sh)


def photos(names: tuple[str, ...] = ("a.jpg", "b.jpg", "c.jpg"), size: tuple[int, int] = SIZE) -> list[PagePhoto]:
    picture = np.tile(np.arange(40, dtype=np.uint8)[:, None, None], (1, 60, 3))
    cameras = arc_of_cameras(len(names), size=size)
    return [PagePhoto(name, camera, picture) for name, camera in zip(names, cameras, strict=True)]


def block(page: str, name: str) -> str:
    """What the data block of a page holds."""
    found = re.search(rf'<script type="application/[a-z-]+" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return found[1]


def unpack(data: bytes, count: int, num_harmonics: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Records [N] and coefficients above the constant one [N, S - 1, 3]: what `splats.js` and the shader read."""
    raw = np.frombuffer(gzip.decompress(data), np.uint8)
    size = count * RECORD.itemsize
    assert len(raw) == size + 3 * count * num_harmonics
    records = np.ascontiguousarray(raw[:size].reshape(RECORD.itemsize, count).T).view(RECORD)[:, 0]
    return records, (raw[size:].reshape(count, num_harmonics, 3) - 128.0) / 128


def unpack_rotations(bits: NDArray[np.uint32]) -> NDArray[np.float64]:
    quats = np.empty((len(bits), 4))
    for row, value in enumerate(bits.tolist()):
        three = [((value >> shift & 1023) / 1023 * 2 - 1) / math.sqrt(2) for shift in (0, 10, 20)]
        three.insert(value >> 30, math.sqrt(1 - sum(part * part for part in three)))
        quats[row] = three
    return quats


def test_packed_splats_decode_to_the_same_within_the_stated_steps() -> None:
    gaussians = random_gaussians(500)
    records, rest = unpack(pack_splats(gaussians, 3), 500, 15)
    np.testing.assert_array_equal(records["xyz"], gaussians.means.numpy())
    half = 2.0**-11  # half the spacing of float16, relative
    np.testing.assert_allclose(records["log_scales"], gaussians.log_scales.numpy(), rtol=half, atol=0)
    np.testing.assert_allclose(records["opacity"], gaussians.opacity_logits.sigmoid().numpy(), rtol=half, atol=0)
    np.testing.assert_allclose(records["rgb"], rgb_from_sh(gaussians.sh[:, 0]).numpy(), rtol=half, atol=1e-7)
    np.testing.assert_allclose(rest, gaussians.sh[:, 1:].numpy().clip(-1, 127 / 128), atol=0.5 / 128 + 1e-7)
    unit = torch.nn.functional.normalize(gaussians.quats_wxyz, dim=1).numpy()
    # Half a step, sqrt(2) / 1023 / 2, in three components; the fourth follows and is at least 1/2: a factor 2 at most.
    decoded = unpack_rotations(records["rotation"])
    decoded *= np.sign((unit * decoded).sum(1))[:, None]  # q and -q are the same rotation
    assert np.linalg.norm(decoded - unit, axis=1).max() <= 2 * math.sqrt(3) * math.sqrt(2) / 1023 / 2
    assert not records["_"].any()


def test_packing_keeps_the_wanted_degree_and_repeats_itself() -> None:
    gaussians = random_gaussians(50)
    assert pack_splats(gaussians, 3) == pack_splats(gaussians, 3)
    _, rest = unpack(pack_splats(gaussians, 1), 50, 3)
    assert rest.shape == (50, 3, 3)
    assert len(unpack(pack_splats(gaussians, 0), 50, 0)[0]) == 50
    with pytest.raises(ValueError, match="degree must be 0 to 1"):
        pack_splats(random_gaussians(5, degree=1), 2)


def test_what_cannot_be_drawn_is_left_out() -> None:
    good = random_gaussians(6)
    bad = random_gaussians(6)
    bad.means[0, 1], bad.log_scales[1, 2], bad.sh[2, 3, 0] = math.nan, math.inf, -math.inf
    bad.quats_wxyz[3], bad.opacity_logits[4:] = 0, -6
    good.opacity_logits[:] = 0
    kept = drawable_part(concatenate([good, bad]))
    torch.testing.assert_close(kept.means, good.means)


def test_a_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    write_html(random_gaussians(20), photos(), tmp_path / "a.html", title="A scene")
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "<title>A scene</title>" in page
    assert "{{" not in page.replace(block(page, "splats"), "")
    code = page.replace(block(page, "splats"), "").replace(block(page, "description"), "")
    assert (
        re.findall(r"https?:|\bsrc=|\bhref=|@import|\burl\(|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\b", code) == []
    )
    description = json.loads(block(page, "description"))
    assert [photo["name"] for photo in description["photos"]] == ["a.jpg", "b.jpg", "c.jpg"]
    for photo in description["photos"]:
        prefix, data = photo["thumbnail"].split(",")
        assert prefix == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (192, 128)
    unpack(base64.b64decode(block(page, "splats")), description["count"], description["numHarmonics"])


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    write_html(random_gaussians(5), photos((HOSTILE,)), tmp_path / "a.html", title=HOSTILE)
    page = (tmp_path / "a.html").read_text("utf-8")
    assert page.count("<script") == page.count("</script") == 3
    assert "<img" not in page
    assert json.loads(block(page, "description"))["photos"][0]["name"] == HOSTILE


def test_placeholders_in_names_are_not_filled_in(tmp_path: Path) -> None:
    write_html(random_gaussians(5), photos(("{{script}}",)), tmp_path / "a.html", title="{{splats}}")
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "<title>{{splats}}</title>" in page
    assert json.loads(block(page, "description"))["photos"][0]["name"] == "{{script}}"


def test_nothing_to_show_is_refused(tmp_path: Path) -> None:
    invisible = random_gaussians(5)
    invisible.opacity_logits[:] = -9
    with pytest.raises(ValueError, match="visible splats, got 0"):
        write_html(invisible, photos(), tmp_path / "a.html", title="A")
    with pytest.raises(ValueError, match="nowhere to look from"):
        write_html(random_gaussians(5), [], tmp_path / "a.html", title="A")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my scene"
    (folder / "images").mkdir(parents=True)
    rgb, valid = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8), np.ones((SIZE[1], SIZE[0]), bool)
    views = [View(photo.name, photo.camera, rgb, valid) for photo in photos()]
    write_cameras_json(views, folder / "cameras.json")
    write_ply(random_gaussians(30), folder / "splats.ply")
    Image.fromarray(rgb).save(folder / "images" / "a.jpg")
    (folder / "images" / "b.jpg").write_bytes(b"no picture")
    return folder


def test_a_project_folder_becomes_a_page(project: Path, tmp_path: Path) -> None:
    assert export_html(project, tmp_path / "a.html") == tmp_path / "a.html"
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "<title>my scene</title>" in page
    description = json.loads(block(page, "description"))
    assert [bool(photo["thumbnail"]) for photo in description["photos"]] == [True, False, False]
    assert description["start"] != description["photos"][0]["camera"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("splats.ply", None, "no Gaussian splats yet"),
        ("splats.ply", b"ply\n", "cannot be shown"),
        ("cameras.json", None, "cannot be read"),
        ("cameras.json", b'{"images": []}', "nowhere to look from"),
    ],
)
def test_an_unfinished_or_damaged_project_is_refused(
    project: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    (project / name).unlink() if content is None else (project / name).write_bytes(content)
    with pytest.raises(ReconError, match=message):
        export_html(project, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    with Browser(*SIZE) as opened:
        yield opened


def page_of(folder: Path, gaussians: Gaussians, shown: list[PagePhoto], title: str = "A scene") -> Path:
    write_html(gaussians, shown, folder / "page.html", title=title)
    return folder / "page.html"


def rendered(gaussians: Gaussians, camera: Camera) -> NDArray[np.float64]:
    """Our own rasterizer's picture, as the page would show it, [H, W, 3] in 0 to 255."""
    background = torch.tensor(BACKGROUND, dtype=torch.float32) / 255
    rgb = create("cpu")(gaussians.activate(), camera, background=background).rgb
    return np.round(rgb.clamp(0, 1).numpy() * 255).astype(np.float64)


def shown(browser: Browser) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB"), np.float64)


def psnr(picture: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    return float(10 * np.log10(255**2 / np.mean((picture - wanted) ** 2)))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_page_shows_what_our_rasterizer_draws(browser: Browser, tmp_path: Path, degree: int) -> None:
    gaussians, cameras = random_gaussians(3000, degree), photos()
    browser.resize(*SIZE)
    browser.open(page_of(tmp_path, gaussians, cameras), "#view=2&ui=0")
    picture, wanted = shown(browser), rendered(gaussians, cameras[1].camera)
    assert psnr(picture, wanted) >= 53  # measured: 54.6 to 57.0 dB; 52.5 at most with a blur of 0.4 instead of 0.3
    assert np.abs(picture - wanted).mean((0, 1)).max() < 1
    assert np.abs((picture - wanted).mean((0, 1))).max() < 0.3
    assert browser.logged == []


def test_a_photo_whose_centre_is_off_and_that_was_held_askew_is_met_too(browser: Browser, tmp_path: Path) -> None:
    gaussians = random_gaussians(1000, 1)
    K = np.array([[300.0, 0, 190], [0, 280, 100], [0, 0, 1]])
    camera = Camera(K, looking_at(np.array([1.0, 3.5, -2.0]), np.zeros(3), roll_deg=70), *SIZE)
    browser.resize(*SIZE)
    browser.open(page_of(tmp_path, gaussians, [PagePhoto("a", camera)]), "#view=1&ui=0")
    assert psnr(shown(browser), rendered(gaussians, camera)) >= 48


def test_a_window_of_another_shape_shows_the_whole_photo(browser: Browser, tmp_path: Path) -> None:
    gaussians, cameras = random_gaussians(300, 0), photos()
    browser.resize(SIZE[0], 2 * SIZE[1])
    browser.open(page_of(tmp_path, gaussians, cameras), "#view=1&ui=0")
    middle = shown(browser)[SIZE[1] // 2 : SIZE[1] // 2 + SIZE[1]]
    assert psnr(middle, rendered(gaussians, cameras[0].camera)) >= 48


def test_hostile_names_do_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    browser.requested.clear()
    browser.open(page_of(tmp_path, random_gaussians(50, 0), photos((HOSTILE, "b")), HOSTILE))
    assert browser.evaluate("typeof window.harm") == "undefined"
    assert browser.evaluate("document.title").startswith("</script><script>")
    assert browser.evaluate("document.querySelector('#strip button').title") == HOSTILE
    assert {url.split(":")[0] for url in browser.requested} <= {"about", "file", "blob", "data"}
    assert browser.evaluate("fetch('data:,x').then(() => 'open', () => 'closed')") == "closed"
    browser.logged.clear()  # the refusal is told there


@pytest.fixture
def moving(browser: Browser, tmp_path: Path) -> Iterator[Browser]:
    """A page of three photos around one large splat at (0.3, 0.2, 0.1); it flies at once where it is told to."""
    ball = Gaussians(
        torch.tensor([[0.3, 0.2, 0.1]]), torch.full((1, 3), -2.0), torch.ones(1, 4), torch.tensor([9.0]),
        torch.zeros(1, 1, 3),
    )  # fmt: skip
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.send("Emulation.setEmulatedMedia", features=[still])
    browser.resize(640, 480)
    browser.open(page_of(tmp_path, ball, photos()))
    yield browser
    browser.send("Emulation.setEmulatedMedia", features=[])
    assert browser.logged == []


def state_of(browser: Browser) -> dict[str, Any]:
    """Where the page's camera is when it has come to rest, with the point that it turns around."""
    browser.evaluate("window.handful.settled()")
    state = browser.evaluate("window.handful.state()")
    return state | {"target": np.add(state["eye"], np.multiply(state["forward"], state["distance"]))}


def test_dragging_turns_around_the_target(moving: Browser) -> None:
    first = state_of(moving)
    moving.drag((320, 240), (420, 240))
    turned = state_of(moving)
    np.testing.assert_allclose(turned["target"], first["target"], atol=1e-6)
    assert turned["distance"] == pytest.approx(first["distance"])
    level = [np.delete(state["forward"], 1) for state in (first, turned)]
    angle = np.arccos(np.dot(*level) / np.prod([np.linalg.norm(v) for v in level]))
    assert angle == pytest.approx(0.6, abs=0.01)  # 0.006 rad a pixel
    moving.press("KeyR", "r")
    assert state_of(moving)["eye"] == first["eye"]


def test_keys_and_thumbnails_lead_to_the_photos_places(moving: Browser) -> None:
    moving.send("Emulation.setEmulatedMedia", features=[])  # this one flies
    moving.press("Digit3", "3")
    np.testing.assert_allclose(state_of(moving)["eye"], photos()[2].camera.center, atol=1e-6)
    assert moving.evaluate("location.hash") == "#view=3"
    moving.evaluate("document.querySelectorAll('#strip button')[1].click()")
    np.testing.assert_allclose(state_of(moving)["eye"], photos()[1].camera.center, atol=1e-6)
    assert moving.evaluate("document.querySelector('#strip [aria-current=true]').title") == "b.jpg"


def test_a_double_click_turns_to_what_is_there(moving: Browser) -> None:
    moving.evaluate("location.hash = 'view=1'")
    before = state_of(moving)
    # The photo, 320 x 240, is fitted into the window, 640 x 480, above the strip.
    free = 480 - moving.evaluate("document.getElementById('strip').offsetHeight - 26")
    (pixel,), _ = photos()[0].camera.project(np.array([[0.3, 0.2, 0.1]]))
    moving.double_click(*(np.array([320, free / 2]) + (pixel - [160, 120]) * free / 240))
    after = state_of(moving)
    np.testing.assert_allclose(after["target"], [0.3, 0.2, 0.1], atol=0.02)
    assert after["distance"] < before["distance"]
    np.testing.assert_allclose(after["forward"], before["forward"])


def test_a_pinch_comes_nearer(moving: Browser) -> None:
    first = state_of(moving)
    moving.pinch((320, 200), 100, 200)
    nearer = state_of(moving)
    assert nearer["distance"] == pytest.approx(first["distance"] / 2, rel=0.01)
    # The page hears of one finger after the other: their middle goes there and back, at two distances.
    assert np.linalg.norm(nearer["target"] - first["target"]) < 0.01 * first["distance"]


def test_the_photos_places_are_drawn_when_asked_for(moving: Browser) -> None:
    moving.turn_wheel(320, 200, notches=8)  # far enough away to see them
    num_opaque = """(() => {
        const overlay = document.getElementById("overlay"), { width, height } = overlay;
        const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(overlay, 0, 0);
        return copy.getImageData(0, 0, width, height).data.filter((value, i) => i % 4 === 3 && value > 200).length;
    })()"""
    seen = []
    for _ in range(2):
        moving.press("KeyC", "c")
        state_of(moving)
        seen.append((moving.evaluate("document.getElementById('frusta').ariaPressed"), moving.evaluate(num_opaque)))
    assert seen[0][0] == "true"
    assert seen[0][1] >= 3 * 250  # three tips are discs of 10 px radius, 314 px
    assert seen[1] == ("false", 0)


def test_a_lost_drawing_context_is_replaced(browser: Browser, tmp_path: Path) -> None:
    gaussians, cameras = random_gaussians(300, 1), photos()
    browser.resize(*SIZE)
    browser.open(page_of(tmp_path, gaussians, cameras), "#view=1&ui=0")
    canvas = "document.getElementById('scene')"
    browser.evaluate(f"window.loser = {canvas}.getContext('webgl2').getExtension('WEBGL_lose_context')")
    for event, order in (("lost", "lose"), ("restored", "restore")):
        heard = f"new Promise((done) => {canvas}.addEventListener('webglcontext{event}', done, {{once: true}}))"
        browser.evaluate(f"[{heard}, window.loser.{order}Context()][0].then(() => null)")
    browser.evaluate("window.handful.settled()")
    assert psnr(shown(browser), rendered(gaussians, cameras[0].camera)) >= 48


def test_without_webgl2_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    blind = "HTMLCanvasElement.prototype.getContext = () => null"
    script = browser.send("Page.addScriptToEvaluateOnNewDocument", source=blind)["identifier"]
    browser.open(page_of(tmp_path, random_gaussians(5, 0), photos()))
    assert "needs WebGL2" in browser.evaluate("document.getElementById('message').textContent")
    browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    browser.logged.clear()
