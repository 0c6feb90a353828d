"""What the window promises about time and memory."""

import pytest

from app.run_estimate import PRESET_WORK, Estimate, estimate, pace_of, told
from recon.config import PRESETS

# Wall seconds and MB of six banana photos on two free cores, from tests/bench/RESULTS.md.
MEASURED = {"draft": (30.6, 1145), "standard": (65.0, 1178), "best": (266.0, 1269)}


def test_the_work_of_each_preset_is_that_of_its_settings() -> None:
    assert set(PRESET_WORK) == set(PRESETS)
    for name, config in PRESETS.items():
        work = PRESET_WORK[name]
        assert work.side_px == config.working_side_px
        assert work.num_steps == config.fit.num_iterations
        assert work.num_gaussians == config.initialise.num_gaussians


@pytest.mark.parametrize("preset", list(MEASURED))
def test_six_photos_take_what_was_measured_within_a_quarter(preset: str) -> None:
    guess = estimate(6, PRESET_WORK[preset], num_cores=2)
    assert guess.seconds == pytest.approx(MEASURED[preset][0], rel=0.25)
    assert guess.memory_mb == pytest.approx(MEASURED[preset][1], rel=0.25)


def test_more_photos_take_longer_and_more_cores_less_time() -> None:
    work = PRESET_WORK["standard"]
    times = [estimate(count, work, num_cores=2).seconds for count in range(2, 21)]
    assert times == sorted(times)
    assert estimate(20, work, num_cores=8).seconds < estimate(20, work, num_cores=2).seconds
    assert estimate(6, work, num_cores=2, pace=2.0).seconds == pytest.approx(2 * times[4])


def test_a_slow_build_makes_the_next_estimate_as_slow() -> None:
    work = PRESET_WORK["draft"]
    pace = pace_of(6, work, stages_s=100.0)
    assert estimate(6, work, pace=pace).seconds == pytest.approx(104.0)


def test_a_build_beside_other_programs_is_judged_by_its_cpu_time() -> None:
    work = PRESET_WORK["draft"]
    alone = pace_of(6, work, stages_s=30.0, cpu_s=50.0)
    assert pace_of(6, work, stages_s=300.0, cpu_s=50.0) == pytest.approx(alone, rel=0.1)
    assert pace_of(6, work, stages_s=300.0, cpu_s=500.0) > 5 * alone


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(8, "about 10 s"), (50, "about 50 s"), (95, "about 1.5 min"), (268, "about 4 min"), (7200, "about 2.0 h")],
)
def test_times_are_told_no_finer_than_they_are_known(seconds: float, expected: str) -> None:
    assert told(Estimate(seconds, 1234)) == f"{expected}, 1.2 GB of memory"
