"""The 3D view on a real OpenGL context: what it draws, what a click finds, and that it survives."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

try:
    from PyQt6.QtCore import QPoint, Qt
    from PyQt6.QtGui import QGuiApplication, QImage
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import QVBoxLayout, QWidget

    from app.viewport import Viewport
    from tests.app.waiting import wait_until
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

from app.viewport_camera import ViewCamera, looking_at, through_photo
from app.viewport_data import MESH_MODES, SPLAT_MODES, PhotoFrustum
from recon.camera_files import write_cameras_json
from recon.mesh_files import write_mesh
from recon.scene import Mesh, Texture, View
from splatting.camera import Camera
from splatting.formats import write_splats
from splatting.formats.ply import write_ply
from splatting.gaussians import Gaussians
from splatting.rasterize_native import rasterize

WIDTH, HEIGHT = 320, 240
# 8 bits a channel, blended hundreds of times: measured 40 dB and more.
LEAST_PSNR_DB = 30.0


@pytest.fixture
def viewport(application: object) -> Iterator[Viewport]:
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("no OpenGL without a display: install Xvfb")
    widget = Viewport()
    widget.failed.connect(lambda message, hint: widget.setToolTip(message))
    widget.resize(WIDTH, HEIGHT)
    widget.set_background((0.0, 0.0, 0.0))
    widget.show()
    wait_until(lambda: widget.isVisible() and widget.width() == WIDTH)
    yield widget
    widget.close()
    widget.deleteLater()


def _wait_for(signal: object, action: Callable[[], object]) -> list[tuple]:
    got: list[tuple] = []
    signal.connect(lambda *values: got.append(values))  # type: ignore[attr-defined]
    action()
    wait_until(lambda: bool(got))
    return got


def _pixels(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    data = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
    return (
        data.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()].reshape(image.height(), -1, 3).copy()
    )


def _ball(n: int = 3000, *, degree: int = 3, seed: int = 0, size: float = 1.0) -> Gaussians:
    """A coloured ball of radius 1 around the origin."""
    g = torch.Generator().manual_seed(seed)
    means = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=1)
    sh = 0.15 * torch.randn(n, (degree + 1) ** 2, 3, generator=g)
    sh[:, 0] = 1.5 * means
    log_scales = torch.log(size * torch.tensor([0.12, 0.06, 0.02])) + 0.3 * torch.randn(n, 3, generator=g)
    return Gaussians(means, log_scales, torch.randn(n, 4, generator=g), torch.randn(n, generator=g) + 1, sh)


def _square() -> Mesh:
    vertices = np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    rgb = np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    return Mesh(vertices, np.int32([[0, 1, 2], [0, 2, 3]]), rgb)


def _front() -> ViewCamera:
    return ViewCamera(looking_at((0.3, 0.4, 3.0), (0.0, 0.0, 0.0)), 3.0)


def _photo() -> PhotoFrustum:
    K = np.array([[300.0, 0, 160], [0, 300.0, 120], [0, 0, 1]])
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[:] = (250, 10, 200)
    return PhotoFrustum("a.jpg", Camera(K, looking_at((0.5, 0.2, 2.5), (0.0, 0.0, 0.0)), 320, 240), rgb)


def test_the_picture_is_that_of_the_rasterizer(viewport: Viewport) -> None:
    gaussians = _ball()
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(gaussians))
    for view in (_front(), _front().orbited(1.0, 0.3), _front().zoomed(0.45)):  # the last from close by
        viewport.set_view(view)
        drawn = _pixels(viewport.screenshot()) / 255
        expected = rasterize(gaussians.activate(), view.to_camera(WIDTH, HEIGHT)).rgb.clamp(max=1).numpy()
        assert -10 * np.log10(((drawn - expected) ** 2).mean()) > LEAST_PSNR_DB
        assert expected.std() > 0.1


def test_every_mode_draws_something_else(viewport: Viewport) -> None:
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(800, degree=0, size=0.7)))
    assert viewport.modes == SPLAT_MODES
    _wait_for(viewport.shown, lambda: viewport.set_mesh(_square()))
    viewport.set_view(_front())
    pictures = {}
    for mode in SPLAT_MODES + MESH_MODES:
        viewport.set_mode(mode)
        pictures[mode] = _pixels(viewport.screenshot())
        assert (pictures[mode].max(axis=2) > 60).mean() > 0.005, mode  # edges of two triangles are few
    for mode, picture in pictures.items():
        alike = [other for other, drawn in pictures.items() if np.abs(drawn.astype(int) - picture).mean() < 0.5]
        assert alike == [mode]
    with pytest.raises(ValueError, match="mode must be"):
        viewport.set_mode("x-ray")  # type: ignore[arg-type]


def test_depth_and_normals_show_which_side_is_where(viewport: Viewport) -> None:
    flat = Gaussians(
        torch.tensor([[-0.6, 0, 1.0], [0.6, 0, -1.0]]),
        torch.log(torch.tensor([[0.4, 0.4, 0.01]] * 2)),
        torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.tensor([8.0, 8.0]),
        torch.zeros(2, 1, 3),
    )
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(flat))
    viewport.set_view(ViewCamera(looking_at((0.0, 0.0, 4.0), (0.0, 0.0, 0.0)), 4.0))
    pixels = viewport.view.to_camera(WIDTH, HEIGHT).project(flat.means.numpy())[0].astype(int)
    viewport.set_mode("depth")
    near, far = (_pixels(viewport.screenshot())[y, x].astype(int) for x, y in pixels)
    assert near[0] > near[2] + 50  # near is red, far is blue
    assert far[2] > far[0] + 50
    viewport.set_mode("normals")
    assert np.abs(_pixels(viewport.screenshot())[pixels[0, 1], pixels[0, 0]] - np.array([128, 128, 255])).max() <= 6


def test_a_subset_while_moving_all_at_rest(viewport: Viewport) -> None:
    count = 12_000
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(count, degree=0, size=0.3)))
    _wait_for(viewport.rested, lambda: viewport.set_view(_front()))
    assert viewport._painter.sorted is not None
    assert viewport._painter.sorted.count == count
    complete = _pixels(viewport.grabFramebuffer())
    assert np.array_equal(complete, _pixels(viewport.screenshot()))
    viewport._painter.renderer.pace.count = 4_000
    viewport.navigation.go_to(_front().orbited(1e-9, 0), smoothly=False)  # as good as where it is: nothing moves
    assert np.array_equal(complete, _pixels(viewport.grabFramebuffer()))
    viewport._touch()
    moving = _pixels(viewport.grabFramebuffer())
    assert 0.5 < np.abs(moving.astype(int) - complete).mean() < 30
    _wait_for(viewport.rested, lambda: None)
    assert np.array_equal(complete, _pixels(viewport.grabFramebuffer()))


def test_a_click_on_a_photo_looks_through_it(viewport: Viewport) -> None:
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(500, degree=0)))
    photo = _photo()
    viewport.set_photos([photo])
    viewport.set_view(_front().zoomed(1.5).orbited(0.2, 0.0))
    middle = photo.camera.unproject(np.array([[160.0, 120.0]]), np.array([viewport.photo_depth]))
    at = viewport.view.to_camera(WIDTH, HEIGHT).project(middle)[0][0]
    shown = _pixels(viewport.screenshot())[int(at[1]), int(at[0])].astype(int)
    assert np.abs(shown - [225, 9, 180]).max() <= 26  # a tenth of what is behind comes through
    picked = _wait_for(
        viewport.photo_picked,
        lambda: QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=QPoint(int(at[0]), int(at[1]))),
    )
    assert picked == [("a.jpg",)]
    wait_until(lambda: not viewport.navigation.is_under_way)
    assert viewport.photo == "a.jpg"
    expected = through_photo(photo.camera, 1.0, WIDTH, HEIGHT)
    assert np.allclose(viewport.view.cam_from_world, expected.cam_from_world)
    viewport.set_comparison(0.5)
    pixels = _pixels(viewport.screenshot()).astype(int)
    assert np.abs(pixels[:, : WIDTH // 2] - [250, 10, 200]).max() <= 1
    assert np.abs(pixels[:, WIDTH // 2 + 2 :] - [250, 10, 200]).max(axis=2).min() > 20
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=QPoint(WIDTH // 2 + 3, 50))
    QTest.mouseMove(viewport, QPoint(WIDTH // 4, 50))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=QPoint(WIDTH // 4, 50))
    assert viewport.photo == "a.jpg"  # its edge was dragged, not the view
    changed = np.abs(_pixels(viewport.screenshot()).astype(int) - pixels).max(axis=2).mean(axis=0) > 20
    assert list(np.flatnonzero(changed)[[0, -1]]) == [WIDTH // 4, WIDTH // 2 + 1]
    QTest.keyClick(viewport, Qt.Key.Key_Escape)
    assert viewport.photo is None


def test_a_click_finds_the_point_on_splats_and_on_a_mesh(viewport: Viewport) -> None:
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(degree=0)))
    _wait_for(viewport.shown, lambda: viewport.set_mesh(_square()))
    viewport.set_view(_front())

    def click() -> np.ndarray:
        middle = QPoint(WIDTH // 2, HEIGHT // 2)
        action = lambda: QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=middle)  # noqa: E731
        return _wait_for(viewport.point_picked, action)[0][0]

    assert np.linalg.norm(click()) == pytest.approx(1, abs=0.1)  # the near side of the ball
    viewport.set_mode("mesh")
    point = click()
    assert np.abs(point - [0, 0, 0]).max() < 0.02
    assert abs(point[2]) < 1e-6


def test_a_texture_lies_with_its_first_row_at_v_zero(viewport: Viewport) -> None:
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[:2] = (240, 20, 20)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)  # the upper corners of the square at v = 0
    square = _square()
    mesh = dataclasses.replace(square, texture=Texture(texture, uv, square.faces))
    _wait_for(viewport.shown, lambda: viewport.set_mesh(mesh))
    viewport.set_view(ViewCamera(looking_at((0.0, 0.0, 4.0), (0.0, 0.0, 0.0)), 4.0))
    pixels = _pixels(viewport.screenshot()).astype(int)
    assert np.abs(pixels[HEIGHT // 2 - 30, WIDTH // 2] - [240, 20, 20]).max() <= 1
    assert pixels[HEIGHT // 2 + 30, WIDTH // 2].max() == 0


def test_mouse_and_keys_move_the_view(viewport: Viewport) -> None:
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(300, degree=0)))
    viewport.set_view(_front())
    before = viewport.view
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    QTest.mouseMove(viewport, QPoint(140, 100))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=QPoint(140, 100))
    assert np.allclose(viewport.view.pivot, before.pivot)
    assert (viewport.view.center - before.center) @ before.R[0] < 0  # the scene follows the mouse to the right
    QTest.keyPress(viewport, Qt.Key.Key_W)
    wait_until(lambda: (viewport.view.center - before.center) @ before.R[2] > 0.05)
    QTest.keyRelease(viewport, Qt.Key.Key_W)
    wait_until(lambda: not viewport.navigation.is_under_way)
    QTest.keyClick(viewport, Qt.Key.Key_1)
    wait_until(lambda: not viewport.navigation.is_under_way)
    assert np.allclose(viewport.view.R, np.diag([1, -1, -1]))
    QTest.keyClick(viewport, Qt.Key.Key_R)
    wait_until(lambda: not viewport.navigation.is_under_way)
    assert viewport.view is viewport._home


def test_new_gaussians_of_a_running_build_leave_the_view_alone(viewport: Viewport) -> None:
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(500, degree=0)))
    viewport.set_view(_front())
    old = _pixels(viewport.screenshot()).astype(int)
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(500, degree=0, seed=1)))
    assert np.array_equal(viewport.view.cam_from_world, _front().cam_from_world)
    assert np.abs(_pixels(viewport.screenshot()) - old).mean() > 3


def test_a_viewport_that_moves_to_another_window_draws_the_same(viewport: Viewport) -> None:
    _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(500, degree=0)))
    viewport.set_view(_front())
    before = _pixels(viewport.screenshot())
    viewport.hide()
    other = QWidget()
    layout = QVBoxLayout(other)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(viewport)
    other.resize(WIDTH, HEIGHT)
    other.show()
    viewport.show()
    wait_until(lambda: viewport.width() == WIDTH and viewport.isVisible())
    viewport.set_view(_front())
    assert np.array_equal(_pixels(viewport.screenshot()), before)
    viewport.setParent(None)


def test_files_open_by_what_they_hold_and_fail_with_a_sentence(viewport: Viewport, tmp_path: Path) -> None:
    for name in ("ball.ply", "ball.compressed.ply", "ball.spz", "ball.glb"):
        write_splats(_ball(200, degree=1), tmp_path / name)
        assert _wait_for(viewport.shown, lambda name=name: viewport.open_file(tmp_path / name)) == [("splats",)]
    (tmp_path / "broken.glb").write_bytes(b"glTF")
    for name, expected in (
        ("broken.glb", "broken.glb cannot be shown: is not a binary glTF file."),
        ("letter.txt", "letter.txt is of no kind that can be shown."),
        ("none.ply", "none.ply cannot be read: No such file"),
    ):
        failed = _wait_for(viewport.failed, lambda name=name: viewport.open_file(tmp_path / name))
        assert failed[0][0].startswith(expected)
    assert viewport.modes == SPLAT_MODES  # what was there stays


def test_a_project_shows_splats_mesh_and_photos(viewport: Viewport, tmp_path: Path) -> None:
    write_ply(_ball(200, degree=0), tmp_path / "splats.ply")
    write_mesh(_square(), tmp_path / "mesh.glb")
    photo = _photo()
    rgb = np.zeros((240, 320, 3), np.uint8)
    write_cameras_json([View("a.jpg", photo.camera, rgb, np.ones((240, 320), bool))], tmp_path / "cameras.json")
    _wait_for(viewport.shown, lambda: viewport.open_project(tmp_path))
    assert viewport.modes == SPLAT_MODES + MESH_MODES
    viewport.look_through("a.jpg")
    with pytest.raises(ValueError, match="no photo is called b"):
        viewport.look_through("b.jpg")
    empty = tmp_path / "empty"
    empty.mkdir()
    failed = _wait_for(viewport.failed, lambda: viewport.open_project(empty))
    assert failed == [("There is nothing to see in empty yet.", "Build it first.")]


def test_nothing_at_all_can_be_shown(viewport: Viewport) -> None:
    assert _wait_for(viewport.shown, lambda: viewport.set_gaussians(_ball(0))) == [("splats",)]
    assert _pixels(viewport.screenshot()).max() == 0
