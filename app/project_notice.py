"""What the window tells its user beside what it shows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """Something to tell: a sentence, what to do about it, details for those who ask."""

    message: str
    hint: str = ""
    details: str = ""
    is_error: bool = True
