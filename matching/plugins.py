"""Matchers that other packages bring, such as RoMa or LoFTR, found by their entry points.

A package offers one in its own metadata, under the name that people then give to `--matcher`:

    [project.entry-points."handful.matchers"]
    roma = "handful_roma:RomaMatcher"

The object named is called with `max_keypoints=N` and returns a `matching.matcher.SparseMatcher`. Matchers of whole
photos, which have no keypoints of their own, put a grid of them into `Features` and keep the photo there. Where their
weights come from is theirs to say, by a `matching.weights.WeightsError`; we fetch nothing.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from matching.weights import WeightsError

if TYPE_CHECKING:
    from matching.matcher import SparseMatcher

GROUP = "handful.matchers"
"""The entry-point group that plug-ins join."""

_METHODS = ("detect", "match")


class PluginError(Exception):
    """An installed plug-in does not work; the message says which and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def installed() -> dict[str, EntryPoint]:
    """Plug-ins by name, in the order of their names; none of them is imported."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def source(point: EntryPoint) -> str:
    """The distribution and version that a plug-in comes from: `handful-roma 1.0`."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.module


def load(name: str, *, max_keypoints: int) -> "SparseMatcher":
    """Import a plug-in and make its matcher.

    Raises:
        PluginError: it is not installed, cannot be imported or made, or is not a matcher.
        matching.weights.WeightsError: raised by the plug-in.
    """
    points = installed()
    if name not in points:
        raise PluginError(f"There is no plug-in {name!r}; installed are: {', '.join(points) or 'none'}.")
    origin = source(points[name])
    try:
        matcher = points[name].load()(max_keypoints=max_keypoints)
    except WeightsError:
        raise
    except Exception as error:  # code that is not ours may raise anything
        raise PluginError(f"The matcher {name!r} of {origin} does not load: {error}") from error
    lacking = [method for method in _METHODS if not callable(getattr(matcher, method, None))]
    if lacking or not isinstance(getattr(matcher, "is_rotation_invariant", None), bool):
        what = ", ".join(lacking) or "is_rotation_invariant"
        raise PluginError(f"The matcher {name!r} of {origin} is not one: it lacks {what}.")
    return matcher
