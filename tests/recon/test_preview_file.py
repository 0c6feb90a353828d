"""The file that shows a fit while it runs."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch

from recon.preview_file import EVERY_S, MAX_SHARE, PreviewFile
from splatting.formats.ply import read_ply
from splatting.gaussians import Gaussians


def _gaussians(count: int) -> Gaussians:
    return Gaussians(
        means=torch.arange(3.0 * count).view(count, 3),
        log_scales=torch.zeros(count, 3),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        opacity_logits=torch.zeros(count),
        sh=torch.rand(count, 16, 3),
    )


def _moved(gaussians: Gaussians) -> Gaussians:
    """Somewhere else, as the project's frame is."""
    return replace(gaussians, means=gaussians.means + 1)


def test_it_comes_at_once_then_rarely_and_holds_the_gaussians_where_they_will_be_without_views(tmp_path: Path) -> None:
    time_s, given = [0.0], []
    preview = PreviewFile(tmp_path / "preview.ply", _moved, now=lambda: time_s[0])

    def current() -> Gaussians:
        given.append(time_s[0])
        return _gaussians(len(given))

    for step in range(100):
        preview(step, current)
        time_s[0] += 0.1
    assert len(given) == 5
    assert min(b - a for a, b in pairwise(given)) >= EVERY_S - 1e-9
    read = read_ply(tmp_path / "preview.ply")
    assert read.sh.shape == (5, 1, 3)
    assert torch.equal(read.means, _gaussians(5).means + 1)
    assert [file.name for file in tmp_path.iterdir()] == ["preview.ply"]


def test_on_a_slow_disk_it_takes_a_small_share_of_the_time(tmp_path: Path) -> None:
    time_s, writing_s = [0.0], 1.0
    preview = PreviewFile(tmp_path / "preview.ply", _moved, now=lambda: time_s[0])
    given = []

    def current() -> Gaussians:
        given.append(time_s[0])
        time_s[0] += writing_s
        return _gaussians(1)

    for step in range(1000):
        preview(step, current)
        time_s[0] += 0.1
    assert len(given) * writing_s <= MAX_SHARE * time_s[0] + 2 * writing_s
