"""Every field of the stage configs as a command-line option, laid over a preset.

Options are made from the fields' types and their metadata (`help`, `unit`, `low`, `high`): `--fit.num-iterations 500`.
"""

import argparse
import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from app.arguments import number, one_of

Config = TypeVar("Config")


@dataclass(frozen=True)
class ConfigField:
    """One value inside a tree of config dataclasses.

    Attributes:
        path: field names from the root on.
        type: as declared.
        default: in the config that it was found in.
        metadata: of the dataclass field.
    """

    path: tuple[str, ...]
    type: Any
    default: Any
    metadata: Any

    @property
    def flag(self) -> str:
        """The option: `--fit.num-iterations`."""
        return "--" + ".".join(self.path).replace("_", "-")


def config_fields(config: Any, path: tuple[str, ...] = ()) -> Iterator[ConfigField]:
    """All values of a config and of the configs inside it, in the order they are declared."""
    hints = get_type_hints(type(config))
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if dataclasses.is_dataclass(value):
            yield from config_fields(value, (*path, part.name))
        else:
            yield ConfigField((*path, part.name), hints[part.name], value, part.metadata)


def add_config_flags(parser: argparse.ArgumentParser, config: Any, *, show: bool, without: frozenset[str]) -> None:
    """Add an option for each field.

    Args:
        parser: gets one group of options for each part of the config.
        config: where types, texts and the defaults shown come from.
        show: list them in the help.
        without: options that are added elsewhere.
    """
    groups: dict[str, Any] = {}
    for item in config_fields(config):
        if item.flag in without:
            continue
        title = item.path[0] if len(item.path) > 1 else "general"
        if title not in groups:
            groups[title] = parser.add_argument_group(f"advanced options: {title}") if show else parser
        groups[title].add_argument(
            item.flag,
            dest=_destination(item),
            type=_parser_of(item.type, item.metadata),
            default=argparse.SUPPRESS,
            metavar=_metavar(item.type),
            help=_help(item) if show else argparse.SUPPRESS,
        )


def apply_config_flags(config: Config, arguments: argparse.Namespace) -> Config:
    """The config with the values that were given on the command line in place of its own.

    Raises:
        ValueError: values that do not go together; the message names the field.
    """
    for item in config_fields(config):
        if hasattr(arguments, _destination(item)):
            config = _replace(config, item.path, getattr(arguments, _destination(item)))
    return config


def _destination(item: ConfigField) -> str:
    return "config " + ".".join(item.path)  # with a space: no other option's name can be the same


def _replace(config: Any, path: tuple[str, ...], value: Any) -> Any:
    if len(path) > 1:
        value = _replace(getattr(config, path[0]), path[1:], value)
    return dataclasses.replace(config, **{path[0]: value})


def _parser_of(kind: Any, metadata: Any) -> Any:
    """The function that turns a word into a value of a field's type."""
    low, high = metadata.get("low"), metadata.get("high")
    if get_origin(kind) is Literal:
        return _literal(kind)
    if get_origin(kind) in (Union, types.UnionType):
        (inner,) = (arg for arg in get_args(kind) if arg is not type(None))
        parse = _parser_of(inner, metadata)
        return lambda text: None if text == "none" else parse(text)
    if get_origin(kind) is tuple:
        parse = _parser_of(get_args(kind)[0], metadata)
        return lambda text: tuple(parse(part) for part in text.split(","))
    if kind is bool:
        yes_or_no = one_of("yes", "no")
        return lambda text: yes_or_no(text) == "yes"
    if kind in (int, float):
        return number(kind, low, high)
    if kind is str:
        return str
    raise TypeError(f"config fields of type {kind} have no command-line form")


def _literal(kind: Any) -> Any:
    values = {str(value): value for value in get_args(kind)}
    parse = one_of(*values)
    return lambda text: values[parse(text)]


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return "|".join("none" if arg is type(None) else _metavar(arg) for arg in get_args(kind))
    if get_origin(kind) is tuple:
        return f"{_metavar(get_args(kind)[0])},..."
    return {bool: "yes|no", int: "N", float: "X", str: "NAME"}[kind]


def _help(item: ConfigField) -> str:
    facts = [item.metadata["unit"]] if item.metadata.get("unit") else []
    facts.append(f"default {_word(item.default)}")
    return f"{item.metadata.get('help', '')} ({', '.join(facts)})".replace("%", "%%")


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(_word, value))
    return "none" if value is None else str(value)
