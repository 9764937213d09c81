"""PPO as published code has it: rollouts that begin anew, masked ticks, advantages per tick; and what stays ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import naive_ppo
from helpers.cells import interaction
from helpers.ppo_cells import ppo_cell

from rtbench.cell import RunBatch
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.learners.ppo_conventions import CONVENTIONS
from rtbench.learners.rollouts import Episode
from rtbench.plugins import build, part_class, use

PUBLISHED = {"conventions": "published-code", "rollout": 12, "environments": 3}
MASKED = 7


def program(graph="to-action", timing="delta-1", **learner):
    cell = ppo_cell(graph, timing, env={"max_steps": 29}, learner=PUBLISHED | learner)
    return build(cell.learner).make(RunBatch(cell, (5,)))


def trainer(*args, **learner):
    (found,) = program(*args, **learner).trainers
    with torch.no_grad():
        found.actor.parameters["head"]["weight"].mul_(100)
    return found


def test_advantages_per_tick_by_hand() -> None:
    gained = np.array([[1.0, 10.0], [3.0, 10.0]], np.float32)
    root = np.sqrt(2.0)
    assert CONVENTIONS["published-code"].normalised(gained) == pytest.approx(
        np.array([[-1 / root, 0.0], [1 / root, 0.0]]), abs=1e-6
    )
    assert CONVENTIONS["exact"].normalised(gained) == pytest.approx((gained - 6) / gained.std(ddof=1))


def acted_with(run):
    """Log-probabilities of the actions taken, from the logits that were drawn from, by decision."""
    told = {}
    for recording in run.fleet.recordings:
        for decision in recording.decisions:
            if decision.source.output is not None:
                log_p = torch.from_numpy(decision.source.output).log_softmax(-1)
                told[id(decision)] = log_p[decision.action].item()
            else:
                told[id(decision)] = 0.0
    return told


@pytest.mark.parametrize(
    ("graph", "timing", "learner"),
    [
        ("to-action", "delta-1", {}),
        ("plain", "delta-0.4", {}),
        ("to-action-res", "delta-2", {"start": "zero"}),
        ("lstm-aug", "delta-1", {}),
        ("from-obs", "instant", {}),
    ],
)
def test_update_equals_one_by_one(graph, timing, learner) -> None:
    """The third of three rollouts, which cuts into episodes, against an update of one decision after the other."""
    run = trainer(graph, timing, **learner)
    run.advance()
    run.advance()
    run._adam.learning_rate = rate = 1e-3
    for moments in ("first", "second", "steps"):  # Adam from anew, as the naive one
        for tensor in run._adam._moments[moments]:
            tensor.zero_()
    run.fleet.collect(run._p.rollout)
    wanted = naive_ppo.update(run, run._p, rate, masked=MASKED, acted=acted_with(run))
    run.update()
    for network, expected in ((run.actor, wanted[0]), (run.critic, wanted[1])):
        for tensor, other in zip(network.tensors, expected, strict=True):
            assert (tensor.detach()[0].view(-1) - other.view(-1)).abs().max() < 1e-5


@pytest.mark.parametrize(("graph", "exact"), [("to-action", True), ("plain", True), ("lstm", False)])
def test_seven_masked_ticks_are_enough_for_all_but_memory(graph, exact) -> None:
    """From the eighth decision on a graph without recurrence computes what acted; an LSTM has forgotten its state."""
    run = trainer(graph, "delta-1")
    run.advance()
    run.fleet.collect(run._p.rollout)
    found = run.fleet.inputs()
    with torch.no_grad():
        outputs = run.actor.outputs(found).numpy()
    apart = []
    for recording in run.fleet.recordings:
        for place, decision in enumerate(recording.decisions):
            if place >= MASKED and not isinstance(decision.source, Episode):
                apart.append(np.abs(outputs[found.place[id(decision.source)]] - decision.source.output).max())
    assert len(apart) >= 12
    assert (max(apart) < 1e-5) == exact


def test_without_delay_and_memory_nothing_is_masked() -> None:
    assert trainer("plain", "instant")._first == 0
    assert trainer("plain", "sequential")._first == 0
    assert trainer("lstm", "instant")._first == trainer("plain", "delta-1")._first == MASKED


def test_continued_equals_uninterrupted(tmp_path) -> None:
    whole, halves, folder = program(), program(), CheckpointFolder(tmp_path)
    calls = 0
    while not whole.done:
        whole.advance()
    while not halves.done:
        halves.advance()
        calls += 1
        if calls % 2 and not halves.done:
            folder.save(halves, {})
            halves.advance()
            halves, folder = program(), CheckpointFolder(tmp_path)
            folder.load(halves)
    (one,), (other,) = whole.policies(["x"]), halves.policies(["x"])
    for name, layer in one.parameters.items():
        for kind, value in layer.items():
            assert np.array_equal(value, other.parameters[name][kind])


def test_ours_keeps_its_identity_and_says_what_cannot_be() -> None:
    cell = ppo_cell()
    assert "conventions" not in cell.learner.data()["params"]
    ppo = part_class("learners", "ppo")

    def reason(timing="delta-1", **learner):
        return ppo.supports(ppo_cell("plain", timing, learner=PUBLISHED | learner))

    assert reason() is None
    assert "one inference process" in reason("replicas")
    assert "per tick" in reason(environments=1)
    assert "masks 7 decisions" in reason(rollout=7)
    several = replace(cell, interaction=interaction(delta=2.0, scheduler="staggered-max", processes=2))
    assert ppo.supports(several) is None
    assert use("learners", "ppo", PUBLISHED).data()["params"]["conventions"] == "published-code"
