"""What passes through one photo, or is looked through, becomes neither Gaussians nor depth."""

from dataclasses import replace

import numpy as np
import pytest
from textured_wall import HEIGHT, WIDTH, wall_views

from recon import dense as dense_module
from recon.dense import make_dense
from recon.dense_depth import DenseConfig
from recon.initialise import InitialiseConfig
from recon.progress import no_progress
from recon.scene import PointCloud

YELLOW = np.array([230, 200, 20], np.uint8)
NO_POINTS = PointCloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32), ())


@pytest.mark.parametrize("reject", [True, False])
def test_a_passer_by_leaves_no_gaussians_unless_he_is_wanted(monkeypatch: pytest.MonkeyPatch, reject: bool) -> None:
    views, depth_maps = wall_views()
    body = np.zeros((HEIGHT, WIDTH), bool)
    body[30:100, 60:90] = True
    views[1] = replace(views[1], rgb=np.where(body[..., None], YELLOW, views[1].rgb))
    depth_maps[1] = replace(depth_maps[1], depth=np.where(body, 0, depth_maps[1].depth).astype(np.float32))
    monkeypatch.setattr(dense_module, "estimate_depths", lambda *_, **__: tuple(depth_maps))
    config = DenseConfig(reject_transients=reject)
    dense = make_dense(views, NO_POINTS, config, InitialiseConfig(5000), seed=0, progress=no_progress)
    colours = 255 * (0.5 + 0.28209479 * dense.gaussians.sh[:, 0].numpy())
    yellow = (np.abs(colours - YELLOW) < 2).all(1).sum()
    valid = dense.lasting(views)[1].valid
    if reject:
        assert yellow == 0
        assert not valid[body].any()
    else:
        assert yellow > 10
        assert valid.all()
    assert all(dense.lasting(views)[index].valid.all() for index in (0, 2, 3))


def test_what_other_photos_look_through_is_left_out_of_depth_and_gaussians(monkeypatch: pytest.MonkeyPatch) -> None:
    views, depth_maps = wall_views()
    ghost = np.zeros((HEIGHT, WIDTH), bool)
    ghost[40:80, 60:100] = True
    near = (0.5 * np.median(depth_maps[1].depth)).astype(np.float32)
    agreeing = np.where(ghost, 1, depth_maps[1].num_agreeing).astype(np.uint8)
    depth_maps[1] = replace(
        depth_maps[1], depth=np.where(ghost, near, depth_maps[1].depth).astype(np.float32), num_agreeing=agreeing
    )
    monkeypatch.setattr(dense_module, "estimate_depths", lambda *_, **__: tuple(depth_maps))
    start = InitialiseConfig(5000, complete_unverified=False)
    dense = make_dense(views, NO_POINTS, DenseConfig(), start, seed=0, progress=no_progress)
    assert (dense.depth_maps[1].depth[ghost] == 0).all()
    assert (dense.depth_maps[1].depth[~ghost] == depth_maps[1].depth[~ghost]).mean() > 0.95
    own_depth = views[1].camera.project(dense.gaussians.means.numpy().astype(float))[1]
    assert own_depth.min() > 1.5 * near
