"""The kernels' own threads: called at once, in forked children, by more threads than there are cores."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from splatting import _native

ROOT = Path(__file__).parents[2]
MANY_THREADS = 32  # more than the cores of most machines, and than the picture has sixteenths


def loss_and_gradient(seed: int, threads: int) -> tuple[float, np.ndarray]:
    """A picture large enough for the threads to meet: about 1 ms of work."""
    random = np.random.default_rng(seed)
    rgb, target = random.random((2, 64, 64, 3), dtype=np.float32)
    gradient = np.empty_like(rgb)
    return _native.photometric_loss(rgb, target, None, 0.2, gradient, threads), gradient


def is_as_alone(seed: int, threads: int) -> bool:
    (value, gradient), (expected, expected_gradient) = loss_and_gradient(seed, threads), loss_and_gradient(seed, 1)
    return value == expected and np.array_equal(gradient, expected_gradient)


def test_more_threads_than_cores_change_nothing() -> None:
    assert all(is_as_alone(seed, MANY_THREADS) for seed in range(20))


def test_python_threads_that_call_at_once_get_their_own_results() -> None:
    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(lambda seed: is_as_alone(seed, 1 + seed % 5), range(60)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_forked_while_loops_run_can_run_their_own() -> None:
    context = multiprocessing.get_context("fork")
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(lambda: all(is_as_alone(seed, 3) for seed in range(60)))
        for seed in range(5):
            child = context.Process(target=lambda: os._exit(0 if is_as_alone(seed, 3) else 1))  # noqa: B023
            child.start()
            child.join(30)
            assert child.exitcode == 0
        assert running.result()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not list a process's threads")
@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_threads_work_as_the_environment_allows(threads: int) -> None:
    code = """
from app.threads import limit_threads
limit_threads()
import os, torch
from splatting.losses import photometric_loss
def num_threads(): return len(os.listdir("/proc/self/task"))
pictures = torch.zeros(2, 40, 30, 3)
before = num_threads()
photometric_loss(*pictures)
print(1 + num_threads() - before)
torch.set_num_threads(1)
photometric_loss(*pictures)
print(1 + num_threads() - before)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HANDFUL_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [str(threads)] * 2, done.stderr


def test_the_interpreter_ends_while_threads_sleep_or_look_for_work() -> None:
    code = """
import numpy as np
from splatting import _native
_native.photometric_loss(*np.zeros((2, 64, 64, 3), np.float32), None, 0.2, None, 8)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")


def test_the_pool_keeps_its_promises(tmp_path: Path) -> None:
    """Exceptions, nested loops, starting and forking, in C++; see `thread_pool_check.cpp`."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    sources = [ROOT / "tests/splatting/thread_pool_check.cpp", ROOT / "splatting/native/thread_pool.cpp"]
    program = tmp_path / "check"
    subprocess.run([compiler, "-std=c++20", "-O0", "-pthread", *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
