"""What a policy is given when it acts is what it is later trained on, and what is left out is true."""

from typing import Any

import numpy as np
import pytest
from rtbench.cell import Budget, Interaction, Latency, RunBatch
from rtbench.plugins import build, use
from rtbench.testing import samples

from rtbench_rlrd.conformance import SMALL, sequential

INTERACTIONS = {
    "a step": sequential(0.5),
    "three steps": sequential(1.5),
    "a step and a half": sequential(0.75, actuator_latency_s=0.01),
    "two steps to the actuator": sequential(0.5, actuator_latency_s=0.04),
    "both ways": sequential(0.5, actuator_latency_s=0.02, sensor_latency_s=0.03),
    "drawn": sequential(0.0, latency=Latency("lognormal", mean_s=0.03, cv=0.3)),
    "on over resets": sequential(1.0, on_reset="continue"),
}


@pytest.mark.parametrize("named", INTERACTIONS)
def test_acting_and_replay_see_the_same(named: str) -> None:
    """Every decision of a training: inputs of the network when it acted against those that are drawn from replay."""
    program = trained(INTERACTIONS[named])
    replay, inputs = program.replays[0], program.inputs
    rows = [row for row in range(replay.count) if replay.length[row]]
    assert len(rows) > 20
    batch = replay.gather(np.array(rows))
    decisions = iter(inputs)
    seen = {row: next(decisions) for row in range(replay.count) if not ended(replay, row)}
    for index, row in enumerate(rows):
        found = np.concatenate([batch.observations[0, index], batch.in_flight[index]])
        np.testing.assert_array_equal(found, seen[row])


@pytest.mark.parametrize("named", INTERACTIONS)
def test_every_action_that_matters_is_in_flight(named: str) -> None:
    """What the world goes through from the observation on was decided then, or is among the actions in flight."""
    program = trained(INTERACTIONS[named])
    replay, met = program.replays[0], program.loops[0]
    assert program.delays.in_flight >= 1
    taken, made = met._taken, met._made
    first = replay._episode
    reads = [met._reads[process][tick] for process, tick in made]
    decided = {tuple(replay.action[first + m]): m for m in range(len(made))}
    for m, read in enumerate(reads):
        later = next((p for j, p in applied(taken, decided) if j == m), len(taken))
        for step in range(read, later):
            by = decided.get(tuple(taken[step]))
            assert by is None or m - program.delays.in_flight <= by < m


def applied(taken: list[Any], decided: dict[tuple[float, ...], int]) -> list[tuple[int, int]]:
    """Decisions and the first step that used each, in order."""
    first: dict[int, int] = {}
    for step, action in enumerate(taken):
        by = decided.get(tuple(action))
        if by is not None:
            first.setdefault(by, step)
    return list(first.items())


def ended(replay: Any, row: int) -> bool:
    """Whether a row is the state that an episode ended in: the next one begins anew, and nothing was decided."""
    return bool(not replay.action[row].any())


def trained(interaction: Interaction) -> Any:
    """A program after 90 steps in episodes of 40, the network's inputs in training kept in `inputs`."""
    cell = samples.cell(
        learner=use("learners", "rlrd/dcac", {**SMALL, "replay_size": 500}),
        interaction=interaction,
        budget=Budget(steps=90, unit="env_steps", eval_every=90, eval_episodes=0, final_eval_episodes=1),
    )
    program = build(cell.learner).make(RunBatch(cell, (4,)))
    program.inputs = []
    inner = program.loops[0].actings[0]._inner
    tick = inner.tick

    def spy(observation: Any, action: Any) -> Any:
        program.inputs.append(observation.copy())
        return tick(observation, action)

    inner.tick = spy
    while program.done_units < 90:
        program.advance()
    return program
