import json
from pathlib import Path

import numpy as np
import pytest

from recon.benchmark_scenes import choose_heldout, choose_photos, read_scene
from recon.errors import ReconError
from tests.synthetic import arc_of_cameras, write_photos


def make_scene(folder: Path, splits: dict[str, list[int]], order: list[int] | None = None, num_photos: int = 6) -> Path:
    """A scene folder with photos `images/0.png`, `images/1.png`, ... on an arc."""
    (folder / "images").mkdir(parents=True)
    cameras = arc_of_cameras(num_photos, size=(96, 72))
    write_photos(folder / "images", cameras)
    images = [
        {
            "file": f"images/{i}.png",
            "width": camera.width,
            "height": camera.height,
            **dict(zip(("fx", "fy", "cx", "cy"), map(float, camera.K[[0, 1, 0, 1], [0, 1, 2, 2]]), strict=True)),
            "w2c": camera.cam_from_world[:3].tolist(),
        }
        for i, camera in enumerate(cameras)
    ]
    (folder / "cameras.json").write_text(json.dumps({"images": images}))
    paths = {key: {"train": [f"images/{i}.png" for i in own], "test": []} for key, own in splits.items()}
    document = {"splits": paths} | ({} if order is None else {"order": [f"images/{i}.png" for i in order]})
    (folder / "splits.json").write_text(json.dumps(document))
    return folder


def chosen(scene_folder: Path, num_views: int) -> list[int]:
    return [int(Path(path).stem) for path in choose_photos(read_scene(scene_folder), num_views)]


def test_a_split_of_the_size_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = make_scene(tmp_path / "s", {"3": [4, 0, 2], "3easy": [1, 2, 3], "6": [0, 1, 2, 3, 4, 5]})
    assert chosen(folder, 3) == [0, 2, 4]


def test_between_splits_the_order_decides_so_that_sets_are_nested(tmp_path: Path) -> None:
    folder = make_scene(tmp_path / "s", {"3": [3, 2, 4], "6": [0, 1, 2, 3, 4, 5]}, order=[3, 2, 4, 1, 5, 0])
    assert chosen(folder, 4) == [1, 2, 3, 4]
    assert set(chosen(folder, 3)) < set(chosen(folder, 4)) < set(chosen(folder, 6))


def test_between_splits_without_an_order_photos_are_spaced_evenly(tmp_path: Path) -> None:
    folder = make_scene(tmp_path / "s", {"3": [0, 1, 2], "6": [0, 1, 2, 3, 4, 5]})
    assert chosen(folder, 4) == [0, 2, 3, 5]


def test_wide_sets_are_spread_over_the_whole_capture(tmp_path: Path) -> None:
    scene = read_scene(make_scene(tmp_path / "s", {"3": [0, 1, 2]}))
    assert choose_photos(scene, 3, "wide") == ("images/0.png", "images/2.png", "images/5.png")
    assert len(choose_photos(scene, 6, "wide")) == 6
    with pytest.raises(ReconError, match="has 6 photos, not 7"):
        choose_photos(scene, 7, "wide")


def test_more_photos_than_any_split_are_refused(tmp_path: Path) -> None:
    scene = read_scene(make_scene(tmp_path / "s", {"3": [0, 1, 2]}))
    with pytest.raises(ReconError, match="no set of 4 photos"):
        choose_photos(scene, 4)


@pytest.mark.parametrize("missing", ["images", "splits.json", "cameras.json"])
def test_a_folder_that_is_no_scene_is_refused_with_what_it_lacks(tmp_path: Path, missing: str) -> None:
    folder = make_scene(tmp_path / "s", {"3": [0, 1, 2]})
    (folder / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(ReconError, match=f"has no {missing}"):
        read_scene(folder)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"splits": 3}', '{"splits": {"3": {}}}', '{"splits": {"3": {"train": [3]}}}']
)
def test_damaged_splits_are_refused(tmp_path: Path, text: str) -> None:
    folder = make_scene(tmp_path / "s", {"3": [0, 1, 2]})
    (folder / "splits.json").write_text(text)
    with pytest.raises(ReconError, match=r"splits\.json"):
        read_scene(folder)


def test_photos_that_splits_name_must_exist_and_have_a_camera(tmp_path: Path) -> None:
    folder = make_scene(tmp_path / "s", {"3": [0, 1, 7]})
    with pytest.raises(ReconError, match=r"has no images/7\.png"):
        read_scene(folder)
    (folder / "images" / "0.png").rename(folder / "images" / "7.png")
    with pytest.raises(ReconError, match=r"has no images/0\.png"):
        read_scene(folder)
    (folder / "images" / "7.png").rename(folder / "images" / "0.png")
    (folder / "images" / "7.png").write_bytes((folder / "images" / "1.png").read_bytes())
    with pytest.raises(ReconError, match=r"no camera for images/7\.png"):
        read_scene(folder)


def test_true_cameras_are_read(tmp_path: Path) -> None:
    scene = read_scene(make_scene(tmp_path / "s", {"3": [0, 1, 2]}))
    expected = arc_of_cameras(6, size=(96, 72))
    for i, camera in enumerate(expected):
        np.testing.assert_allclose(scene.truth[f"{i}.png"].camera.cam_from_world, camera.cam_from_world)
    assert scene.name == "s"


def test_a_set_that_counts_pixels_from_the_first_one_s_centre_is_moved_by_half_a_pixel(tmp_path: Path) -> None:
    folder = make_scene(tmp_path / "s", {"3": [0, 1, 2]})
    ours = read_scene(folder).truth["0.png"].camera.K
    document = json.loads((folder / "cameras.json").read_text())
    said = {"pixel_centre": "centre of the top-left pixel is at (0, 0)"}
    (folder / "cameras.json").write_text(json.dumps(document | said))
    np.testing.assert_array_equal(
        read_scene(folder).truth["0.png"].camera.K - ours, [[0, 0, 0.5], [0, 0, 0.5], [0] * 3]
    )
    said = {"pixel_centre": "centre of the top-left pixel is at (0.5, 0.5)"}
    (folder / "cameras.json").write_text(json.dumps(document | said))
    np.testing.assert_array_equal(read_scene(folder).truth["0.png"].camera.K, ours)


def test_photos_to_predict_are_never_those_to_train_on(tmp_path: Path) -> None:
    folder = make_scene(tmp_path / "s", {"3": [3, 2, 4], "6": [0, 1, 2, 3, 4, 5]}, order=[3, 2, 4, 1, 5, 0])
    document = json.loads((folder / "splits.json").read_text())
    document["splits"]["3"]["test"] = ["images/1.png", "images/0.png", "images/3.png"]
    (folder / "splits.json").write_text(json.dumps(document))
    scene = read_scene(folder)
    assert choose_heldout(scene, 3) == ("images/0.png", "images/1.png")
    with pytest.raises(ReconError, match="no photos to predict from 6"):
        choose_heldout(scene, 6)
    with pytest.raises(ReconError, match="no photos to predict from 9"):
        choose_heldout(scene, 9)
