"""HANDFUL_THREADS: what it accepts, and that torch and the kernels follow it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.threads import limit_threads, requested_threads
from recon.errors import ReconError

ROOT = Path(__file__).parents[2]


def run_python(*arguments: str, threads: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HANDFUL_THREADS": threads}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def test_without_the_variable_nothing_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDFUL_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    limit_threads()
    assert requested_threads() is None
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("text", ["", "0", "-1", "2.5", "two", "513", "²"])
def test_what_is_no_number_of_threads_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDFUL_THREADS", text)
    with pytest.raises(ReconError, match="from 1 to 512"):
        requested_threads()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_torch_and_the_kernels_take_as_many_threads_in_every_thread(threads: str) -> None:
    code = """
from app.threads import limit_threads
limit_threads()
import threading, torch
from recon import fusion
def show(): print(torch.get_num_threads(), fusion.num_threads())
show()
other = threading.Thread(target=show)
other.start()
other.join()
"""
    done = run_python("-c", code, threads=threads)
    assert done.stdout.split() == [threads] * 4, done.stderr


def test_a_command_refuses_a_wrong_number_with_a_sentence_and_a_hint() -> None:
    done = run_python("-P", "-m", "app", "doctor", threads="many")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: HANDFUL_THREADS must be a whole number from 1 to 512, not 'many'.\nHint: ")


def test_doctor_says_how_many_and_its_help_how_to_choose() -> None:
    assert "1, in torch and the native kernels, by HANDFUL_THREADS" in run_python(
        "-P", "-m", "app", "doctor", threads="1"
    ).stdout.replace("  ", " ")
    assert "HANDFUL_THREADS" in run_python("-P", "-m", "app", "doctor", "--help", threads="1").stdout
