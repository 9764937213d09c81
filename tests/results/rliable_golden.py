"""What rliable computes for the cases of rliable_golden.json; `tox -e rliable` compares, --write renews the file.

rliable is the implementation of the paper that `rtbench.results.aggregates` follows. It does not run beside pandas 3,
so it is asked in an environment of its own, and test_rliable.py holds our statistics against what it answered.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rliable import library, metrics

GOLDEN = Path(__file__).with_name("rliable_golden.json")
NAMES = ("iqm", "mean", "median", "optimality_gap")
PACKAGES = ("rliable", "arch", "numpy", "scipy")
RESAMPLES = 5_000
PAIRED_RESAMPLES = 2_000
"""Its probability of improvement asks SciPy once per task and resample."""


def statistics(scores: Any) -> Any:
    """The four aggregates of runs × tasks."""
    functions = (metrics.aggregate_iqm, metrics.aggregate_mean, metrics.aggregate_median)
    return np.array([*(function(scores) for function in functions), metrics.aggregate_optimality_gap(scores, 1.0)])


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """rliable's values and 95 % intervals of one case; its arrays are runs × tasks."""
    ours, theirs = (np.array(case[side]).T for side in ("ours", "theirs"))

    def bootstrapped(
        given: dict[str, Any], function: Any, reps: int = RESAMPLES
    ) -> tuple[list[float], list[float], list[float]]:
        point, bounds = library.get_interval_estimates(
            given, function, reps=reps, random_state=np.random.RandomState(0)
        )
        (name,) = given
        value, low, high = (np.ravel(each).tolist() for each in (point[name], bounds[name][0], bounds[name][1]))
        return value, low, high

    told = dict(zip(NAMES, zip(*bootstrapped({"x": ours}, statistics), strict=True), strict=True))
    ((*improvement,),) = zip(
        *bootstrapped({"x": (ours, theirs)}, metrics.probability_of_improvement, PAIRED_RESAMPLES), strict=True
    )
    profile, bounds = library.create_performance_profile({"x": ours}, np.array(case["thresholds"]), reps=RESAMPLES)
    profiles = zip(profile["x"].tolist(), bounds["x"][0].tolist(), bounds["x"][1].tolist(), strict=True)
    return {**{name: list(each) for name, each in told.items()}, "improvement": improvement,
            "profile": [list(each) for each in profiles]}  # fmt: skip


def main() -> int:
    """Compare with the committed answers, or write them."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = [answer(case) for case in golden["cases"]]
    if "--write" in sys.argv:
        golden |= {"versions": {name: version(name) for name in PACKAGES}, "answers": found}
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
        return 0
    for number, (known, now) in enumerate(zip(golden["answers"], found, strict=True)):
        # Profiles are drawn without a seed, and move in steps of one run.
        one_run = 1 / sum(len(runs) for runs in golden["cases"][number]["ours"])
        for name in known:
            one, other = (np.atleast_2d(np.array(values[name])) for values in (known, now))
            near = one_run + 1e-9 if name == "profile" else 0.05
            assert np.allclose(one[:, 0], other[:, 0], atol=1e-12), (number, name, one, other)
            assert np.allclose(one, other, rtol=0, atol=near), (number, name, one, other)
    print(f"{len(found)} cases are what rliable {version('rliable')} computes")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
