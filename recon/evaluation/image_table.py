"""Markdown tables of measured predictions: what each strategy reaches when, and ours beside the classical way."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, stdev

from recon.evaluation.image_rows import Checkpoint, ImageRow, Strategy, mean_of
from recon.markdown import decimal, mean_of_present, percent, signed, table_header, table_line

WANTED_COVERED_DB, WANTED_SSIM = 1.0, 0.05  # of ours above the best of `densify`, mean over 3 and 6 views
WANTED_TRAINING_SHARE, WANTED_DENSE_SHARE = 0.15, 0.30  # of its CPU seconds, to pass its best SSIM
GOAL_VIEWS = (3, 6)

_METRICS = (
    ("psnr", "PSNR", 2),
    ("covered_psnr", "covered PSNR", 2),
    ("ssim", "SSIM", 3),
    ("covered_ssim", "covered SSIM", 3),
    ("flip", "FLIP", 3),
)
_TIMES = "scene | views | cameras | strategy | matching | poses | dense | fit | all"
CellKey = tuple[str, int, str]


def cells(rows: Iterable[ImageRow]) -> dict[CellKey, dict[Strategy, list[ImageRow]]]:
    """Rows by scene, number of photos and cameras, then by strategy; one row per seed, in the order that they come."""
    grouped: dict[CellKey, dict[Strategy, list[ImageRow]]] = {}
    for row in rows:
        key = (row.scene, row.num_views, row.cameras)
        grouped.setdefault(key, {}).setdefault(row.strategy, []).append(row)
    return grouped


def image_report(rows: Sequence[ImageRow]) -> str:
    """Everything about the rows as Markdown."""
    grouped = cells(rows)
    steps = sorted({own.step for row in rows for own in row.checkpoints[:-1]})
    lines = ["## Scores", "", *table_header(_score_columns(steps))]
    for key, strategies in grouped.items():
        lines += [table_line(_score_texts(key, name, own, steps)) for name, own in strategies.items()]
    lines += [
        "",
        "## CPU seconds",
        "",
        *table_header(_TIMES),
    ]
    for key, strategies in grouped.items():
        lines += [table_line(_time_texts(key, name, own)) for name, own in strategies.items()]
    compared = [found for key, strategies in grouped.items() if (found := _comparison(key, strategies)) is not None]
    if compared:
        lines += ["", "## Ours beside the best of densify", "", *table_header(_COMPARED)]
        lines += [table_line(found.texts()) for found in compared]
        lines += ["", "## Goals", "", *_goals(compared)]
    return "\n".join([*lines, "", *_failures(rows)]) + "\n"


def _score_columns(steps: Sequence[int]) -> str:
    at = " / ".join([*map(str, steps), "last"])
    return (
        "scene | views | cameras | strategy | seeds | Gaussians | steps | "
        + " | ".join(f"{title} at {at}" for _, title, _ in _METRICS)
        + " | covered"
    )


def _score_texts(key: CellKey, name: str, rows: Sequence[ImageRow], steps: Sequence[int]) -> list[str]:
    last = [row.last for row in rows if row.last is not None]
    texts = [*map(str, key), name, str(len(last))]
    if not last:
        return [*texts, *["–"] * (3 + len(_METRICS))]
    texts += [f"{fmean(own.num_gaussians for own in last):,.0f}", str(last[0].step)]
    for metric, _, digits in _METRICS:
        at_steps = [mean_of(rows, _value_at(step, metric)) for step in steps]
        shown = [decimal(value, digits) for value in at_steps]
        texts.append(" / ".join([*shown, _spread([own.mean(metric) for own in last], digits)]))
    share = [value for own in last if (value := own.mean("covered_share")) is not None]
    return [*texts, f"{fmean(share):.0%}" if share else "–"]


def _value_at(step: int, metric: str) -> Callable[[ImageRow], float | None]:
    def value(row: ImageRow) -> float | None:
        found = row.at(step)
        return None if found is None else found.mean(metric)

    return value


def _time_texts(key: CellKey, name: str, rows: Sequence[ImageRow]) -> list[str]:
    done = [row for row in rows if row.last is not None]
    values = [
        mean_of(done, lambda row: row.matching_cpu_s),
        mean_of(done, lambda row: row.pose_cpu_s),
        mean_of(done, lambda row: row.dense_cpu_s),
        mean_of(done, _training_s),
        mean_of(done, lambda row: row.preparation_cpu_s + (_training_s(row) or 0.0)),
    ]
    return [*map(str, key), name, *(decimal(value, 1) for value in values)]


def _training_s(row: ImageRow) -> float | None:
    return None if row.last is None else row.last.training_cpu_s


_COMPARED = (
    "scene | views | cameras | seeds | PSNR | covered PSNR | SSIM | passes its SSIM at step "
    "| CPU s of the fit till then | share of its CPU s | with dense depth"
)


class Comparison:
    """Ours at the end of its fit beside the best that `densify` reached at any checkpoint, mean over shared seeds."""

    def __init__(self, key: CellKey, pairs: Sequence[tuple[ImageRow, ImageRow]]) -> None:
        self.key, self.num_seeds = key, len(pairs)
        self.psnr, self.covered_psnr, self.ssim = (_gain(pairs, name) for name in ("psnr", "covered_psnr", "ssim"))
        passes = [_passing(ours, other) for ours, other in pairs]
        # A cell in which one seed never passes has not passed.
        has_passed = all(found is not None for found in passes)
        found = [own for own in passes if own is not None] if has_passed else []
        self.step = fmean(own[0].step for own in found) if found else None
        self.training_s = fmean(own[0].training_cpu_s for own in found) if found else None
        self.training_share = fmean(own[1] for own in found) if found else None
        self.dense_share = fmean(own[2] for own in found) if found else None

    def texts(self) -> list[str]:
        """The cells of the table's line."""
        never = "never" if self.step is None else f"{self.step:.0f}"
        return [
            *map(str, self.key),
            str(self.num_seeds),
            signed(self.psnr, 2),
            signed(self.covered_psnr, 2),
            signed(self.ssim, 3),
            never,
            decimal(self.training_s, 1),
            percent(self.training_share),
            percent(self.dense_share),
        ]


def _comparison(key: CellKey, strategies: dict[Strategy, list[ImageRow]]) -> Comparison | None:
    others = {row.seed: row for row in strategies.get("densify", []) if row.last is not None}
    pairs = [
        (row, others[row.seed]) for row in strategies.get("edgs", []) if row.last is not None and row.seed in others
    ]
    return Comparison(key, pairs) if pairs else None


def _gain(pairs: Sequence[tuple[ImageRow, ImageRow]], metric: str) -> float | None:
    """Mean of our last value above the other's best."""
    gains = []
    for ours, other in pairs:
        assert ours.last is not None
        mine, best = ours.last.mean(metric), other.best(metric)
        if mine is not None and best is not None:
            gains.append(mine - best)
    return fmean(gains) if gains else None


def _passing(ours: ImageRow, other: ImageRow) -> tuple[Checkpoint, float, float] | None:
    """Our first checkpoint with its best SSIM or more, and what it took.

    As shares of the CPU seconds of its fit until there: those of our fit, and those with dense depth.
    """
    best = other.best("ssim")
    if best is None:
        return None
    at_best = next(own for own in other.checkpoints if own.mean("ssim") == best)
    passing = next((own for own in ours.checkpoints if (own.mean("ssim") or 0.0) >= best), None)
    if passing is None:
        return None
    theirs = max(at_best.training_cpu_s, 1e-9)
    return passing, passing.training_cpu_s / theirs, (passing.training_cpu_s + ours.dense_cpu_s) / theirs


def _goals(compared: Sequence[Comparison]) -> list[str]:
    few = [cell for cell in compared if cell.key[1] in GOAL_VIEWS]
    if not few:
        return ["- no cells of 3 or 6 views"]
    below = [" ".join(map(str, cell.key)) for cell in compared if cell.psnr is not None and cell.psnr < 0]
    return [
        _goal(
            "covered PSNR above, 3 and 6 views",
            mean_of_present(cell.covered_psnr for cell in few),
            WANTED_COVERED_DB,
            2,
        ),
        _goal("SSIM above, 3 and 6 views", mean_of_present(cell.ssim for cell in few), WANTED_SSIM, 3),
        f"- cells with full-frame PSNR below: {', '.join(below) or 'none'}",
        _limit("share of its CPU to pass its best SSIM", few, lambda cell: cell.training_share, WANTED_TRAINING_SHARE),
        _limit("the same with dense depth", few, lambda cell: cell.dense_share, WANTED_DENSE_SHARE),
    ]


def _goal(what: str, value: float | None, least: float, digits: int) -> str:
    verdict = "met" if value is not None and value >= least else "not met"
    return f"- {what}: {signed(value, digits)}, {least:+g} wanted: {verdict}"


def _limit(what: str, cells_of: Sequence[Comparison], value: Callable[[Comparison], float | None], most: float) -> str:
    found = [value(cell) for cell in cells_of]
    never = sum(share is None for share in found)
    mean = mean_of_present(found)
    verdict = "met" if mean is not None and mean <= most and never == 0 else "not met"
    return f"- {what}: {percent(mean)}, at most {most:.0%} wanted, {never} of {len(found)} cells never pass: {verdict}"


def _failures(rows: Sequence[ImageRow]) -> list[str]:
    said = [
        f"{row.scene} {row.num_views} {row.cameras} {row.strategy} seed {row.seed}: {text}"
        for row in rows
        for text in ([row.failure] if row.failure else row.warnings)
    ]
    return ["## What was said", "", *(f"- {text}" for text in said)] if said else []


def _spread(values: Sequence[float | None], digits: int) -> str:
    """Mean, and the standard deviation where there are several."""
    present = [value for value in values if value is not None]
    if not present:
        return "–"
    spread = f" ± {stdev(present):.{digits}f}" if len(present) > 1 else ""
    return f"**{fmean(present):.{digits}f}**{spread}"
