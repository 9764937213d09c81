"""Rows that the suite `mujoco-delta` gains, and cells that cannot be."""

from typing import Any

import pytest
from rtbench.cell import Latency, RunBatch
from rtbench.errors import RtbenchError
from rtbench.plugins import build, part_class, use
from rtbench.suites.added import expand_with_plugins
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite
from rtbench.testing import samples

from rtbench_rlrd.hooks import METHODS


@pytest.mark.parametrize(("profile", "environments", "starts"), [("paper", 4, 10_000), ("smoke", 2, 500)])
def test_mujoco_delta_picks_the_rows_up(profile: str, environments: int, starts: int) -> None:
    """Both learners in every environment that the profile keeps, with its budget and its first update."""
    suite = load_suite("mujoco-delta", profile)
    own = expand(suite)
    cells, problems = expand_with_plugins(suite)
    assert not problems
    added = cells[len(own) :]
    assert [cell.method for cell in added] == list(METHODS.values()) * environments
    assert {cell.environment for cell in added} == {cell.environment for cell in own}
    for cell in added:
        assert cell.cell.budget == own[0].cell.budget
        assert cell.cell.learner.params["learning_starts"] == starts
        assert cell.unsupported is None


LEARNERS = ("rlrd/dcac", "rlrd/augmented-sac")
REFUSED: dict[str, dict[str, Any]] = {
    "execution = 'sequential'": {"execution": "pipelined", "delta": 1.0},
    "still being computed": {
        "execution": "sequential",
        "delta": 1.0,
        "processes": 2,
        "scheduler": use("schedulers", "staggered-max"),
    },
    "epsilon must be 0": {"execution": "sequential", "delta": 1.0, "epsilon": 0.1},
    "counterfactual": {"execution": "sequential", "delta": 1.0, "counterfactual": "age-0"},
    "not known when": {
        "execution": "sequential",
        "delta": 0.0,
        "latency": Latency("lognormal", mean_s=0.03, cv=0.2),
        "actuator_latency_s": 0.02,
    },
}


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("reason", REFUSED)
def test_what_it_cannot_run_is_said(learner: str, reason: str) -> None:
    """Interactions in which the state is not what was read and the actions in flight."""
    cell = samples.cell(learner=use("learners", learner), interaction=samples.interaction(**REFUSED[reason]))
    assert reason in str(part_class("learners", learner).supports(cell))


def test_no_delay_is_no_matter_for_a_correction() -> None:
    """Under `instant` the correcting learner is refused beforehand, the other is not."""
    for learner, refused in zip(LEARNERS, (True, False), strict=True):
        cell = samples.cell(learner=use("learners", learner), interaction=samples.interaction("instant", 0.0))
        assert bool(part_class("learners", learner).supports(cell)) is refused


@pytest.mark.parametrize(
    ("network", "what"),
    [
        ({"augmentation": "in-flight"}, "reads past actions"),
        ({"lstm": True}, "remembers"),
        ({"dropout": 0.5}, "draws"),
    ],
)
def test_networks_that_know_more_are_refused(network: dict[str, Any], what: str) -> None:
    """One observation and the actions in flight are all there is to see."""
    cell = samples.cell(
        learner=use("learners", "rlrd/dcac"),
        architecture=use("architectures", "mlp", {"layers": 2, "width": 8, **network}),
        interaction=samples.interaction("sequential", 0.5),
    )
    with pytest.raises(RtbenchError, match=what):
        build(cell.learner).make(RunBatch(cell, (0,)))
