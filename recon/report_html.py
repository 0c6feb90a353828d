"""The report as one self-contained page: no scripts, nothing fetched, pictures embedded."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from recon.plan_view import plan_view
from recon.report import (
    LOW_CONFIDENCE,
    DeviceReport,
    FrameReport,
    HeldoutReport,
    PairReport,
    PhotoReport,
    Report,
    StageReport,
    ViewQuality,
)

STATUS_TEXT = {
    "complete": "Every photo was placed.",
    "partial": "There is a result, but some photos were left out.",
    "failed": "There is no result.",
    "cancelled": "Cancelled. The same command resumes where it stopped.",
}
TOTALS_TEXT = {
    "num_points": "confirmed points",
    "num_guesses": "guesses where no two photos agree",
    "num_gaussians": "Gaussians",
    "num_faces": "mesh faces",
    "texture_side_px": "px texture",
    "texture_seen_share": "of the texture seen",
    "reprojection_error_px": "px reprojection error",
    "focal_px": "px focal length",
}
STYLE_SHEET = Path(__file__).with_name("report.css")
EMBEDDED_SIDE_PX = 640  # longer side of embedded pictures: 60 of them stay below 10 MB


def report_page(report: Report, folder: Path) -> str:
    """Make the page.

    Args:
        report: what to show.
        folder: the project folder, for the pictures in `previews/`, `cameras.json` and `points.ply`; any may be absent.
    """
    pictures = Pictures(folder)
    sections = [
        _summary(report),
        _section("Scene", _scene(pictures)),
        _section("Photos", _photos(report.photos, pictures)),
        _section("Held-out photos", _heldout(report.heldout, pictures)),
        _section("Cameras from above", _cameras(report, folder)),
        _section("Pairs", _pairs(report.pairs)),
        _section("Time and memory", _stages(report.stages) + _device(report.device)),
        _section("Warnings", _list(report.warnings)),
        _section("Files", _outputs(report.outputs)),
    ]
    body = "\n".join(section for section in sections if section)
    footer = f"Handful {escape(report.program_version)} · preset {escape(report.preset)} · seed {report.seed}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Handful report</title>\n<style>\n{STYLE_SHEET.read_text('utf-8')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n"
        f"<footer>{footer}</footer>\n</main>\n</body>\n</html>\n"
    )


class Pictures:
    """Finds pictures in a project folder and embeds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def photo(self, name: str) -> str | None:
        """The thumbnail of a photo, or its undistorted image."""
        return self.embed(f"previews/photo_{Path(name).stem}.jpg") or self.embed(f"images/{name}")

    def embed(self, relative: str) -> str | None:
        """A data URI of a picture, reduced to `EMBEDDED_SIDE_PX`; None if it is absent or no picture."""
        try:
            with Image.open(self.folder / relative) as picture:
                reduced = picture.convert("RGB")
        except (OSError, UnidentifiedImageError):
            return None
        reduced.thumbnail((EMBEDDED_SIDE_PX, EMBEDDED_SIDE_PX))
        memory = io.BytesIO()
        reduced.save(memory, "JPEG", quality=85)
        return "data:image/jpeg;base64," + base64.b64encode(memory.getvalue()).decode("ascii")


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _summary(report: Report) -> str:
    placed = sum(photo.placed is True for photo in report.photos)
    lines = [f'<header class="{report.status}"><h1>Handful report</h1>']
    if report.error is not None:
        lines.append(f"<p class=verdict>{escape(report.error.message)}</p><p>{escape(report.error.hint)}</p>")
    else:
        lines.append(f"<p class=verdict>{STATUS_TEXT[report.status]}</p>")
    facts = [(f"{placed} / {len(report.photos)}", "photos placed")] if report.photos else []
    facts += [(_number(report.totals[k]), text) for k, text in TOTALS_TEXT.items() if report.totals.get(k) is not None]
    if report.heldout is not None and report.heldout.psnr is not None:
        facts.append((f"{report.heldout.psnr:.1f} dB", "on held-out photos"))
    if report.stages:
        facts.append((_duration(sum(stage.seconds for stage in report.stages)), "of work"))
    tiles = "".join(f"<li><b>{value}</b> {text}</li>" for value, text in facts)
    return "\n".join([*lines, f'<ul class="facts">{tiles}</ul></header>' if tiles else "</header>"])


def _scene(pictures: Pictures) -> str:
    found = [(text, pictures.embed(f"previews/{stem}.{ending}"))
             for stem, text in (("scene", "the splats"), ("mesh", "the mesh"))
             for ending in ("jpg", "png")]  # fmt: skip
    return _gallery((uri, escape(text), "") for text, uri in found if uri is not None)


def _photos(photos: Sequence[PhotoReport], pictures: Pictures) -> str:
    return _gallery((pictures.photo(photo.name), _photo_caption(photo), _photo_class(photo)) for photo in photos)


def _photo_class(photo: PhotoReport) -> str:
    is_doubtful = photo.confidence is not None and photo.confidence < LOW_CONFIDENCE
    return "out" if photo.placed is False else "doubtful" if is_doubtful else "heldout" if photo.is_heldout else ""


def _photo_caption(photo: PhotoReport) -> str:
    name = f"<b>{escape(photo.name)}</b>" + (" · held out" if photo.is_heldout else "")
    if photo.placed is False:
        return f'{name}<br><span class="bad">not placed</span>: {escape(_told(photo.reason, photo.hint))}'
    if photo.placed is None:
        return name
    facts = [f"{_number(photo.num_points)} points"] if photo.num_points else []
    facts += [f"{photo.error_px:.2f} px error"] if photo.error_px is not None else []
    facts += [f"focal {photo.focal_px:.0f} px"] if photo.focal_px is not None else []
    facts += [_confidence(photo.confidence)] if photo.confidence is not None else []
    return f"{name}<br>{' · '.join(facts) or 'placed'}"


def _confidence(value: float) -> str:
    """The probability that a camera is right; a low one stands out."""
    text = f"camera {_percent(value)} sure"
    return f'<span class="bad">{text}</span>' if value < LOW_CONFIDENCE else text


def _told(reason: str | None, hint: str | None) -> str:
    return " ".join(text for text in (reason, hint) if text)


def _gallery(items: Iterable[tuple[str | None, str, str]]) -> str:
    figures = []
    for uri, caption, kind in items:
        picture = f'<img src="{uri}" alt="">' if uri else '<div class="nopicture">no picture</div>'
        figures.append(f'<figure class="{kind}">{picture}<figcaption>{caption}</figcaption></figure>')
    return f'<div class="gallery">{"".join(figures)}</div>' if figures else ""


def _heldout(heldout: HeldoutReport | None, pictures: Pictures) -> str:
    if heldout is None:
        return ""
    header = "<tr><th>photo<th>PSNR<th>SSIM<th>PSNR where seen<th>share seen<th>FLIP</tr>"
    rows: list[tuple[str, HeldoutReport | ViewQuality]] = [("mean", heldout), *heldout.views.items()]
    cells = "".join(
        f"<tr><td>{escape(name)}<td>{_decimal(q.psnr, 2)}<td>{_decimal(q.ssim, 3)}"
        f"<td>{_decimal(q.covered_psnr, 2)}<td>{_percent(q.covered_share)}<td>{_decimal(q.flip, 3)}</tr>"
        for name, q in rows
    )
    pairs = []
    for name in heldout.views:
        stem = Path(name).stem
        photo, render = (pictures.embed(f"previews/heldout_{stem}_{kind}.jpg") for kind in ("photo", "render"))
        if photo and render:
            pairs += [(photo, f"<b>{escape(name)}</b>, the photo", ""), (render, "the same view, rendered", "")]
    return f'<div class="scroll"><table>{header}{cells}</table></div>' + _gallery(pairs).replace("gallery", "pairs", 1)


def _cameras(report: Report, folder: Path) -> str:
    drawing = plan_view(folder, frozenset(photo.name for photo in report.photos if photo.is_heldout))
    told = f"<p>{escape(_frame(report.frame))}</p>" if report.frame is not None else ""
    return f"{drawing}{told}" if drawing else ""


def _frame(frame: FrameReport) -> str:
    unit = "metre" if frame.unit == "m" else "no real unit"
    return f"Which way is up: {frame.up} Unit of lengths: {unit}. {frame.scale}"


def _pairs(pairs: Sequence[PairReport]) -> str:
    """A matrix of verified matches; the darker the more."""
    if not pairs:
        return ""
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    by_names = {frozenset((pair.a, pair.b)): pair for pair in pairs}
    most = max(1, *(pair.num_inliers for pair in pairs))
    header = "".join(f'<th title="{escape(name)}">{index + 1}' for index, name in enumerate(names))
    rows = []
    for index, a in enumerate(names):
        cells = "".join(_pair_cell(by_names.get(frozenset((a, b))), most) if a != b else "<td>" for b in names)
        rows.append(f'<tr><th class="name">{index + 1} {escape(a)}{cells}</tr>')
    note = "<p>Verified matches; struck through: the pair was not used.</p>"
    matrix = f'<div class="scroll"><table class="matrix"><tr><th>{header}</tr>{"".join(rows)}</table></div>{note}'
    return matrix + _rejected_pairs(pairs)


def _rejected_pairs(pairs: Sequence[PairReport]) -> str:
    """Why pairs were not used, folded away."""
    reasons = [f"{pair.a} and {pair.b}: {pair.rejected}" for pair in pairs if pair.rejected is not None]
    if not reasons:
        return ""
    return (
        f"<details><summary>Why {len(reasons)} of {len(pairs)} pairs were not used</summary>{_list(reasons)}</details>"
    )


def _pair_cell(pair: PairReport | None, most: int) -> str:
    if pair is None:
        return "<td>"
    title = f"{pair.a} and {pair.b}: {pair.num_inliers} of {pair.num_matches} matches"
    if pair.rejected is not None:
        return f'<td class="rejected" title="{escape(title)}. {escape(pair.rejected)}"><s>{pair.num_inliers}</s>'
    strength = (pair.num_inliers / most) ** 0.5
    return f'<td style="--strength:{70 * strength:.0f}%" title="{escape(title)}">{pair.num_inliers}'


def _stages(stages: Sequence[StageReport]) -> str:
    if not stages:
        return ""
    longest = max(1e-9, *(stage.seconds for stage in stages))
    rows = []
    for stage in stages:
        note = "from an earlier run" if stage.resumed else _details(stage)
        rows.append(
            f"<tr><td>{escape(stage.name)}<td>{_duration(stage.seconds)}<td>{_duration(stage.cpu_seconds)}"
            f"<td>{stage.peak_rss_mb:,.0f} MB"
            f'<td class="wide"><div class="bar" style="width:{100 * stage.seconds / longest:.1f}%"></div>'
            f"<small>{escape(note)}</small></tr>"
        )
    header = "<tr><th>stage<th>time<th>CPU time<th>peak memory<th></tr>"
    return f'<div class="scroll"><table>{header}{"".join(rows)}</table></div>'


def _device(device: DeviceReport | None) -> str:
    if device is None:
        return ""
    where = {"cpu": "the CPU", "cuda": "CUDA"}.get(device.name, device.name)
    return f"<p>Splats fitted on {escape(where)}, rasterizer {escape(device.rasterizer)}: {escape(device.reason)}</p>"


def _details(stage: StageReport) -> str:
    plain = ((k, v) for k, v in stage.details.items() if isinstance(v, int | float | str))
    return " · ".join(f"{k.replace('_', ' ')} {v if isinstance(v, str) else _number(v)}" for k, v in plain)


def _list(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}' for text in texts)}</ul>" if texts else ""


def _outputs(outputs: dict[str, str]) -> str:
    items = "".join(
        f'<li>{escape(what)}: <a href="{escape(path)}">{escape(path)}</a>' for what, path in outputs.items()
    )
    return f"<ul>{items}</ul>" if items else ""


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _decimal(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{int(seconds) // 60} min {int(seconds) % 60} s"
