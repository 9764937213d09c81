"""Our statistics against what rliable, the paper's own implementation, computed for the same runs.

Its answers are committed with its version (`rliable_golden.py` asks it again, in an environment of its own).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtbench.results import intervals
from rtbench.results.aggregates import STATISTICS

GOLDEN = json.loads(Path(__file__).with_name("rliable_golden.json").read_text(encoding="utf-8"))
CASES = list(zip(GOLDEN["cases"], GOLDEN["answers"], strict=True))
RESAMPLES = 8_000
CLOSE = 0.03
"""Two bootstraps of thousands of resamples with other random numbers differ by no more, of scores around 1."""


def bounds(of: intervals.Estimate | None) -> list[float | None]:
    assert of is not None
    return [of.value, of.low, of.high]


def test_it_says_whose_answers_these_are() -> None:
    assert GOLDEN["versions"]["rliable"] == "1.2.0"
    assert {len(case["ours"]) for case in GOLDEN["cases"]} == {1, 3, 6}


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize(("case", "answer"), CASES)
def test_aggregates(case: dict[str, Any], answer: dict[str, Any], name: str) -> None:
    found = bounds(intervals.estimate(case["ours"], STATISTICS[name], "k", resamples=RESAMPLES))
    assert found[0] == pytest.approx(answer[name][0], abs=1e-12)
    assert found[1:] == pytest.approx(answer[name][1:], abs=CLOSE)


@pytest.mark.parametrize(("case", "answer"), CASES)
def test_probability_of_improvement(case: dict[str, Any], answer: dict[str, Any]) -> None:
    found = bounds(intervals.improvement(case["ours"], case["theirs"], "k", resamples=RESAMPLES))
    assert found[0] == pytest.approx(answer["improvement"][0], abs=1e-12)
    assert found[1:] == pytest.approx(answer["improvement"][1:], abs=CLOSE)


@pytest.mark.parametrize(("case", "answer"), CASES)
def test_performance_profiles(case: dict[str, Any], answer: dict[str, Any]) -> None:
    found = intervals.profile(case["ours"], case["thresholds"], "k", resamples=RESAMPLES)
    for at, theirs in zip(found, answer["profile"], strict=True):
        assert at.value == pytest.approx(theirs[0], abs=1e-12)
        # A share moves in steps of one run over the runs of all tasks; a percentile may fall on either side of one.
        step = 1 / sum(len(runs) for runs in case["ours"])
        assert [at.low, at.high] == pytest.approx(theirs[1:], abs=step + 1e-9)
