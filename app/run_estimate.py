"""How long a build takes on this machine and how much memory: a formula of photos, pixels and steps.

Constants are CPU seconds of the six banana photos on two cores (tests/bench/RESULTS.md, "Six photos after the faster
rasterizer" and "Draft"): they hold within a third for other photos of ordinary size. A finished run of this machine
sets the pace of the next estimate.
"""

import os
from dataclasses import dataclass

# CPU seconds that use all cores: features of a photo, a pair, stereo of a photo at 640 px, a step of the fit with
# 80,000 Gaussians at 640 px, and the mesh of a photo.
_PHOTO_S, _PAIR_S, _STEREO_S, _STEP_S, _MESH_S = 0.5, 0.85, 1.35, 0.072, 0.75
# Seconds on one core: loading the program, and the cameras per square of the number of photos.
_START_S, _CAMERAS_S = 4.0, 0.05
_USED_SHARE = 0.92  # of two cores: 106 CPU seconds in 65 - start - cameras
_BASE_MB, _PHOTO_MB, _GAUSSIAN_MB = 1060, 12, 0.0008


@dataclass(frozen=True)
class Work:
    """What of a preset decides how long it takes: side in px, steps of the fit, number of Gaussians."""

    side_px: int
    num_steps: int
    num_gaussians: int


@dataclass(frozen=True)
class Estimate:
    """Seconds and MB that a build will take, roughly."""

    seconds: float
    memory_mb: float


# Those of recon.config.PRESETS, which loads torch; a test holds them together.
PRESET_WORK = {
    "draft": Work(640, 250, 80_000),
    "standard": Work(640, 1000, 120_000),
    "best": Work(1024, 2000, 250_000),
}


def estimate(num_photos: int, work: Work, *, num_cores: int | None = None, pace: float = 1.0) -> Estimate:
    """Estimate a build from nothing.

    Args:
        num_photos: that are used.
        work: of the preset.
        num_cores: None: those of this machine.
        pace: how much longer this machine takes than the formula says.
    """
    cores = num_cores or os.cpu_count() or 1
    alone, shared = _cpu_seconds(num_photos, work)
    memory = _BASE_MB + _PHOTO_MB * num_photos * (work.side_px / 640) ** 2 + _GAUSSIAN_MB * work.num_gaussians
    return Estimate((alone + shared / max(_USED_SHARE * cores, 1)) * pace, memory)


def pace_of(num_photos: int, work: Work, stages_s: float, cpu_s: float | None = None) -> float:
    """The pace of this machine, from the seconds of all stages of a build; those of an earlier run count too.

    Limited to 0.1 to 20: what lies outside was measured while the machine slept.

    Args:
        num_photos: that were used.
        work: of the preset.
        stages_s: on the wall.
        cpu_s: CPU time, if all was computed there. Other programs stretch the time on the wall but not this one: the
            quicker of both paces counts.
    """
    paces = [(stages_s + _START_S) / estimate(num_photos, work).seconds]
    if cpu_s is not None:
        paces.append((cpu_s + _START_S) / sum(_cpu_seconds(num_photos, work)))
    return min(max(min(paces), 0.1), 20.0)


def _cpu_seconds(num_photos: int, work: Work) -> tuple[float, float]:
    """What one core does alone, and what all cores share."""
    pixels = (work.side_px / 640) ** 2
    pairs = num_photos * (num_photos - 1) / 2
    step = _STEP_S * (0.35 * work.num_gaussians / 80_000 + 0.65 * pixels)
    shared = _PHOTO_S * num_photos + _PAIR_S * pairs + num_photos * pixels * (_STEREO_S + _MESH_S)
    return _START_S + _CAMERAS_S * num_photos**2, shared + work.num_steps * step


def told(value: Estimate) -> str:
    """For people: "about 1 min, 1.2 GB"."""
    minutes = value.seconds / 60
    if minutes < 0.9:
        time = f"{max(10, round(value.seconds / 10) * 10)} s"
    elif minutes < 90:
        time = f"{round(minutes)} min" if minutes >= 3 else f"{round(2 * minutes) / 2:g} min"
    else:
        time = f"{minutes / 60:.1f} h"
    return f"about {time}, {value.memory_mb / 1000:.1f} GB of memory"
