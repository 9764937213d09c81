"""Soft actor-critic on augmented observations: what delay-correcting actor-critic is compared with.

x = (o, u) is an observation and the actions in flight; a transition is x, the action decided, the reward until the next
decision's observation, and x' = (o', (a, u without its oldest)). Twin critics Q(x, a), fixed entropy coefficient
α = `entropy_scale`, one update of everything per budget unit (Haarnoja et al. 2018, with the smaller of two critics).
Nothing is corrected: how a decision turns out is learnt through as many transitions as its action is in flight.
"""

from __future__ import annotations

import torch
from rtbench.learners.sac_networks import soft_target

from rtbench_rlrd.program import AugmentedProgram, TensorBatch


class AugmentedSACProgram(AugmentedProgram):
    """One update per budget unit, of critics and policy on the same transitions."""

    name = "rlrd/augmented-sac"
    correcting = False
    critic_sees_action = True

    def update(self, batch: TensorBatch) -> None:
        """Q towards r + γ (min Q' − α log π), the policy up min Q − α log π."""
        alpha, scale = self._p.entropy_scale, self._p.reward_scale
        width = batch.in_flight.shape[-1]
        x = torch.cat([batch.observations[:, 0], batch.in_flight], dim=-1)
        after = torch.cat([batch.actions, batch.in_flight], dim=-1)[..., :width]
        x_after = torch.cat([batch.observations[:, 1], after], dim=-1)

        with torch.no_grad():
            next_action, next_log_p = self.draw(x_after)
            next_q = self.critics.target_layers.q(torch.cat([x_after, next_action], dim=-1))
            reward, discount = scale * batch.rewards[:, 0], batch.discounts[:, 0]
            goal = soft_target(reward, discount, next_q, next_log_p, torch.full((len(x), 1), alpha))

        action, log_p = self.draw(x)
        _, slope = self.critics.layers.minimum(x, action.detach())
        # min Q to first order in the action: its value plays no part in the gradient.
        loss = (alpha * log_p - (slope * action).sum(-1)).mean(-1).sum()
        self.learn(loss, torch.cat([x, batch.actions], dim=-1), goal)
