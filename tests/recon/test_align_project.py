"""One frame for everything in a project folder, whatever is asked and however a run ends."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from recon import outputs
from recon.align_project import align_project
from recon.camera_files import read_cameras
from recon.cleaning import Cleaned
from recon.config import PRESETS
from recon.dense import DenseScene
from recon.errors import ReconError
from recon.frame import Frame, framed_camera, framed_dense, framed_gaussians, framed_mesh, framed_scene, is_same
from recon.frame_wish import FrameWish
from recon.framing import ProjectFrame, frame_of
from recon.mesh_files import read_mesh
from recon.mesh_freshness import mesh_settings
from recon.photo_loading import PhotoSet
from recon.previews import preview_camera
from recon.project import Project, open_project
from recon.report import Report, read_report
from recon.scene import DepthMap, Mesh, PointCloud, Reconstruction, UnplacedPhoto, View, training_part
from recon.stages import StageRunner
from recon.summary import Results
from splatting import rasterizer
from splatting.camera import Camera
from splatting.formats.ply import read_ply
from splatting.gaussians import Gaussians
from tests.synthetic import arc_of_cameras, write_photos

FILES = ("points.ply", "splats.ply", "mesh.glb", "cameras.json", "cameras/images.txt", "cameras/points3D.txt")
N = 300


def scene_on_a_table() -> tuple[Reconstruction, DenseScene, Gaussians, Mesh]:
    """Three views of a tilted table (y = 0.08 x - 0.5) and what a run would have made of them."""
    cameras = arc_of_cameras(3, size=(64, 48))
    generator = np.random.default_rng(0)
    xz = generator.uniform(-1, 1, (N, 2))
    xyz = np.stack([xz[:, 0], 0.08 * xz[:, 0] - 0.5, xz[:, 1]], axis=1)
    rgb = generator.integers(0, 255, (N, 3)).astype(np.uint8)
    tracks = tuple((0, 1, 2) for _ in range(N))
    points = PointCloud(xyz, rgb, np.full(N, 3, np.int32), np.zeros(N, np.float32), tracks)
    views, depth_maps = [], []
    for i, camera in enumerate(cameras):
        rows, columns = np.mgrid[:48, :64] + 0.5
        rays = (np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(camera.K).T) @ camera.R
        toward = rays[..., 1] - 0.08 * rays[..., 0]
        depth = np.where(toward < -0.05, (-0.5 + 0.08 * camera.center[0] - camera.center[1]) / toward, 0)
        depth = np.where((depth > 0) & (depth < 8), depth, 0).astype(np.float32)
        views.append(View(f"{i}.png", camera, np.full((48, 64, 3), 99, np.uint8), np.ones((48, 64), bool)))
        depth_maps.append(DepthMap(depth, np.ones_like(depth), np.ones_like(depth, np.uint8)))
    random = torch.from_numpy(generator.normal(size=(N, 52))).float()
    sh, quats = 0.2 * random[:, :48].reshape(N, 16, 3), random[:, 48:]
    gaussians = Gaussians(torch.from_numpy(xyz).float(), torch.full((N, 3), -3.0), quats, torch.full((N,), 2.0), sh)
    start = Gaussians(**{**vars(gaussians), "sh": gaussians.sh[:, :1]})
    faces = np.arange(N).reshape(-1, 3).astype(np.int32)
    mesh = Mesh(xyz.astype(np.float32), faces, rgb)
    scene = Reconstruction(tuple(views), points, ())
    nothing = tuple(np.zeros((48, 64), bool) for _ in views)
    return scene, DenseScene(tuple(depth_maps), start, np.ones(N, bool), nothing), gaussians, mesh


def run(out: Path, wish: FrameWish = FrameWish(), *, until: str = "mesh", scene_version: int = 1) -> list[str]:  # noqa: B008
    """What the pipeline does with frames, with results that are there at once; returns the stages that computed."""
    scene, dense, gaussians, mesh = scene_on_a_table()
    project, config = open_project(out), PRESETS["draft"]
    computed: list[str] = []
    stages = StageRunner(project, "mesh", None)
    photos = write_photos(out, arc_of_cameras(3, size=(64, 48)))
    outputs.write_project(project, PhotoSet(tuple(photos), (), ()), Results("draft", config), [], None)

    def made(stage: str, value: object) -> object:
        computed.append(stage)
        return value

    def stage(name: str, settings: object, value: object, types: tuple[type, ...]) -> object:
        return stages.run(name, settings, lambda progress: made(name, value), types)  # type: ignore[arg-type]

    frames = ProjectFrame(project, wish)
    stage("cameras", scene_version, scene, (Reconstruction, View, Camera, PointCloud, UnplacedPhoto))
    frame = frames.from_cameras(scene, made_from=stages.fingerprint, were_given=False)
    outputs.write_cameras(project, framed_scene(frame, scene), frame)
    if until == "cameras":
        return computed
    stage("points", 0, dense, (DenseScene, DepthMap, Gaussians))
    frame = frames.with_depth(scene, dense, {f"{i}.png": (64, 48) for i in range(3)})
    outputs.write_cameras(project, framed_scene(frame, scene), frame)
    outputs.write_points(project, framed_dense(frame, dense))
    if until == "points":
        return computed
    stage("splats", 0, gaussians, (Gaussians,))
    draw, camera = rasterizer.create("cpu"), framed_camera(frame, preview_camera(*training_part(scene)))
    outputs.write_splats(project, framed_gaussians(frame, gaussians), draw, camera, torch.zeros(3))
    nothing_removed = Cleaned(gaussians, np.zeros(N, bool), gaussians)
    stage("mesh", mesh_settings(config, nothing_removed), mesh, (Mesh,))
    outputs.write_mesh(project, framed_mesh(frame, mesh), camera)
    outputs.write_report(project, Report("complete", "draft", 0))
    return computed


@pytest.fixture(scope="module", autouse=True)
def _small_previews() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.previews.SIDE_PX", 64)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("frames") / "table"
    run(out)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "table"))


def bytes_of(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def assert_one_frame(out: Path) -> Frame:
    """Every file tells the same story: the stages' coordinates, moved by the frame of `project.json`."""
    scene = scene_on_a_table()[0]
    frame = frame_of(Project(out))
    expected = frame.scale * scene.points.xyz @ frame.R.T + frame.t
    tolerance = 1e-5 * max(1.0, frame.scale)
    np.testing.assert_allclose(read_ply(out / "splats.ply").means.numpy(), expected, atol=tolerance)
    np.testing.assert_allclose(read_mesh(out / "mesh.glb").vertices, expected, atol=tolerance)
    lines = [line for line in (out / "cameras/points3D.txt").read_text().split("\n") if line and line[0] != "#"]
    np.testing.assert_allclose([[float(x) for x in line.split()[1:4]] for line in lines], expected, atol=1e-9)
    cameras = read_cameras(out / "cameras.json")
    for view in scene.views:
        before, after = view.camera.project(scene.points.xyz), cameras[view.name].camera.project(expected)
        np.testing.assert_allclose(after[0], before[0], atol=1e-6)
        np.testing.assert_allclose(after[1], frame.scale * before[1], rtol=1e-9)
    return frame


def test_a_run_leaves_a_level_table_at_height_zero_below_the_origin(out: Path) -> None:
    assert_one_frame(out)
    means = read_ply(out / "splats.ply").means.numpy()
    assert np.abs(means[:, 1]).max() < 0.02  # it was tilted by 4.6 degrees
    for found in read_cameras(out / "cameras.json").values():
        (pixel,), (depth,) = found.camera.project(np.zeros((1, 3)))  # every photo was taken of the origin
        assert depth > 0
        assert np.abs(pixel / [64, 48] - 0.5).max() < 0.25
    assert json.loads((out / "cameras.json").read_text())["frame"] == {"up": "+y", "unit": None}


def test_aligning_moves_everything_and_gives_metres(out: Path) -> None:
    told = align_project(out, FrameWish(scale="0.png,2.png=1.5m"))
    frame = assert_one_frame(out)
    assert told.unit == frame.unit == "m"
    assert "table" in told.up
    assert "0.png,2.png=1.5m" in told.scale
    assert read_report(out).frame == told
    cameras = read_cameras(out / "cameras.json")
    apart = np.linalg.norm(cameras["0.png"].camera.center - cameras["2.png"].camera.center)
    assert apart == pytest.approx(1.5)
    assert json.loads((out / "cameras.json").read_text())["frame"] == {"up": "+y", "unit": "m"}
    assert not (out / "work" / "aligning").exists()


def test_a_picked_length_is_as_long_as_it_was_said(out: Path) -> None:
    align_project(out, FrameWish(scale="1.png:20.5,40.5,1.png:44.5,40.5=25cm"))
    frame, camera = assert_one_frame(out), scene_on_a_table()[0].views[1].camera
    rays = np.linalg.inv(camera.K) @ np.array([[20.5, 44.5], [40.5, 40.5], [1, 1]])
    rays = camera.R.T @ rays
    depth = (-0.5 + 0.08 * camera.center[0] - camera.center[1]) / (rays[1] - 0.08 * rays[0])
    ends = camera.center[:, None] + rays * depth
    # the depth around a pixel is a median over 7 x 7 of them: that of its centre on a plane
    assert frame.scale * np.linalg.norm(ends[:, 0] - ends[:, 1]) == pytest.approx(0.25, rel=0.01)


def test_up_as_asked_for_and_back_again_is_where_we_were(out: Path) -> None:
    before = bytes_of(out)
    align_project(out, FrameWish(up="-z", scale="0.png,1.png=3ft"))
    frame = assert_one_frame(out)
    np.testing.assert_allclose(frame.R @ [0, 0, -1], [0, 1, 0], atol=1e-12)
    align_project(out, FrameWish(up="none"))
    np.testing.assert_array_equal(assert_one_frame(out).R, np.eye(3))
    align_project(out, FrameWish(up="auto", scale="none"))
    assert bytes_of(out) == before


def test_a_later_run_computes_nothing_and_keeps_the_frame(out: Path) -> None:
    align_project(out, FrameWish(up="+x", scale="0.png,2.png=1.5m"))
    before = bytes_of(out)
    assert run(out) == []
    assert bytes_of(out) == before


def test_a_run_with_another_wish_computes_nothing_and_moves_everything(out: Path) -> None:
    assert run(out, FrameWish(scale="0.png,2.png=1.5m")) == []
    assert assert_one_frame(out).unit == "m"


def test_a_run_that_stops_at_the_cameras_keeps_the_frame_of_the_splats(out: Path) -> None:
    before = bytes_of(out)
    assert run(out, until="cameras") == []
    assert bytes_of(out) == before


@pytest.mark.parametrize("until", ["cameras", "points"])
def test_nothing_stays_in_another_frame_when_a_run_stops_early(out: Path, until: str) -> None:
    run(out, FrameWish(up="+x"), until=until)
    assert not (out / "splats.ply").exists()
    assert not (out / "mesh.glb").exists()
    assert (out / "points.ply").exists() == (until == "points")
    assert run(out) == []  # but nothing is lost: the stored results are moved, and the wish holds
    np.testing.assert_allclose(assert_one_frame(out).R @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_results_of_other_cameras_do_not_stay_beside_new_ones(out: Path) -> None:
    run(out, FrameWish(up="none"))
    frame = frame_of(open_project(out))
    (out / "images" / "left_out.png").touch()
    run(out, FrameWish(up="none"), until="cameras", scene_version=2)
    assert not [name for name in ("points.ply", "splats.ply", "mesh.glb") if (out / name).exists()]
    assert not (out / "images" / "left_out.png").exists()
    assert is_same(frame_of(open_project(out)), frame)  # so it is not for the frame that they went


def test_new_cameras_get_a_new_frame(out: Path) -> None:
    align_project(out, FrameWish(scale="0.png:20,40,1.png:44,40=25cm"))
    made_from = json.loads((out / "project.json").read_text())["frame"]["made_from"]
    run(out, scene_version=2)
    assert assert_one_frame(out).unit == "m"
    assert json.loads((out / "project.json").read_text())["frame"]["made_from"] != made_from


def test_killed_while_writing_nothing_has_changed(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = bytes_of(out), (out / "project.json").read_bytes()

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recon.outputs.write_mesh_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        align_project(out, FrameWish(up="+x"))
    assert bytes_of(out) == before
    assert (out / "project.json").read_bytes() == asked
    assert not (out / "work" / "aligning").exists()


def test_killed_while_files_take_their_places_the_next_opening_finishes(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        moved: list[Path] = []
        real = Path.mkdir

        def killed_at_the_third(self: Path, *arguments: object, **options: object) -> None:
            if self.name in ("table", "cameras", "previews", "images") and "aligning" not in self.parts:
                moved.append(self)
            if len(moved) > 3:
                raise KeyboardInterrupt
            real(self, *arguments, **options)  # type: ignore[arg-type]

        patch.setattr(Path, "mkdir", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            align_project(out, FrameWish(up="+x"))
    open_project(out)
    np.testing.assert_allclose(assert_one_frame(out).R @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_a_length_that_is_not_there_changes_nothing(out: Path) -> None:
    before = bytes_of(out)
    with pytest.raises(ReconError, match=r"no camera of a photo 7\.png"):
        align_project(out, FrameWish(scale="7.png,0.png=1m"))
    with pytest.raises(ReconError, match=r"No depth is known at 0\.png:1,1"):
        align_project(out, FrameWish(scale="0.png:1,1,0.png=1m"))
    assert bytes_of(out) == before


@pytest.mark.parametrize("content", [None, "{}", "not json", '{"photos": 3, "cameras": null}'])
def test_what_is_no_project_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "project.json").write_text(content)
    with pytest.raises(ReconError):
        align_project(tmp_path, FrameWish(up="auto"))


def test_a_mesh_of_an_earlier_run_moves_along(out: Path) -> None:
    record = json.loads((out / "work" / "splats.json").read_text())
    (out / "work" / "splats.json").write_text(json.dumps({**record, "fingerprint": "of another fit"}))
    align_project(out, FrameWish(up="+x"))
    np.testing.assert_allclose(assert_one_frame(out).R @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_without_the_stored_results_nothing_moves(out: Path) -> None:
    before = bytes_of(out)
    (out / "work" / "mesh.npz").unlink()
    with pytest.raises(ReconError, match="cannot be read") as caught:
        align_project(out, FrameWish(up="+x"))
    assert "again" in caught.value.hint
    assert bytes_of(out) == before


def test_a_length_of_an_earlier_run_that_is_lost_is_warned_of_but_one_of_now_is_an_error(out: Path) -> None:
    scene, _, _, _ = scene_on_a_table()
    align_project(out, FrameWish(scale="0.png,2.png=1.5m"))
    fewer = Reconstruction(scene.views[:2], scene.points, ())
    frames = ProjectFrame(open_project(out), FrameWish())
    assert frames.from_cameras(fewer, made_from="two photos", were_given=False).unit is None
    assert "no camera of a photo 2.png" in frames.warnings[0]
    with pytest.raises(ReconError, match=r"no camera of a photo 2\.png"):
        ProjectFrame(open_project(out), FrameWish(scale="0.png,2.png=1.5m")).from_cameras(
            fewer, made_from="two photos", were_given=False
        )


def test_a_run_that_stops_at_the_cameras_says_that_a_picked_length_waits(tmp_path: Path) -> None:
    run(tmp_path / "new", FrameWish(scale="1.png:20.5,40.5,1.png:44.5,40.5=25cm"), until="cameras")
    frame = frame_of(Project(tmp_path / "new"))
    assert frame.unit is None
    assert "until there is depth" in frame.length
    run(tmp_path / "new", until="points")
    assert frame_of(Project(tmp_path / "new")).unit == "m"
