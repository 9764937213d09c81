"""The policy on fragments is the policy that acted; losses are those written out sample by sample."""

import dataclasses

import numpy as np
import pytest
import torch
from rtbench_rlrd.fragments import Fragments
from rtbench_rlrd.networks import discounted, resampled
from rtbench_rlrd.program import DelayedProgram, Trainee

from rtbench.cell import Budget, RunBatch
from rtbench.plugins import use
from rtbench.testing import samples

NETWORKS = {
    "chain": ({"layers": 2, "augmentation": "in-flight"}, ("pipelined", 1.0), 2),
    "skips": ({"layers": 3, "skips": "from-obs", "augmentation": "observation"}, ("pipelined", 1.0), 1),
    "whole": ({"layers": 2, "augmentation": "in-flight"}, ("sequential", 0.5), 1),
}


def trainee(network: str, learner: str = "rlrd/dcac", **given: float) -> Trainee:
    params, (execution, delta), _ = NETWORKS[network]
    cell = samples.cell(
        environment=use("environments", "mujoco", {"id": "Hopper-v4"}),
        architecture=use("architectures", "mlp", {"width": 8, **params}),
        interaction=samples.interaction(execution, delta),
        learner=use("learners", learner, {"batch_size": 8, "critic_width": 8, "learning_starts": 10**6, **given}),
        budget=Budget(steps=50, unit="ticks", eval_every=50, eval_episodes=1, final_eval_episodes=1),
    )
    learner_params = use("learners", learner, dict(cell.learner.params)).params
    from rtbench_rlrd.learners import Params

    return Trainee(RunBatch(cell, (3,)), Params(**learner_params), 3, resamples=learner == "rlrd/dcac")


@pytest.mark.parametrize("network", NETWORKS)
def test_a_decision_is_what_acting_decided(network: str) -> None:
    """Recorded observations and actions give the head that acting gave, at the step that its action was applied."""
    run = trainee(network)
    assert run.policy.delay == NETWORKS[network][2]
    heads: list[np.ndarray] = []

    def decide(output: np.ndarray) -> np.ndarray:
        heads.append(output.copy())
        return np.random.default_rng(len(heads)).uniform(-1, 1, 3).astype(np.float32)

    run.loop._decide = decide
    for _ in range(40):
        run.loop.advance()
    before, newest = run.policy.before, run.policy.newest
    checked = 0
    for step in run.history._drawable[:4]:
        t = run.history.around(np.asarray([step]))
        observations, actions = torch.from_numpy(t.observations), torch.from_numpy(t.actions)
        for ahead in range(min(2, run.policy.delay)):
            # The tick that reads observation m is inference m of the episode.
            expected = np.tanh(heads[step + newest + ahead][:3])
            made = [actions[:, before + run.policy.delay + k] for k in range(ahead)]
            found, _ = run.policy.decided(observations, actions, made, ahead, torch.zeros(1, 3))
            np.testing.assert_allclose(found.detach().numpy()[0], expected, rtol=1e-4, atol=1e-5)
            checked += 1
    assert checked >= 4


def test_resampled_actions_see_those_before_them() -> None:
    """The second action of a fragment changes with the first's noise, and with the first recorded action not at all."""
    run = trainee("chain")
    rng = np.random.default_rng(0)
    rows = run.policy.before + run.policy.delay + 1
    observations = torch.from_numpy(rng.normal(size=(4, rows, 11)).astype(np.float32))
    taken = torch.from_numpy(rng.uniform(-1, 1, (4, rows, 3)).astype(np.float32))
    noise = torch.from_numpy(rng.normal(size=(2, 4, 3)).astype(np.float32))
    actions, logs = resampled(run.policy, observations, taken, 2, noise)
    assert logs.shape == (4, 2)
    other = noise.clone()
    other[0] += 1
    assert not torch.allclose(resampled(run.policy, observations, taken, 2, other)[0][1], actions[1])
    replaced = taken.clone()
    replaced[:, run.policy.before + run.policy.delay] = 0
    assert torch.equal(resampled(run.policy, observations, replaced, 2, noise)[0][1], actions[1])


def test_losses_are_those_written_out() -> None:
    """The losses of the delay-correcting critic, sample by sample and step by step, ends of episodes included."""
    run = trainee("chain", gamma=0.9)
    d, before, batch = run.policy.delay, run.policy.before, 5
    rng = np.random.default_rng(1)
    rows = before + d + 1
    alive = np.asarray([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]], np.float32)
    rewards = rng.normal(size=(batch, d)).astype(np.float32) * np.asarray(
        [[1, 1], [1, 1], [1, 0], [1, 1], [1, 1]], "f4"
    )
    t = Fragments(
        torch.from_numpy(rng.normal(size=(batch, rows, 11)).astype(np.float32)),
        torch.from_numpy(rng.uniform(-1, 1, (batch, rows, 3)).astype(np.float32)),
        torch.from_numpy(rewards),
        torch.from_numpy(alive),
        torch.ones(batch, dtype=torch.bool),
    )
    run._target[0].mul_(1.5)  # so that the target is not the critic
    state = run._torch_rng.get_state()
    critic_loss, policy_loss, _ = run._over_fragments(t)
    run._torch_rng.set_state(state)
    noise = run._noise(d, batch)
    with torch.no_grad():
        squares, worths = _written_out(run, t, noise)
    assert float(critic_loss.detach()) == pytest.approx(squares / batch, rel=1e-4)
    assert float(policy_loss.detach()) == pytest.approx(-worths / batch, rel=1e-4)


def _written_out(run: Trainee, t: Fragments, noise: torch.Tensor) -> tuple[float, float]:
    """The sums over samples of squared errors of both critics, and of what the policy ascends."""
    d, before, batch = run.policy.delay, run.policy.before, len(t.rewards)
    squares, worths = 0.0, 0.0
    for b in range(batch):
        goal, worth, made = 0.0, 0.0, []
        for i in range(d):
            one = [each[b : b + 1] for each in (t.observations, t.actions)]
            action, log_p = run.policy.decided(one[0], one[1], made, i, noise[i, b : b + 1])
            made.append(action)
            goal += 0.9**i * (float(t.rewards[b, i]) - float(log_p) * float(t.alive[b, i]))
            worth -= 0.9**i * float(log_p) * float(t.alive[b, i])
        first = torch.cat([t.observations[b, before], *(t.actions[b, before + i] for i in range(d))])
        last = torch.cat([t.observations[b, before + d], *(action[0] for action in made)])
        ends = float(t.alive[b, d]) * 0.9**d
        goal += ends * float(run._critics(last[None], run._target).min())
        worth += ends * float(run._critics(last[None]).min())
        squares += sum((float(v) - goal) ** 2 for v in run._critics(first[None])[:, 0])
        worths += worth
    return squares, worths


def test_discounting() -> None:
    assert discounted(torch.tensor([[1.0, 2.0, 4.0]]), 0.5).tolist() == [3.0]


@pytest.mark.parametrize("learner", ["rlrd/dcac", "rlrd/sac"])
def test_it_learns(learner: str) -> None:
    """An inverted pendulum with a delay of one step: better than at random, by far."""
    run = trainee("whole", learner)
    cell = dataclasses.replace(
        run._cell,
        environment=use("environments", "mujoco", {"id": "InvertedPendulum-v4"}),
        architecture=use("architectures", "mlp", {"layers": 2, "width": 32, "augmentation": "in-flight"}),
        learner=use("learners", learner, {"batch_size": 64, "critic_width": 32, "learning_starts": 300}),
        budget=Budget(steps=2_500, unit="ticks", eval_every=2_500, eval_episodes=0, final_eval_episodes=10),
    )
    from rtbench_rlrd.learners import Params

    torch.set_num_threads(1)
    program = DelayedProgram(RunBatch(cell, (0,)), Params(**cell.learner.params), resamples=learner == "rlrd/dcac")
    while not program.done:
        program.advance()
    (outcome,) = program.outcomes()
    first = np.mean(program.trainees[0].loop.returns[:20])
    assert outcome.columns["eval_return_final"] > 3 * first
