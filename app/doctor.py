"""`handful doctor`: what this machine can do, and whether the way without a GPU works."""

import argparse
import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from app import threads
from app.arguments import ArgumentParser
from recon.version import program_version

EXAMPLES = ("handful doctor",)
NATIVE_PACKAGES = ("splatting", "matching", "recon")
# A draft of six photos takes 2 GB; Qt, torch and the system want their part.
ENOUGH_MEMORY_GB = 3.0
ENOUGH_DISK_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        subject: what was looked at.
        state: "ok"; "no" for what the way without a GPU does not need; "BAD" for what nothing works without.
        text: what was found, and what to do if it is not ok.
    """

    subject: str
    state: str
    text: str


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful doctor`."""
    parser = ArgumentParser(
        "handful doctor",
        description="Say what this machine can do. Exit code 0 if reconstruction on the CPU works, else 2.\n"
        + threads.HELP,
        examples=EXAMPLES,
    )
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Print the table; returns 0 if the way without a GPU works, else 2."""
    is_bad = False
    for finding in examine():
        print(f"{finding.state:>4}  {finding.subject:12} {finding.text}", flush=True)
        is_bad |= finding.state == "BAD"
    print("\nSomething that nothing works without is missing." if is_bad else "\nReconstruction on the CPU works.")
    return 2 if is_bad else 0


def examine() -> Iterator[Finding]:
    """Look at everything, the quick things first."""
    yield Finding("handful", "ok", f"{program_version()}, GPL-3.0-or-later, in {Path(__file__).parents[1]}")
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield _memory()
    yield _disk(Path.cwd())
    for package in NATIVE_PACKAGES:
        yield _native(package)
    yield from _torch()
    yield _libraries()
    yield from _weights()
    yield from _plugins()
    yield from _window()


def _memory() -> Finding:
    try:
        pages = {name: os.sysconf(name) for name in ("SC_PAGE_SIZE", "SC_PHYS_PAGES", "SC_AVPHYS_PAGES")}
    except (AttributeError, ValueError, OSError):
        return Finding("memory", "no", "this system does not tell")
    total, free = (pages["SC_PAGE_SIZE"] * pages[name] / 1e9 for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    free = _reclaimable_gb() or free
    text = f"{free:.1f} GB free of {total:.1f} GB"
    if free < ENOUGH_MEMORY_GB:
        return Finding("memory", "no", f"{text}: close other programs, {ENOUGH_MEMORY_GB:.0f} GB are safe")
    return Finding("memory", "ok", text)


def _reclaimable_gb() -> float | None:
    """Linux counts its file cache as used, but gives it back when asked."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("MemAvailable")), None)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    return Finding("disk", "ok" if free >= ENOUGH_DISK_GB else "no", f"{free:.1f} GB free in {folder}")


def _native(package: str) -> Finding:
    try:
        module = importlib.import_module(f"{package}._native")
    except ImportError as error:
        return Finding(package, "BAD", f"native kernels do not load ({error}): run 'make native' or reinstall")
    return Finding(package, "ok", f"native kernels, instruction set {_instruction_set(module)}")


def _instruction_set(module: ModuleType) -> str:
    """The set that the kernels chose when they were loaded: the fastest that this machine has."""
    if hasattr(module, "INSTRUCTION_SET"):
        return str(module.INSTRUCTION_SET)
    return str(module.instruction_sets()[0])


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding("torch", "BAD", f"does not load: {error}")
        return
    asked = "" if threads.requested_threads() is None else f", by {threads.VARIABLE}"
    yield Finding("torch", "ok", f"{torch.__version__}")
    yield Finding("threads", "ok", f"{torch.get_num_threads()}, in torch and the native kernels{asked}")
    if torch.cuda.is_available():
        yield Finding("cuda", "ok", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    else:
        built = torch.version.cuda
        text = f"torch is built for CUDA {built}, but there is no usable GPU" if built else "torch is built without it"
        yield Finding("cuda", "no", f"{text}: the CPU is used")
    yield from _rasterizers()


def _rasterizers() -> Iterator[Finding]:
    """What draws; gsplat's kernels are not compiled here, which takes minutes."""
    import torch

    from splatting.gsplat_toolchain import missing_piece

    subject = "rasterizer"
    try:
        kernels = importlib.import_module("splatting._native")
    except ImportError as error:
        yield Finding(subject, "BAD", f"cpu: does not load ({error}): run 'make native' or reinstall")
    else:
        threads_text = f"{torch.get_num_threads()} threads"
        yield Finding(subject, "ok", f"cpu: our kernels, instruction set {_instruction_set(kernels)}, {threads_text}")
    missing = missing_piece()
    if missing is None:
        yield Finding(subject, "ok", f"gsplat: {_version('gsplat')}, may compile its kernels on first use")
    else:
        yield Finding(subject, "no", f"gsplat: {missing.reason} {missing.remedy}")
    yield Finding(subject, "ok", "torch: slow, for tests; any device")


def _libraries() -> Finding:
    names = ("pycolmap", "poselib", "kornia", "opencv-python-headless", "scikit-image", "trimesh", "pillow-heif")
    versions = {name: _version(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return Finding("libraries", "BAD", f"{', '.join(missing)} missing: reinstall, or run 'make demo'")
    return Finding("libraries", "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _weights() -> Iterator[Finding]:
    from matching import weights

    for name, file in sorted(vars(weights).items()):
        if not isinstance(file, weights.WeightFile):
            continue
        try:
            weights.load(file)
        except weights.WeightsError as error:
            is_needed = file in (weights.XFEAT, weights.LIGHTERGLUE)  # of the default matcher
            yield Finding("weights", "BAD" if is_needed else "no", f"{name}: {error.message}")
        else:
            yield Finding(
                "weights", "ok", f"{name} from {file.distribution} {_version(file.distribution)}, checksum right"
            )


def _plugins() -> Iterator[Finding]:
    """Matchers of other packages; they are loaded, as a run would."""
    from matching import plugins
    from matching.weights import WeightsError

    points = plugins.installed()
    if not points:
        yield Finding("plug-ins", "no", f"no matchers beside ours (entry points in {plugins.GROUP})")
    for name, point in points.items():
        try:
            plugins.load(name, max_keypoints=64)
        except (plugins.PluginError, WeightsError) as error:
            yield Finding("plug-ins", "no", error.message)
        else:
            yield Finding("plug-ins", "ok", f"matcher {name} from {plugins.source(point)}")


def _window() -> Iterator[Finding]:
    version = _version("PyQt6")
    if version is None:
        yield Finding("window", "no", "PyQt6 is not installed; the command line does without")
        return
    try:
        importlib.import_module("PyQt6.QtOpenGLWidgets")
    except ImportError as error:
        yield Finding("window", "no", f"PyQt6 {version} does not load: {error}")
        return
    from app.gui import display_problem

    problem = display_problem()
    yield Finding("window", "no" if problem else "ok", f"PyQt6 {version}" + (f": {problem}" if problem else ""))
