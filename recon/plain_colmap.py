"""COLMAP with its defaults, to be measured against: in a process of its own, which may crash and can be killed."""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from recon.progress import Progress
from recon.undistort import DistortedCamera
from splatting.camera import Camera


@dataclass(frozen=True)
class PlainTask:
    """Photos to place, once for each variant.

    Attributes:
        photos: a folder.
        names: files in it.
        variants: the seed, and the cameras by file name whose lenses are known, or None for unknown lenses.
    """

    photos: Path
    names: tuple[str, ...]
    variants: tuple[tuple[int, Mapping[str, DistortedCamera] | None], ...]


@dataclass(frozen=True)
class PlainOutcome:
    """What COLMAP made of a variant.

    Attributes:
        cameras: pinhole part of the placed photos' cameras, by file name.
        matching_cpu_s: of features and matching, which all variants share.
        pose_cpu_s: of mapping.
        failure: why there is nothing, one sentence; None if COLMAP came to an end.
    """

    cameras: dict[str, Camera] = field(default_factory=dict)
    matching_cpu_s: float = 0.0
    pose_cpu_s: float = 0.0
    failure: str | None = None


def run_plain_colmap(task: PlainTask, progress: Progress) -> Iterator[PlainOutcome]:
    """Yield the outcome of each variant, in order, as they come.

    Args:
        task: what to do.
        progress: called four times a second; when it raises, the process is killed.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(task, sender), daemon=True)
    process.start()
    sender.close()  # ours: so that its end is noticed when the process dies
    try:
        for done in range(len(task.variants)):
            while not receiver.poll(0.25):
                progress(done, len(task.variants), f"Plain COLMAP on {len(task.names)} photos")
            try:
                yield receiver.recv()
            except EOFError:
                process.join()
                yield PlainOutcome(failure=f"COLMAP's process ended with code {process.exitcode}.")
    finally:
        process.kill()
        process.join()
        receiver.close()


def _run(task: PlainTask, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    from recon.colmap import ColmapError, map_plainly, match_plainly

    with TemporaryDirectory(prefix="handful-") as folder:
        database, started = Path(folder, "plain.db"), _cpu_seconds()
        failure = None
        try:
            match_plainly(database, task.photos, task.names)
        except ColmapError as error:
            failure = f"{error}."
        matched = _cpu_seconds()
        for number, (seed, known) in enumerate(task.variants):
            cameras, mapping_started, reason = {}, _cpu_seconds(), failure
            if failure is None:
                own = Path(folder, str(number))
                own.mkdir()
                try:
                    cameras = map_plainly(database, task.photos, own, seed=seed, known=known)
                except ColmapError as error:
                    reason = f"{error}."
            sender.send(PlainOutcome(cameras, matched - started, _cpu_seconds() - mapping_started, reason))
    sender.close()


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
