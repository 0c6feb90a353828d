"""A config outside its declared bounds does not exist."""

import dataclasses

import pytest

from recon.config import PRESETS, ReconConfig
from splatting.fit import FitConfig


def test_presets_are_within_their_bounds_and_ordered_by_effort() -> None:
    steps = [PRESETS[name].fit.num_iterations for name in ("draft", "standard", "best")]
    assert steps == sorted(steps)
    assert PRESETS["best"].working_side_px >= 1024


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"working_side_px": 3}, "working_side_px"),
        ({"device": "tpu"}, "device"),
        ({"fit": FitConfig(num_iterations=-5)}, "fit.num_iterations"),
        ({"fit": FitConfig(dropout=float("nan"))}, "fit.dropout"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ReconConfig(**changes)  # type: ignore[arg-type]


def test_every_numeric_field_says_what_it_may_be_and_every_field_has_help() -> None:
    def fields_of(config: object, prefix: str = "") -> list[tuple[str, dataclasses.Field, object]]:  # type: ignore[type-arg]
        found = []
        for part in dataclasses.fields(config):  # type: ignore[arg-type]
            value = getattr(config, part.name)
            if dataclasses.is_dataclass(value):
                found += fields_of(value, prefix + part.name + ".")
            else:
                found.append((prefix + part.name, part, value))
        return found

    for name, part, value in fields_of(ReconConfig()):
        assert part.metadata.get("help"), name
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert {"low", "high"} <= set(part.metadata), name
