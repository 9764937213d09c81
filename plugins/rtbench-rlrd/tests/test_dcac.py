"""The update against one written out sample by sample, and losses by hand."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from rtbench.cell import RunBatch
from rtbench.plugins import build, use
from rtbench.testing import LearnerConformance, samples
from torch import Tensor

from rtbench_rlrd.conformance import SMALL, sequential
from rtbench_rlrd.dcac import at_end, estimate
from rtbench_rlrd.program import TensorBatch, stacked

LOG_2_PI = 1.8378770664093453


def test_estimate_by_hand() -> None:
    """Two decisions, then one that ends in a termination: r = 1, 2; γ = 0.5; log π = 0.1, 0.2; v = 10; α = 2."""
    rewards, discounts = torch.tensor([[[1.0, 1.0], [2.0, 99.0]]]), torch.tensor([[[0.5, 0.0], [0.5, 0.5]]])
    logs = [torch.tensor([[0.1, 0.1]]), torch.tensor([[0.2, 77.0]])]
    found = estimate(rewards, discounts, torch.tensor([[2, 1]]), logs, torch.tensor([[10.0, 10.0]]), 2.0)
    # 1 − 0.2 + 0.5 · (2 − 0.4 + 0.5 · 10) = 4.1, and 1 − 0.2.
    torch.testing.assert_close(found, torch.tensor([[4.1, 0.8]]))


def test_at_end_takes_each_samples_own_end() -> None:
    """States 0, 1, 2 of two samples that have one and two decisions."""
    states = [torch.tensor([[[10.0 * k], [10.0 * k + 1]]]) for k in range(3)]
    assert at_end(states, torch.tensor([[1, 2]])).flatten().tolist() == [10.0, 21.0]


def program(learner: str, **more: Any) -> Any:
    """A small program with three actions in flight and two runs."""
    cell = samples.cell(
        learner=use("learners", learner, {**SMALL, **more}), interaction=sequential(0.5, actuator_latency_s=0.04)
    )
    return build(cell.learner).make(RunBatch(cell, (1, 2)))


def fragments(found: Any, batch: int = 6) -> TensorBatch:
    """Random fragments of one to three decisions, some of which terminate."""
    rng = torch.Generator().manual_seed(5)
    f, k = found._spec.observation_size, found.delays.in_flight

    def normal(*shape: int) -> Tensor:
        return torch.randn(2, *shape, generator=rng)

    length = torch.tensor([[1, 2, 3, 3, 2, 1]] * 2)
    discounts = torch.full((2, 3, batch), 0.9)
    discounts[:, 1, 1] = discounts[:, 2, 2] = discounts[:, 0, 5] = 0.0
    return TensorBatch(normal(4, batch, f), normal(batch, k), normal(batch, 1), normal(3, batch), discounts, length)


def perceptron(x: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    """A vector through fully connected layers, rectified but for the last."""
    for index, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        x = x.relu() if index + 1 < len(layers) else x
    return x


def critic(found: Any, run: int, which: int, tensors: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """One critic's layers of a run."""
    half = len(tensors) // 2
    at = 2 * run + which
    return [(tensors[i][at], tensors[half + i][at, 0]) for i in range(half)]


def naive(found: Any, batch: TensorBatch, noise: list[Tensor], run: int, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """One fragment's critic loss, actor loss and target by the published recursion, on single vectors."""
    policy = [(layer["weight"][run], layer["bias"][run, 0]) for layer in found.parameters.values()]
    flying = list(batch.in_flight[run, index].split(1))
    n = int(batch.length[run, index])
    logs: list[Tensor] = []
    start = torch.cat([batch.observations[run, 0, index], *flying])
    for k in range(n):
        mean, raw = perceptron(torch.cat([batch.observations[run, k, index], *flying]), policy)
        log_std = -5 + 3.5 * (raw.tanh() + 1)
        drawn = noise[k][run, index, 0]
        action = (mean + log_std.exp() * drawn).tanh()
        logs.append(-0.5 * drawn**2 - log_std - 0.5 * LOG_2_PI - (1 - action**2 + 1e-6).log())
        flying = [action.reshape(1), *flying[:-1]]
    end = torch.cat([batch.observations[run, n, index], *flying])

    def worth(tensors: list[Tensor]) -> Tensor:
        return min(perceptron(end, critic(found, run, i, tensors))[0] for i in (0, 1))

    goal, climbed = worth(found.critics.target), worth(found.critics.parameters)
    for k in reversed(range(n)):
        discount = batch.discounts[run, k, index]
        goal = 5.0 * batch.rewards[run, k, index] - logs[k] + discount * goal
        climbed = -logs[k] + discount * climbed
    values = [perceptron(start, critic(found, run, i, found.critics.parameters))[0] for i in (0, 1)]
    loss = sum((value - goal.detach()) ** 2 for value in values)
    assert isinstance(loss, Tensor)
    return loss, -climbed, goal.detach()


def test_update_equals_one_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of both losses, for two runs at once, with fragments of unequal length."""
    found = program("rlrd/dcac", reward_scale=5.0, entropy_scale=1.0)
    for tensor in found.critics.target:  # else target and critics are the same at first
        tensor.mul_(1.3)
    batch = fragments(found)
    steps: dict[str, list[Tensor]] = {}
    for name, optimiser in found._optimisers.items():
        monkeypatch.setattr(optimiser, "step", lambda gradients, name=name: steps.__setitem__(name, list(gradients)))
    states = [rng.get_state() for rng in found._torch_rngs]
    found.update(batch)

    for rng, state in zip(found._torch_rngs, states, strict=True):
        rng.set_state(state)
    noise = [torch.stack([torch.randn(6, 1, generator=rng) for rng in found._torch_rngs]) for _ in range(3)]
    _undo_following(found)
    critics = [tensor.requires_grad_() for tensor in found.critics.parameters]
    parts = [naive(found, batch, noise, run, index) for run in range(2) for index in range(6)]
    actor_loss = sum(part[1] for part in parts) / 6
    critic_loss = sum(part[0] for part in parts) / 6
    assert isinstance(actor_loss, Tensor)
    assert isinstance(critic_loss, Tensor)
    to_policy = torch.autograd.grad(actor_loss, found.tensors, retain_graph=True)
    for ours, theirs in zip(steps["policy"], to_policy, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    to_critics = torch.autograd.grad(critic_loss, critics)
    members = [gradient[i] for i in range(4) for gradient in to_critics]
    for ours, theirs in zip(steps["critics"], members, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def _undo_following(found: Any) -> None:
    """The target before it followed: t' = t + τ (p − t), and the parameters did not move."""
    share = found._p.tau
    with torch.no_grad():
        for target, tensor in zip(found.critics.target, found.critics.parameters, strict=True):
            target.copy_((target - share * tensor) / (1 - share))


def test_recorded_actions_do_not_matter() -> None:
    """A fragment's own recorded actions are replaced: its estimate is the same whatever they were."""
    import dataclasses

    found = program("rlrd/dcac")
    batch = fragments(found)
    other = dataclasses.replace(batch, actions=batch.actions + 1)
    states = [rng.get_state() for rng in found._torch_rngs]
    one = found.resample(batch)
    for rng, state in zip(found._torch_rngs, states, strict=True):
        rng.set_state(state)
    two = found.resample(other)
    for ours, theirs in zip([*one.states, *one.log_probabilities], [*two.states, *two.log_probabilities], strict=True):
        assert torch.equal(ours, theirs)


class Overwritten(LearnerConformance):
    """Not collected: two of its checks are called below."""

    name = "rlrd/dcac"
    params: ClassVar[dict[str, Any]] = SMALL
    interaction = sequential(0.5, actuator_latency_s=0.04)
    seeds = (1,)


def test_an_overwritten_replay_continues_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for 30 rows, which 60 decisions overwrite: stopped and continued it ends with equal bits all the same."""
    monkeypatch.setattr("rtbench_rlrd.program._SPARE", -20)
    checks = Overwritten()
    assert len(checks.program().replays[0].reward) == 30
    checks.test_continues_exactly()
    checks.test_checkpoints_follow_each_other()


def test_augmented_sac_without_delay_learns_like_sac_says() -> None:
    """Without a delay nothing is in flight: the goal is r + γ (min Q' − α log π) of the plain transition."""
    cell = samples.cell(
        learner=use("learners", "rlrd/augmented-sac", SMALL), interaction=samples.interaction("instant", 0.0)
    )
    found = build(cell.learner).make(RunBatch(cell, (3,)))
    assert found.delays.in_flight == 0
    for _ in range(20):
        found.advance()
    batch = found.replays[0].gather(np.array([3]))
    before, after = found.replays[0].observation[3:5]
    np.testing.assert_array_equal(batch.observations[:, 0], [before, after])
    assert batch.in_flight.shape == (1, 0)
    assert batch.length.tolist() == [1]
    given: dict[str, Tensor] = {}
    found.learn = lambda loss, inputs, goal: given.update(loss=loss, inputs=inputs, goal=goal)
    state = found._torch_rngs[0].get_state()
    found.update(stacked([batch]))
    found._torch_rngs[0].set_state(state)
    drawn, log_p = found.draw(torch.from_numpy(after).reshape(1, 1, -1))
    x = torch.cat([torch.from_numpy(after), drawn.detach()[0, 0]])
    value = min(perceptron(x, critic(found, 0, i, found.critics.target))[0] for i in (0, 1))
    expected = 5.0 * batch.rewards[0, 0] + batch.discounts[0, 0] * (value - log_p.detach()[0, 0])
    torch.testing.assert_close(given["goal"][0, 0], expected)
    torch.testing.assert_close(given["inputs"][0, 0], torch.from_numpy(np.concatenate([before, batch.actions[0]])))
