"""Tables in Markdown: numbers as text, header and lines."""

from collections.abc import Iterable
from statistics import fmean

MISSING = "–"


def mean_of_present(values: Iterable[float | None]) -> float | None:
    """Mean of the values that there are; None without any."""
    present = [value for value in values if value is not None]
    return fmean(present) if present else None


def decimal(value: float | None, digits: int) -> str:
    """A number with so many digits after the point, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int) -> str:
    """The same with its sign, plus included."""
    return MISSING if value is None else f"{value:+.{digits}f}"


def percent(value: float | None) -> str:
    """A share as whole percents, or a dash."""
    return MISSING if value is None else f"{value:.0%}"


def table_header(columns: str) -> list[str]:
    """The two first lines of a table whose columns are given as `a | b | c`."""
    return [f"| {columns} |", "|" + "---|" * len(columns.split("|"))]


def table_line(texts: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(texts) + " |"
