"""Options made from config dataclasses: parsed to the field's type, laid over a preset, refused in a sentence."""

from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from app.arguments import ArgumentParser
from app.config_flags import add_config_flags, apply_config_flags, config_fields


@dataclass(frozen=True)
class Inner:
    num_steps: int = field(default=5, metadata={"help": "how many 100%", "unit": "steps", "low": 1, "high": 9})
    is_fast: bool = field(default=True, metadata={"help": "hurry"})

    def __post_init__(self) -> None:
        if self.num_steps == 9 and not self.is_fast:
            raise ValueError("inner.num_steps must be below 9 unless is_fast")


@dataclass(frozen=True)
class Outer:
    rate: float = field(default=0.5, metadata={"low": 0.0})
    kind: Literal["round", "flat"] = "round"
    limit_px: int | None = None
    sizes: tuple[float, ...] = (1.0, 2.0)
    inner: Inner = field(default_factory=Inner)


def _parse(*words: str, base: Outer | None = None) -> Outer:
    base = base or Outer()
    parser = ArgumentParser("program", description="")
    add_config_flags(parser, base, show=True, without=frozenset())
    return apply_config_flags(base, parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Outer()),
        (("--rate", "1e-3"), Outer(rate=0.001)),
        (("--kind", "flat"), Outer(kind="flat")),
        (("--limit-px", "7"), Outer(limit_px=7)),
        (("--sizes", "3,4.5"), Outer(sizes=(3.0, 4.5))),
        (("--inner.num-steps", "9", "--inner.is-fast", "yes"), Outer(inner=Inner(9))),
    ],
)
def test_words_become_values_of_the_field(words: tuple[str, ...], expected: Outer) -> None:
    assert _parse(*words) == expected


def test_only_what_was_given_replaces_the_preset() -> None:
    preset = Outer(rate=0.9, limit_px=3, inner=Inner(is_fast=False))
    assert _parse("--inner.num-steps", "2", base=preset) == replace(preset, inner=Inner(2, is_fast=False))
    assert _parse("--limit-px", "none", base=preset).limit_px is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--inner.num-steps", "0"), "--inner.num-steps must lie between 1 and 9, not 0"),
        (("--inner.num-steps", "2.5"), "--inner.num-steps must be a whole number, not '2.5'"),
        (("--rate", "-1"), "--rate must be 0 or more, not -1"),
        (("--rate", "nan"), "--rate must be 0 or more, not nan"),
        (("--kind", "square"), "--kind must be round or flat, not 'square'"),
        (("--inner.is-fast", "maybe"), "--inner.is-fast must be yes or no, not 'maybe'"),
        (("--rat", "1"), "Unrecognized arguments: --rat 1"),
        (("--rate",), "--rate needs a value"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        _parse(*words)
    assert leaving.value.code == 2
    assert capsys.readouterr().err == f"Error: {sentence}.\nHint: See program --help.\n"


def test_what_does_not_go_together_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="is_fast"):
        _parse("--inner.num-steps", "9", "--inner.is-fast", "no")


def test_help_shows_text_unit_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "how many 100% (steps, default 5)" in text
    assert "hurry (default yes)" in text


def test_a_field_without_a_form_on_the_command_line_is_our_own_mistake() -> None:
    @dataclass(frozen=True)
    class Odd:
        table: dict = field(default_factory=dict)

    parser = ArgumentParser("program", description="")
    with pytest.raises(TypeError, match="no command-line form"):
        add_config_flags(parser, Odd(), show=False, without=frozenset())


def test_every_option_of_the_program_says_what_it_is() -> None:
    from recon.config import PRESETS

    lacking = [item.flag for item in config_fields(PRESETS["standard"]) if not item.metadata.get("help")]
    assert lacking == []


def test_every_field_of_every_preset_has_an_option() -> None:
    from recon.config import PRESETS

    for preset in PRESETS.values():
        add_config_flags(ArgumentParser("program", description=""), preset, show=True, without=frozenset())
