"""Matchers of other packages are found by their entry points, loaded, and told from what is none."""

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from app import doctor
from matching import plugins, weights
from matching.matcher import create
from matching.plugins import PluginError
from recon.errors import ReconError
from recon.match_photos import MatchingConfig, match_photos
from tests.recon.test_match_photos import crops_of_one_wall

PACKAGE = '''
import numpy as np
from matching.types import Features, Matches


class Grid:
    """Knows that every photo moved by (60, 24) px of the full photo: a matcher of whole photos, without descriptors."""

    is_rotation_invariant = True

    def __init__(self, max_keypoints):
        self.max_keypoints = max_keypoints

    def detect(self, rgb, mask=None):
        rows, columns = np.mgrid[12 : rgb.shape[0] : 24, 12 : rgb.shape[1] : 20].reshape(2, -1)
        keypoints = np.stack([columns, rows], axis=1).astype(np.float32)
        return Features(keypoints, np.zeros((len(keypoints), 0), np.float32), np.ones(len(keypoints), np.float32),
                        rgb.shape[1], rgb.shape[0], rgb)

    def match(self, a, b):
        for step in (1, 2):
            if np.array_equal(a.rgb[24 * step :, 60 * step :], b.rgb[: -24 * step, : -60 * step]):
                places = {tuple(place): row for row, place in enumerate(b.keypoints)}
                moved = [tuple(place - np.array([60, 24]) * step) for place in a.keypoints]
                rows = [(row, places[place]) for row, place in enumerate(moved) if place in places]
                return Matches(np.array(rows, np.int64), np.ones(len(rows), np.float32))
        return Matches(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))


class Half:
    def __init__(self, max_keypoints):
        pass

    detect = None


def broken(max_keypoints):
    raise RuntimeError("no network")
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """An installed distribution `handful-grid 1.2` that brings three matchers."""
    (tmp_path / "handful_grid.py").write_text(PACKAGE)
    metadata = tmp_path / "handful_grid-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: handful-grid\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(
        "[handful.matchers]\ngrid = handful_grid:Grid\nhalf = handful_grid:Half\nbroken = handful_grid:broken\n"
        "gone = handful_grid:NotThere\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("handful_grid", None)


def test_an_installed_plug_in_is_found_without_importing_it(plugin):
    assert list(plugins.installed()) == ["broken", "gone", "grid", "half"]
    assert plugins.source(plugins.installed()["grid"]) == "handful-grid 1.2"
    assert "handful_grid" not in sys.modules


def test_a_plug_in_is_made_with_the_number_of_keypoints(plugin):
    assert create("grid", max_keypoints=99).max_keypoints == 99


def test_photos_are_matched_by_a_plug_in(plugin, tmp_path):
    (tmp_path / "photos").mkdir()
    graph = match_photos(crops_of_one_wall(tmp_path / "photos"), MatchingConfig(matcher="grid"))
    assert [pair.rejected for pair in graph.pairs] == [None] * 3
    for pair in graph.pairs:
        moved = graph.keypoints[pair.a][pair.indices[:, 0]] - graph.keypoints[pair.b][pair.indices[:, 1]]
        # 0.5 px: only matches that one geometry explains are kept, and they may be refined
        assert np.abs(moved - np.array([60, 24]) * (pair.b - pair.a)).max() < 0.5


@pytest.mark.parametrize(
    ("name", "words"),
    [("broken", "broken.*handful-grid 1.2.*no network"), ("gone", "NotThere"), ("half", "lacks detect, match")],
)
def test_a_plug_in_that_does_not_work_says_why(plugin, tmp_path, name, words):
    with pytest.raises(PluginError, match=words):
        create(name)
    with pytest.raises(ReconError, match=words):
        match_photos([], MatchingConfig(matcher=name))


def test_a_matcher_that_is_not_installed_is_refused_with_what_there_is_and_how_to_get_it(plugin):
    with pytest.raises(ValueError, match=r"fast, quality, disk, sift, union, broken, gone, grid, half, got 'roma'"):
        MatchingConfig(matcher="roma")
    with pytest.raises(ValueError, match=r"entry point in the group handful\.matchers"):
        MatchingConfig(matcher="roma")


def test_a_plug_in_cannot_take_one_of_our_names(monkeypatch):
    stolen = EntryPoint("sift", "no_such_module:Sift", plugins.GROUP)
    monkeypatch.setattr(plugins, "installed", lambda: {"sift": stolen})
    assert type(create("sift")).__module__ == "matching.sift"


def test_doctor_lists_plug_ins_and_why_one_does_not_work(plugin):
    found = {(finding.state, finding.text) for finding in doctor._plugins()}
    assert ("ok", "matcher grid from handful-grid 1.2") in found
    assert any(state == "no" and "no network" in text for state, text in found)


@pytest.mark.parametrize(("name", "state"), [("XFEAT", "BAD"), ("ALIKED", "no"), ("DISK_LIGHTGLUE", "no")])
def test_doctor_minds_missing_weights_of_the_default_matcher_only(monkeypatch, name, state):
    monkeypatch.setattr(weights, name, replace(getattr(weights, name), package="no_such_package_here"))
    found = {finding.text.split(":")[0].split(" ")[0]: finding.state for finding in doctor._weights()}
    assert found[name] == state


def test_doctor_says_that_there_are_none(monkeypatch):
    monkeypatch.setattr(plugins, "installed", dict)
    (finding,) = doctor._plugins()
    assert finding.state == "no"
    assert plugins.GROUP in finding.text
