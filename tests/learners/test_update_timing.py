"""Measured updates and inferences as rows; what does not fit is said before it is tried."""

from __future__ import annotations

import pytest
from helpers.cells import interaction

from rtbench.cell import Budget, Cell, RunBatch
from rtbench.learners.update_timing_program import learners_needed
from rtbench.plugins import build, use
from rtbench.realtime.alone import alone


def cell(params=None, architecture=("cnn", {"channels": [3, 4, 3], "width": 12}), met=None):
    return Cell(
        use("environments", "minatar", {"game": "breakout"}),
        use("architectures", *architecture),
        met or interaction("sequential", 0.0, clock="wall"),
        use("learners", "update-timing", {"calls": 4} | (params or {})),
        use("backends", "eager"),
        Budget(1, "env_steps", 1, 1, 1),
    )


def test_learners_needed_by_hand():
    """98 ms for 16 transitions at 60 Hz: 6.1 ms each, less than a step of 16.7 ms; 40 s: 150 learners."""
    assert learners_needed(0.098, 16, 1 / 60) == 1
    assert learners_needed(40.0, 16, 1 / 60) == 150
    assert learners_needed(0.0168, 1, 1 / 60) == 2


@pytest.mark.parametrize("measures", ["update", "inference"])
def test_a_row_of_times(measures):
    program = build((given := cell({"measures": measures})).learner).make(RunBatch(given, (0, 1)))
    calls = 0
    while not program.done:
        program.advance()
        calls += 1
    assert calls >= 8  # more if a run elsewhere on this machine had to be waited for
    for outcome in program.outcomes():
        assert outcome.extras["rtbench/calls"] == 4
        assert outcome.extras["rtbench/parameters"] == outcome.columns["parameters"]
        if measures == "update":
            assert outcome.extras["rtbench/update_time_s"] <= outcome.extras["rtbench/update_time_max_s"]
            each = outcome.extras["rtbench/update_time_s"] / 16
            assert outcome.extras["rtbench/transition_time_s"] == pytest.approx(each)
        else:
            assert 0 < outcome.columns["inference_time_p50_s"] <= outcome.columns["inference_time_max_s"]


def test_what_cannot_be_measured():
    def reason(given):
        return build(given.learner).supports(given)

    assert reason(cell()) is None
    assert "clock = 'wall'" in reason(cell(met=interaction("instant", 0.0)))
    assert "at least 3" in reason(cell({"calls": 2}))
    wide = ("cnn", {"channels": [3, 4, 3], "width": 400_000_000})
    assert "learning with batches of 16 does not fit" in reason(cell(architecture=wide))
    assert "inference does not fit" in reason(cell({"measures": "inference"}, wide))


def test_it_lets_others_finish_first_and_stays_answerable():
    program = build((given := cell()).learner).make(RunBatch(given, (0,)))
    with alone():
        program.advance()
        assert program._found == [[]]
    program.advance()
    assert len(program._found[0]) == 1
