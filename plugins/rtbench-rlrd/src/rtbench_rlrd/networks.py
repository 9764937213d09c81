"""The critics, the policy on fragments, and the losses of both learners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor

from rtbench.backends.torch_arithmetic import TorchArithmetic, TorchParameters
from rtbench.graph import Lags, Layer, LayerGraph, Plan
from rtbench.learners.sac_networks import squashed
from rtbench.unrolling import unroll


class Twins:
    """Two perceptrons of the same inputs, each with one output; parameters [2, inputs, outputs]."""

    def __init__(self, inputs: int, width: int, layers: int, generator: torch.Generator) -> None:
        sizes = [inputs, *[width] * layers, 1]
        self.tensors: list[Tensor] = []
        for rows, columns in pairwise(sizes):
            for shape in ((2, rows, columns), (2, 1, columns)):
                drawn = (torch.rand(shape, generator=generator) * 2 - 1) / sqrt(rows)
                self.tensors.append(drawn.requires_grad_())

    def __call__(self, inputs: Tensor, tensors: Sequence[Tensor] | None = None) -> Tensor:
        """Both outputs [2, batch] for inputs [batch, features]; with other parameters of the same shapes if given."""
        used = self.tensors if tensors is None else tensors
        value = inputs.expand(2, -1, -1)
        for index in range(0, len(used), 2):
            value = torch.baddbmm(used[index + 1], value, used[index])
            value = value.relu() if index + 2 < len(used) else value
        return value.squeeze(2)


@dataclass(frozen=True)
class Policy:
    """The cell's graph on fragments: what it would have decided at each of their steps."""

    graph: LayerGraph
    lags: Lags
    plan: Plan
    parameters: TorchParameters

    @property
    def newest(self) -> int:
        """Ticks between the newest observation a decision rests on and its own."""
        return min(self.plan.observation_ticks)

    @property
    def delay(self) -> int:
        """d: steps from the newest observation a decision rests on to the step that applies it."""
        return self.newest + 1

    @property
    def before(self) -> int:
        """Rows that windows reach back before the newest observation."""
        return self.plan.window_ticks

    def decided(
        self, observations: Tensor, taken: Tensor, resampled: Sequence[Tensor], step: int, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The action [B, A], applied d after step t + `step`, and its log-probability [B].

        `observations` [B, ·, F] and `taken` [B, ·, A] begin `before` rows before t; actions from t + d on are those
        `resampled` so far, as far as there are any.
        """
        at = self.before + self.newest + step

        def action(ticks: int) -> Tensor:
            index = at - ticks - self.before - self.delay
            return resampled[index] if 0 <= index < len(resampled) else taken[:, at - ticks]

        output = unroll(
            self.graph,
            self.lags,
            self.plan,
            TorchArithmetic(self.parameters),
            observation=lambda ticks: observations[:, at - ticks].unsqueeze(0),
            action=lambda ticks: action(ticks).unsqueeze(0),
            started=lambda node, ticks, value: value,
            before=_outside,
        )
        return squashed(output[0], noise)


def _outside(layer: Layer, ticks: int) -> Tensor:
    raise ValueError(f"{layer.name} is read {ticks} ticks back, outside the window: the graph is recurrent")


def augmented(policy: Policy, observations: Tensor, actions: Sequence[Tensor], step: int) -> Tensor:
    """x = (s_{t+step}, the d actions from it on) [B, F + d·A]; `actions` from t on."""
    seen = observations[:, policy.before + step]
    return torch.cat([seen, *actions[step : step + policy.delay]], dim=-1)


def resampled(
    policy: Policy, observations: Tensor, taken: Tensor, steps: int, noise: Tensor
) -> tuple[list[Tensor], Tensor]:
    """The actions a*_{t+d} … that today's policy decides on a recorded fragment, each seeing those before it.

    And their log-probabilities [B, steps]. noise [steps, B, A].
    """
    actions: list[Tensor] = []
    logs: list[Tensor] = []
    for step in range(steps):
        action, log_p = policy.decided(observations, taken, actions, step, noise[step])
        actions.append(action)
        logs.append(log_p)
    return actions, torch.stack(logs, dim=1)


def discounted(values: Tensor, gamma: float) -> Tensor:
    """Σ_i γ^i values_i [B] of values [B, n]."""
    powers = torch.tensor([gamma**i for i in range(values.shape[1])])
    return values @ powers
