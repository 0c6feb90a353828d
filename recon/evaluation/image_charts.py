"""Quality against CPU seconds as an SVG drawing: one row of panels per scene, number of photos and cameras."""

import math
from collections.abc import Callable, Sequence
from html import escape

from recon.evaluation.image_rows import Checkpoint, ImageRow, Strategy, mean_of
from recon.evaluation.image_table import cells

PANEL_WIDTH, PANEL_HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 34
# Okabe & Ito's palette, told apart by colour-blind readers; dashes tell them apart in print.
_STYLES: dict[Strategy, tuple[str, str]] = {
    "edgs": ("#0072b2", ""),
    "sfm": ("#e69f00", "2 3"),
    "densify": ("#d55e00", "7 3"),
}
_PANELS = (("psnr", "PSNR, dB"), ("covered_psnr", "covered PSNR, dB"), ("ssim", "SSIM"))
Points = list[tuple[float, float]]


def image_charts(rows: Sequence[ImageRow]) -> str:
    """Draw the means over seeds of PSNR, covered PSNR and SSIM at each checkpoint against CPU seconds of the fit.

    Returns:
        An SVG document; without rows an empty one.
    """
    drawn, top = [], 0.0
    for (scene, num_views, cameras), strategies in cells(rows).items():
        for column, (metric, title) in enumerate(_PANELS):
            curves = {name: _curve(own, metric) for name, own in strategies.items()}
            heading = f"{scene}, {num_views} photos, {cameras} cameras" if column == 0 else ""
            body = _panel(curves, title, heading)
            drawn.append(f'<g transform="translate({column * PANEL_WIDTH} {top:.0f})">{body}</g>')
        top += PANEL_HEIGHT
    width = PANEL_WIDTH * len(_PANELS)
    style = "text{font:11px system-ui,sans-serif;fill:#333}.axis{stroke:#888}.grid{stroke:#ddd}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {max(top, 1):.0f}" width="{width}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(drawn)}</svg>\n'
    )


def _curve(rows: Sequence[ImageRow], metric: str) -> Points:
    """Mean CPU seconds and score at each checkpoint that every finished row has."""
    done = [row for row in rows if row.last is not None]
    points = []
    for step in dict.fromkeys(own.step for row in done for own in row.checkpoints):
        at = [found for row in done if (found := row.at(step)) is not None]
        score = mean_of(done, lambda row, step=step: _score(row.at(step), metric))  # type: ignore[misc]
        if score is not None and len(at) == len(done):
            points.append((sum(own.training_cpu_s for own in at) / len(at), score))
    return points


def _score(checkpoint: Checkpoint | None, metric: str) -> float | None:
    return None if checkpoint is None else checkpoint.mean(metric)


def _panel(curves: dict[Strategy, Points], title: str, heading: str) -> str:
    points = [point for curve in curves.values() for point in curve]
    parts = [f'<text x="{LEFT}" y="{TOP - 8}" font-weight="600">{escape(heading or title)}</text>']
    if heading:
        parts.append(f'<text x="{PANEL_WIDTH - RIGHT}" y="{TOP - 8}" text-anchor="end">{escape(title)}</text>')
    if not points:
        return "".join([*parts, f'<text x="{LEFT}" y="{TOP + 20}">no result</text>'])
    x_ticks = ticks(0.0, max(x for x, _ in points))
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points))
    x_of, y_of = _scale(x_ticks, LEFT, PANEL_WIDTH - RIGHT), _scale(y_ticks, PANEL_HEIGHT - BOTTOM, TOP)
    parts += [
        f'<line class="grid" x1="{LEFT}" x2="{PANEL_WIDTH - RIGHT}" y1="{y_of(v):.1f}" y2="{y_of(v):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y_of(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in y_ticks
    ]
    parts += [
        f'<text x="{x_of(v):.1f}" y="{PANEL_HEIGHT - BOTTOM + 14}" text-anchor="middle">{v:g}</text>' for v in x_ticks
    ]
    parts.append(
        f'<text x="{PANEL_WIDTH - RIGHT}" y="{PANEL_HEIGHT - 6}" text-anchor="end">CPU seconds of the fit</text>'
    )
    for number, (name, curve) in enumerate(curves.items()):
        colour, dashes = _STYLES[name]
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in curve)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in curve]
        parts.append(
            f'<text x="{LEFT + 70 * number}" y="{PANEL_HEIGHT - 6}" style="fill:{colour}" '
            f'font-weight="600">{escape(name)}</text>'
        )
    return "".join(parts)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers that span a range, about as many as wanted."""
    span = max(high - low, 1e-9 * max(abs(high), 1.0))
    rough = span / wanted
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def _scale(span: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = span[0], span[-1]
    return lambda value: start + (value - low) / (high - low) * (end - start)
