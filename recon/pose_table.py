"""Markdown tables of measured poses: one line per cell, means over cells, and cells that need a look."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from recon.markdown import decimal, mean_of_present, percent, table_header, table_line
from recon.pose_rows import PoseRow

DEMANDED_SCENES = ("strecha_fountain_p11", "strecha_herz_jesus_p25", "fox")
DEMANDED_VIEWS = (3, 9)
DEMANDED_AUC_30 = 0.95
DEMANDED_GAIN = 0.4
WRONG_AUC_30 = 0.5

_COLUMNS = (
    "scene | views | lens | placed | RRA@5 | RTA@5 | AUC@5 | AUC@30 | focal error % | CPU s matching | CPU s poses "
    "| warnings | plain: placed | RRA@5 | RTA@5 | AUC@5 | AUC@30 | focal error % | CPU s"
)
_MEAN_COLUMNS = (
    "mean over | cells | placed | AUC@5 | AUC@30 | focal error % | CPU s "
    "| plain: cells | placed | AUC@5 | AUC@30 | focal error % | CPU s | AUC@30 gained"
)


@dataclass(frozen=True)
class Cell:
    """The runs of one method on one set of photos with lenses known or not, one per seed."""

    rows: tuple[PoseRow, ...]

    @property
    def name(self) -> str:
        """Scene, number of photos, lens: `fox 3 unknown`."""
        return f"{self.rows[0].scene} {self.rows[0].num_views} {self.rows[0].intrinsics}"

    def mean(self, value: Callable[[PoseRow], float | None]) -> float | None:
        """Over the runs that have the value; None if none has."""
        return mean_of_present(value(row) for row in self.rows)


def cells_of(rows: Iterable[PoseRow], method: str) -> dict[str, Cell]:
    """The cells of a method by name, in the order of their first rows."""
    grouped: dict[str, list[PoseRow]] = {}
    for row in rows:
        if row.method == method:
            grouped.setdefault(Cell((row,)).name, []).append(row)
    return {name: Cell(tuple(own)) for name, own in grouped.items()}


def is_demanded(cell: Cell) -> bool:
    """Whether the cell counts for the goal: fountain, Herz-Jesus and fox, 3 to 9 views, lenses unknown."""
    row = cell.rows[0]
    low, high = DEMANDED_VIEWS
    return row.scene in DEMANDED_SCENES and row.intrinsics == "unknown" and low <= row.num_views <= high


def wrong_without_warning(rows: Iterable[PoseRow]) -> list[PoseRow]:
    """Our rows whose placed photos are wrong while nothing was said."""
    return [
        row
        for row in rows
        if row.method == "handful"
        and row.placed_auc_30 is not None
        and row.placed_auc_30 < WRONG_AUC_30
        and not row.warnings
    ]


def report_text(rows: Sequence[PoseRow]) -> str:
    """Everything about the rows as Markdown."""
    ours, plain = cells_of(rows, "handful"), cells_of(rows, "pycolmap")
    names = list(dict.fromkeys([*ours, *plain]))
    lines = ["## Cells", "", *table_header(_COLUMNS)]
    lines += [table_line(_cell_texts(ours.get(name), plain.get(name))) for name in names]
    lines += ["", "## Means", "", *table_header(_MEAN_COLUMNS)]
    for title, chosen in _groups([*ours.values(), *plain.values()]):
        members = [name for name in names if name in chosen]
        lines.append(
            table_line(
                _mean_texts(title, [ours[n] for n in members if n in ours], [plain[n] for n in members if n in plain])
            )
        )
    return "\n".join([*lines, "", *_verdicts(rows, ours, plain)]) + "\n"


def _groups(cells: Sequence[Cell]) -> list[tuple[str, set[str]]]:
    """Titles of the means and the names of their cells; those without cells are left out."""
    tests: list[tuple[str, Callable[[Cell], bool]]] = [
        ("fountain, Herz-Jesus, fox; 3 to 9 views, unknown lenses", is_demanded),
        ("all cells", lambda cell: True),
        ("unknown lenses", lambda cell: cell.rows[0].intrinsics == "unknown"),
        ("known lenses", lambda cell: cell.rows[0].intrinsics == "known"),
    ]
    for size in sorted({cell.rows[0].num_views for cell in cells}):
        tests.append((f"{size} views", lambda cell, size=size: cell.rows[0].num_views == size))  # type: ignore[misc]
    found = [(title, {cell.name for cell in cells if test(cell)}) for title, test in tests]
    return [(title, names) for title, names in found if names]


def _cell_texts(ours: Cell | None, plain: Cell | None) -> list[str]:
    row = (ours or plain).rows[0]  # type: ignore[union-attr]
    texts = [row.scene, str(row.num_views), row.intrinsics, *_score_texts(ours)]
    if ours is None:
        texts += ["–"] * 3
    else:
        texts += [
            decimal(ours.mean(lambda r: r.matching_cpu_s), 1),
            decimal(ours.mean(lambda r: r.pose_cpu_s), 1),
            f"{fmean(len(r.warnings) for r in ours.rows):g}",
        ]
    return [*texts, *_score_texts(plain), decimal(plain.mean(_cpu_s) if plain else None, 1)]


def _score_texts(cell: Cell | None) -> list[str]:
    if cell is None:
        return ["–"] * 6
    placed = fmean(row.scores.num_placed for row in cell.rows)
    return [
        f"{placed:.3g}/{cell.rows[0].num_views}",
        decimal(cell.mean(lambda r: r.scores.rra_5), 2),
        decimal(cell.mean(lambda r: r.scores.rta_5), 2),
        decimal(cell.mean(lambda r: r.scores.auc_5), 3),
        decimal(cell.mean(lambda r: r.scores.auc_30), 3),
        decimal(cell.mean(_focal_percent), 1),
    ]


def _mean_texts(title: str, ours: Sequence[Cell], plain: Sequence[Cell]) -> list[str]:
    texts = [title]
    for cells in (ours, plain):
        texts += [
            str(len(cells)),
            percent(mean_of_present(cell.mean(lambda r: r.scores.num_placed / r.num_views) for cell in cells)),
            decimal(mean_of_present(cell.mean(lambda r: r.scores.auc_5) for cell in cells), 3),
            decimal(_mean_auc_30(cells), 3),
            decimal(mean_of_present(cell.mean(_focal_percent) for cell in cells), 1),
            decimal(mean_of_present(cell.mean(_cpu_s) for cell in cells), 1),
        ]
    return [*texts, decimal(gained(ours, plain), 3)]


def gained(ours: Iterable[Cell], plain: Iterable[Cell]) -> float | None:
    """Mean AUC@30 of ours above plain COLMAP's, over the cells that both have."""
    others = {cell.name: cell for cell in plain}
    shared = [cell for cell in ours if cell.name in others]
    mine, theirs = _mean_auc_30(shared), _mean_auc_30([others[cell.name] for cell in shared])
    return None if mine is None or theirs is None else mine - theirs


def _verdicts(rows: Sequence[PoseRow], ours: dict[str, Cell], plain: dict[str, Cell]) -> list[str]:
    demanded = [cell for cell in ours.values() if is_demanded(cell)]
    weak = [cell.name for cell in demanded if (cell.mean(_auc_30) or 0.0) < DEMANDED_AUC_30]
    wrong = [f"{Cell((row,)).name} seed {row.seed} ({row.placed_auc_30:.2f})" for row in wrong_without_warning(rows)]
    failed = [f"{Cell((r,)).name} seed {r.seed}: {r.failure}" for r in rows if r.failure and r.method == "handful"]
    lines = ["## Goals", ""]
    if demanded:
        lines.append(_goal("mean AUC@30 of the first group", _mean_auc_30(demanded), DEMANDED_AUC_30))
    if (gain := gained(ours.values(), plain.values())) is not None:
        lines.append(_goal("mean AUC@30 above plain COLMAP, all cells", gain, DEMANDED_GAIN))
    lines.append(f"- cells of the first group below {DEMANDED_AUC_30}: {', '.join(weak) or 'none'}")
    lines.append(f"- placed with AUC@30 < {WRONG_AUC_30} and no warning: {', '.join(wrong) or 'none'}")
    lines.append(f"- no result: {'; '.join(failed) or 'none'}")
    return lines


def _goal(what: str, value: float | None, least: float) -> str:
    verdict = "met" if value is not None and value >= least else "not met"
    return f"- {what}: {decimal(value, 3)}, {least} wanted: {verdict}"


def _auc_30(row: PoseRow) -> float:
    return row.scores.auc_30


def _mean_auc_30(cells: Iterable[Cell]) -> float | None:
    return mean_of_present(cell.mean(_auc_30) for cell in cells)


def _cpu_s(row: PoseRow) -> float:
    return row.matching_cpu_s + row.pose_cpu_s


def _focal_percent(row: PoseRow) -> float | None:
    return None if row.scores.focal_error is None else 100 * row.scores.focal_error
