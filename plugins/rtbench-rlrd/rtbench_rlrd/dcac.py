"""Delay-correcting actor-critic (Bouteiller, Ramstedt, Beltrame, Pal, Binas: RL with Random Delays, ICLR 2021).

Notation. x_t = (o_t, u_t) is what decision t is made on: an observation and the actions in flight, newest first. A
decision's action a_t takes its place in the next one's: u_{t+1} = (a_t, u_t without its oldest). r_t and γ_t are reward
and discount from o_t to o_{t+1}. The equations are numbered here; they are the paper's state-value estimator under
partial trajectory resampling, and its critic and actor losses.

A recorded fragment x_0, a_0, r_0, o_1, … o_n where n is such that o_n was read no later than a_0 was applied. Nothing
in o_1 … o_n and r_0 … r_{n−1} depends on a_0, a_1, …: they stay what they are if other actions had been decided. So
actions are drawn anew in place of the recorded ones, each on what the ones before it make of its state,

    a*_k ~ π(· | x*_k),   x*_0 = x_0,   x*_{k+1} = (o_{k+1}, (a*_k, u*_k without its oldest))                       (1)

which is a trajectory of the current policy whatever policy was recorded, and its n-step value needs no correction:

    v̂_k = r_k − α log π(a*_k | x*_k) + γ_k v̂_{k+1},   v̂_n = v(x*_n)                                                (2)

The critics v_1, v_2 regress on v̂_0 with the smaller of their targets at the end, and the actor climbs v̂_0 with the
smaller of the critics themselves, through every action that is still in flight at the end and every log-probability:

    L_v = Σ_i mean (v_i(x_0) − v̂_0)²,         v(x) in (2) the minimum of the target critics, no gradient           (3)
    L_π = −mean v̂_0,                          v(x) in (2) the minimum of the critics, gradient to a*_0 … a*_{n−1}  (4)

Rewards are multiplied by `reward_scale`, α is `entropy_scale`. With n = 1 this is real-time actor-critic (Ramstedt and
Pal 2019). The published code adds (3) and (4) with weights 0.8 and 0.2 under one Adam; as no parameter is in both and
Adam does not see a gradient's scale, each has its own here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rtbench_rlrd.program import AugmentedProgram, TensorBatch


@dataclass(frozen=True)
class Resampled:
    """A fragment under the current policy: x*_0 … x*_L, L + 1 times [runs, batch, F + K·A], log π(a*_k), L times."""

    states: Sequence[Tensor]
    log_probabilities: Sequence[Tensor]


class DCACProgram(AugmentedProgram):
    """One update per budget unit, of critics and policy on the same resampled fragments."""

    name = "rlrd/dcac"
    correcting = True
    critic_sees_action = False

    def update(self, batch: TensorBatch) -> None:
        """Equations 1 to 4."""
        found = self.resample(batch)
        end = at_end(found.states, batch.length)
        rewards = self._p.reward_scale * batch.rewards

        final = self.critics.target_layers.q(end.detach()).amin(1)
        settled = [log_p.detach() for log_p in found.log_probabilities]
        goal = estimate(rewards, batch.discounts, batch.length, settled, final, self._p.entropy_scale)

        value = estimate(
            torch.zeros_like(rewards),  # rewards do not depend on the policy
            batch.discounts,
            batch.length,
            found.log_probabilities,
            self._through(end),
            self._p.entropy_scale,
        )
        self.learn(-value.mean(-1).sum(), found.states[0], goal)

    def resample(self, batch: TensorBatch) -> Resampled:
        """Equation 1, on after a fragment's end too, where it means nothing."""
        observations, in_flight = batch.observations, batch.in_flight
        states = [torch.cat([observations[:, 0], in_flight], dim=-1)]
        log_probabilities = []
        for k in range(batch.rewards.shape[1]):
            action, log_p = self.draw(states[-1])
            in_flight = torch.cat([action, in_flight], dim=-1)[..., : in_flight.shape[-1]]
            states.append(torch.cat([observations[:, k + 1], in_flight], dim=-1))
            log_probabilities.append(log_p)
        return Resampled(states, log_probabilities)

    def _through(self, x: Tensor) -> Tensor:
        """min_i v_i(x) [runs, batch], with its gradient for the actions in x and none for the critics."""
        size = self._spec.observation_size
        seen, actions = x[..., :size].detach(), x[..., size:]
        value, slope = self.critics.layers.minimum(seen, actions.detach())
        # The value itself, and to first order in the actions: the critics' gradient is known without autograd.
        return value + (slope * (actions - actions.detach())).sum(-1)


def at_end(states: Sequence[Tensor], length: Tensor) -> Tensor:
    """x*_n [runs, batch, ·] of fragments of n = `length` [runs, batch] decisions each."""
    stack = torch.stack(list(states))
    index = length[None, ..., None].expand(1, *stack.shape[1:])
    return stack.gather(0, index)[0]


def estimate(
    rewards: Tensor,
    discounts: Tensor,
    length: Tensor,
    log_probabilities: Sequence[Tensor],
    final: Tensor,
    entropy_scale: float,
) -> Tensor:
    """Equation 2: v̂_0 [runs, batch] from rewards and discounts [runs, L, batch] and v(x*_n) = `final` [runs, batch].

    A discount of 0 (a termination) leaves nothing after it.
    """
    value = final
    for k in reversed(range(rewards.shape[1])):
        onward = torch.where(length == k + 1, final, value)
        value = rewards[:, k] - entropy_scale * log_probabilities[k] + discounts[:, k] * onward
    return value
