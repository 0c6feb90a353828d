from dataclasses import replace
from pathlib import Path

import pytest

from recon.errors import ReconError
from recon.pose_metrics import PoseScores
from recon.pose_rows import PairFinding, PoseRow, read_rows, write_rows
from recon.pose_table import Cell, cells_of, gained, is_demanded, report_text, wrong_without_warning


def row(scene: str = "fox", num_views: int = 3, auc_30: float = 0.9, **changes: object) -> PoseRow:
    """A row with all photos placed."""
    scores = PoseScores(num_views, num_views, 1, 1, 1, 1, auc_30 / 2, auc_30, auc_30, 0.02, 0.01)
    fields: dict = {"intrinsics": "unknown", "seed": 0, "method": "handful"} | changes
    made = PoseRow(
        scene=scene,
        num_views=num_views,
        settings="x",
        scores=scores,
        placed_auc_30=auc_30,
        focal_ratio=1.02,
        matching_cpu_s=4.0,
        pose_cpu_s=1.0,
        **{key: fields.pop(key) for key in ("intrinsics", "seed", "method")},
    )
    return replace(made, **fields)


def plain(**changes: object) -> PoseRow:
    return row(**{"method": "pycolmap"} | changes)  # type: ignore[arg-type]


def table_lines(text: str, heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its two lines of header."""
    part = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = [
        row(
            pairs=(PairFinding("a", "b", 100, 80, 0.1, None),),
            unplaced=(("c", "It has no matches."),),
            warnings=("Odd.",),
        ),
        plain(failure="COLMAP failed.", placed_auc_30=None, focal_ratio=None),
    ]
    write_rows(rows, tmp_path / "rows.json")
    assert read_rows(tmp_path / "rows.json") == rows
    assert read_rows(tmp_path / "absent.json") == []


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": [{}]}', '{"rows": [3]}'])
def test_damaged_rows_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(ReconError, match="does not hold pose measurements"):
        read_rows(tmp_path / "rows.json")


def test_seeds_are_averaged_within_a_cell_before_cells_are_averaged() -> None:
    """Two seeds of fox (.5, 1) and one of another scene (.25) have the mean (.75 + .25) / 2, not .583."""
    rows = [row(auc_30=0.5), row(auc_30=1.0, seed=1), row(scene="lego", auc_30=0.25)]
    means = table_lines(report_text(rows), "Means")
    everything = next(line for line in means if line[0] == "all cells")
    assert everything[1] == "2"
    assert everything[4] == "0.500"
    assert everything[3] == "0.250"
    assert everything[6] == "5.0"


def test_the_gain_counts_only_cells_that_both_methods_ran() -> None:
    ours = cells_of([row(auc_30=0.9), row(scene="lego", auc_30=0.1)], "handful")
    theirs = cells_of([plain(auc_30=0.4)], "pycolmap")
    assert gained(ours.values(), theirs.values()) == pytest.approx(0.5)
    assert gained(ours.values(), []) is None


def test_the_demanded_cells_are_three_scenes_at_3_to_9_views_with_unknown_lenses() -> None:
    assert is_demanded(Cell((row(),)))
    assert is_demanded(Cell((row("strecha_herz_jesus_p25", 9),)))
    assert not is_demanded(Cell((row(num_views=12),)))
    assert not is_demanded(Cell((row(intrinsics="known"),)))
    assert not is_demanded(Cell((row("nerf_synthetic_lego"),)))


def test_wrong_cameras_without_a_word_are_named() -> None:
    silent = row(placed_auc_30=0.3)
    rows = [row(), silent, row(seed=1, placed_auc_30=0.3, warnings=("Doubtful.",)), plain(placed_auc_30=0.1)]
    assert wrong_without_warning(rows) == [silent]
    assert "no warning: fox 3 unknown seed 0 (0.30)" in report_text(rows)


def test_every_line_of_the_tables_has_as_many_cells_as_its_header() -> None:
    rows = [row(), plain(failure="It failed.", placed_auc_30=None), row("lego", 4), plain(scene="flower", num_views=6)]
    for heading, expected in (("Cells", 3), ("Means", 6)):
        header, _, *lines = table_lines(report_text(rows), heading)
        assert len(lines) == expected  # means: demanded, all, unknown, three sizes
        assert {len(line) for line in lines} == {len(header)}


def test_goals_are_judged_and_weak_cells_named() -> None:
    text = report_text(
        [row(auc_30=0.99), row(num_views=4, auc_30=0.9), plain(auc_30=0.1), plain(num_views=4, auc_30=0.8)]
    )
    assert "first group: 0.945, 0.95 wanted: not met" in text
    assert "above plain COLMAP, all cells: 0.495, 0.4 wanted: met" in text
    assert "below 0.95: fox 4 unknown" in text


def test_a_failure_of_ours_is_told_and_counts_as_nothing_placed() -> None:
    failed = row(failure="No pair of photos matches.", placed_auc_30=None, focal_ratio=None)
    failed = replace(failed, scores=PoseScores(3, 0, 0, 0, 0, 0, 0, 0, 0, None, None))
    text = report_text([failed])
    assert "no result: fox 3 unknown seed 0: No pair of photos matches." in text
    assert table_lines(text, "Cells")[2][3:9] == ["0/3", "0.00", "0.00", "0.000", "0.000", "–"]
