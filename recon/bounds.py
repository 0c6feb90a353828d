"""One check for every config dataclass: its values lie where its fields say."""

import dataclasses
from typing import Any, Literal, get_args, get_origin


def check_bounds(config: Any, prefix: str = "") -> None:
    """Check all fields of a config dataclass, and of those inside it, against their declarations.

    Numbers must lie between `low` and `high` of the field's metadata, `Literal` fields hold one of their choices.

    Args:
        config: a config dataclass.
        prefix: put before field names, for nested parts: `fit.`.

    Raises:
        ValueError: names the field, its value and what it may be.
    """
    for part in dataclasses.fields(config):
        value, name = getattr(config, part.name), prefix + part.name
        if dataclasses.is_dataclass(value):
            check_bounds(value, name + ".")
        elif get_origin(part.type) is Literal and value not in get_args(part.type):
            raise ValueError(f"{name} must be one of {', '.join(map(str, get_args(part.type)))}, got {value!r}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = part.metadata.get("low"), part.metadata.get("high")
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                raise ValueError(f"{name} must lie between {low} and {high}, got {value}")
