"""Streaming learners: bounded steps and running moments by hand, and what they learn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.cells import interaction
from helpers.dqn_cells import constant, dqn_cell, whole

from rtbench.architectures.mlp import MLP
from rtbench.architectures.mlp import Params as MLPParams
from rtbench.cell import RunBatch
from rtbench.learners.obgd import Moments, ObGD, RewardScale, sparse
from rtbench.parts import PolicyShape
from rtbench.plugins import build


def test_a_step_that_would_overshoot_is_bounded():
    """z = (1, −1) then 0.5 z + (0, 3); α κ max(1, |δ|) ‖z‖₁ = 1·2·4·2 = 16, then 1·2·1·(0.5 + 2.5) = 6."""
    weight = torch.zeros(2)
    descent = ObGD([weight], 1.0, 2.0)
    descent.step(4.0, [torch.tensor([1.0, -1.0])], 0.0)
    assert weight.tolist() == pytest.approx([4 / 16, -4 / 16])
    descent.step(-0.1, [torch.tensor([0.0, 3.0])], 0.5)
    assert weight.tolist() == pytest.approx([0.25 - 0.1 * 0.5 / 6, -0.25 - 0.1 * 2.5 / 6])


def test_a_short_step_is_left_alone():
    weight = torch.zeros(1)
    ObGD([weight], 0.1, 2.0).step(0.5, [torch.tensor([1.0])], 0.0)
    assert float(weight) == pytest.approx(0.1 * 0.5)


def test_sparse_weights():
    graph = MLP(MLPParams(layers=2, width=8)).make(PolicyShape(10, 3, 3))
    weight, bias = sparse(0.75)(graph, graph.layers[0], [torch.Generator().manual_seed(0)])
    assert ((weight[0] == 0).sum(0) == 8).all()  # ⌈0.75 · 10⌉ of every neuron's inputs
    assert weight.abs().max() <= 10**-0.5
    assert not bias.any()


def test_moments_are_those_of_all_samples():
    samples = np.random.default_rng(0).normal(3, 2, (50, 4))
    moments = Moments(4)
    for sample in samples:
        moments.learn(sample)
    np.testing.assert_allclose(moments.mean, samples.mean(0))
    np.testing.assert_allclose(moments.variance, samples.var(0, ddof=1))
    expected = (samples[0] - samples.mean(0)) / np.sqrt(samples.var(0, ddof=1) + 1e-8)
    np.testing.assert_allclose(moments.normalised(samples[0]), expected, rtol=1e-5)


def test_rewards_are_scaled_by_the_spread_of_returns():
    scale, running, seen = RewardScale(0.5), 0.0, []
    for number, reward in enumerate([1.0, 0.0, 2.0, -1.0, 3.0]):
        running = 0.5 * running + reward
        seen.append(running)
        spread = np.var(seen, ddof=1) if len(seen) > 1 else 1.0
        assert scale.scaled(reward) == pytest.approx(reward / np.sqrt(spread + 1e-8))
        if number == 2:
            scale.over()
            running = 0.0


@pytest.mark.parametrize(
    ("met", "max_steps"),
    [(whole(latency=0.15), 37), (whole(latency=0.15), 8), (whole(latency=0.15), 6), (interaction("instant", 0.0), 8)],
    ids=["delayed", "8", "6", "instant"],
)
@pytest.mark.parametrize("learner", ["stream-q", "stream-ac"])
def test_one_update_per_decision_on_what_was_seen(learner, met, max_steps):
    """Under a delay of three steps: the observation read, the action, the rewards until the next action.

    The last decision of an episode is learnt from too, whether a time limit finds an inference under way or none.
    """
    cell = dqn_cell(
        learner,
        {"normalise_observations": False, "scale_rewards": False},
        met,
        env={"sticky_action_prob": 0.0, "max_steps": max_steps},
    )
    program = build(cell.learner).make(RunBatch(cell, (2,)))
    (stream,) = program.trainers
    told, agent = [], stream.agent
    learn = agent.learn
    agent.learn = lambda *given: (told.append(given), learn(*given))[1]
    rows, rewards, applied, reads, ended = [], [], [], [], []
    for name, keep in (
        ("begin_episode", lambda first: rows.append(np.asarray(first, np.float32))),
        ("begin_inference", lambda read, process: reads.append(read)),
        ("apply", lambda m: applied.append((len(rewards), m))),
        ("end_episode", lambda *how: ended.append(how)),
    ):
        original = getattr(stream, name)
        setattr(stream, name, lambda *given, original=original, keep=keep: (keep(*given), original(*given))[1])
    loop = stream.loop
    first_loop_step = loop.env.step

    def step(action):
        found = first_loop_step(action)
        rewards.append(float(found[1]))
        rows.append(np.asarray(found[0], np.float32).reshape(-1))
        return found

    loop.env.step = step
    while not loop.returns:
        stream.advance()
    length = loop.lengths[0]
    steps = [at for at, _ in applied if at < length]
    ends = [*steps[1:], length]
    assert len(told) == len(steps)
    for (_, _, reward, discount, _), begin, end in zip(told, steps, ends, strict=True):
        assert reward == pytest.approx(sum(0.99**k * rewards[begin + k] for k in range(end - begin)))
        terminal = end == length and ended[0][0]
        assert discount == (0.0 if terminal else pytest.approx(0.99 ** (end - begin)))
    followers = [m for _, m in applied[1:]] + ([] if ended[0][0] else [ended[0][1]])
    assert ended[0][0] is False or max_steps == 37
    for (seen, _, _, _, following), (_, m), then in zip(told, applied, followers, strict=False):
        np.testing.assert_array_equal(seen, rows[reads[m]])
        np.testing.assert_array_equal(following, rows[reads[then]])
    assert agent.updates == len(told)


@pytest.mark.parametrize("learner", ["stream-q", "stream-ac"])
def test_what_cannot_be_honoured_is_refused(learner):
    """Updates that take time, and schedules by decisions."""
    part = build(dqn_cell(learner).learner)
    assert part.supports(dqn_cell(learner)) is None
    assert "`learning`" in part.supports(dqn_cell(learner, met=whole(learning=constant(0.1))))
    assert "environment steps" in part.supports(dqn_cell(learner, met=whole(latency_convention="published-code")))
