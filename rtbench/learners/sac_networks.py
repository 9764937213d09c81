"""The networks and losses of SAC under delay, with a run axis on every parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, pi, sqrt
from typing import Any

import torch
from torch import Tensor

from rtbench.backends.torch_arithmetic import TorchArithmetic, affine, uniform
from rtbench.graph import Lags, Layer, LayerGraph, Plan, instant, unroll

LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0
EPISODE_START = 2**40
"""A tick further back than any episode's start: reading it gives the episode's first observation."""
_HALF_LOG_2_PI = 0.5 * log(2 * pi)


def squashed(output: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A tanh-squashed Gaussian action [..., A] and its log-probability [...] from the head's output [..., 2·A].

    log σ = −5 + 3.5·(tanh(raw) + 1); the density includes the squashing, Σ log(1 − a² + 1e-6).
    """
    mean, raw = output.chunk(2, dim=-1)
    log_std = LOG_STD_LOW + 0.5 * (LOG_STD_HIGH - LOG_STD_LOW) * (raw.tanh() + 1)
    action = torch.addcmul(mean, log_std.exp(), noise).tanh()
    log_density = -0.5 * noise.square() - log_std - _HALF_LOG_2_PI - (1 - action.square() + 1e-6).log()
    return action, log_density.sum(-1)


class Actor:
    """The policy's graph with trainable parameters, evaluated on windows."""

    def __init__(
        self, graph: LayerGraph, lags: Lags, plan: Plan, parameters: Mapping[str, Mapping[str, Tensor]], start: str
    ) -> None:
        self.graph, self.lags, self.plan, self.start = graph, lags, plan, start
        self.parameters = parameters
        self._arithmetic = TorchArithmetic(parameters)
        self._observation = {ticks: index for index, ticks in enumerate(plan.observation_ticks)}
        self._action = {ticks: index for index, ticks in enumerate(plan.action_ticks)}
        # `hold` needs the episode's first observation beside the window: further back than any episode reaches.
        self.observation_ticks = (*plan.observation_ticks, *((EPISODE_START,) if start == "hold" else ()))
        self._nodes = max((ticks for _, ticks in plan.nodes), default=0)

    def head(self, window: Tensor, actions: Tensor, since: Tensor) -> Tensor:
        """The head's output [runs, batch, O] that a decision had.

        window [runs, W, batch, F] in the order of `observation_ticks`, actions [runs, V, batch, A] in the plan's; since
        [runs, batch].
        """
        before: dict[str, Tensor] = {}
        if self.start == "hold":
            before = self._held(window[:, -1])
        started = {k: (since >= k).unsqueeze(-1).to(window.dtype) for k in range(1, self._nodes + 1)}

        def replaced(node: str, ticks: int, value: Tensor) -> Tensor:
            if not before:
                return value * started[ticks]
            return torch.where(started[ticks] > 0, value, before[node])

        def earlier(layer: Layer, ticks: int) -> Tensor:
            if before:
                return before[layer.name]
            return window.new_zeros(window.shape[0], window.shape[2], layer.state_width)

        return unroll(
            self.graph,
            self.lags,
            self.plan,
            self._arithmetic,
            observation=lambda ticks: window[:, self._observation[ticks]],
            action=lambda ticks: actions[:, self._action[ticks]],
            started=replaced,
            before=earlier,
        )

    def _held(self, first: Tensor) -> dict[str, Tensor]:
        """The start rule `hold`: one pass on the episode's first observation [runs, batch, F], not trained through."""
        with torch.no_grad():
            return instant(
                self.graph,
                self._arithmetic,
                first,
                first.new_zeros(*first.shape[:-1], self.graph.action_size),
                lambda layer: first.new_zeros(*first.shape[:-1], layer.state_width),
            )


class Critics:
    """Twin critics Q(s, a) as one stack: parameters [runs·2, inputs, outputs], one batched product per layer."""

    def __init__(self, inputs: int, width: int, layers: int, generators: Sequence[torch.Generator]) -> None:
        sizes = [inputs, *[width] * layers, 1]
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
            bound = 1 / sqrt(fan_in)
            self.weights.append(uniform((2, fan_in, fan_out), bound, generators).flatten(0, 1).requires_grad_())
            self.biases.append(uniform((2, 1, fan_out), bound, generators).flatten(0, 1).requires_grad_())

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    def copies(self) -> tuple[list[Tensor], list[Tensor]]:
        """Detached copies: a target's parameters."""
        return [w.detach().clone() for w in self.weights], [b.detach().clone() for b in self.biases]

    @staticmethod
    def value(weights: Sequence[Tensor], biases: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """Q [runs, 2, batch] for inputs [runs, batch, features]."""
        runs, batch, features = inputs.shape
        value = inputs.unsqueeze(1).expand(runs, 2, batch, features).reshape(runs * 2, batch, features)
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            value = affine(value, weight, bias, relu=index + 1 < len(weights))
        return value.view(runs, 2, batch)


class _MinimumQ(torch.autograd.Function):
    """min_i Q_i(s, a) of frozen critics, with the gradient for the action only.

    Only the smaller critic of a sample passes a gradient on, so each critic's backward runs over its own samples: half
    the arithmetic of both critics over all, and none for the state or the weights.
    """

    @staticmethod
    def forward(ctx: Any, action: Tensor, seen: Tensor, layers: int, *parameters: Tensor) -> Tensor:
        weights, biases = parameters[:layers], parameters[layers:]
        runs, batch, _ = action.shape
        inputs = torch.cat([seen, action], dim=-1)
        value = inputs.unsqueeze(1).expand(runs, 2, batch, -1).reshape(runs * 2, batch, -1)
        hidden: list[Tensor] = []
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            value = affine(value, weight, bias, relu=index + 1 < layers)
            hidden.append(value)
        smallest, which = value.view(runs, 2, batch).min(1)
        ctx.save_for_backward(which, *hidden[:-1], *weights)
        ctx.sizes = (layers, action.shape)
        return smallest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (layers, shape), gradient = ctx.sizes, gradients[0]
        which, saved = ctx.saved_tensors[0], ctx.saved_tensors[1:]
        hidden, weights = saved[: layers - 1], saved[layers - 1 :]
        to_action = gradient.new_empty(shape)
        for run in range(shape[0]):
            for critic in (0, 1):
                rows, stack = (which[run] == critic).nonzero().squeeze(1), 2 * run + critic
                flow = gradient[run, rows].unsqueeze(1) * weights[-1][stack].T
                for index in range(layers - 2, -1, -1):
                    flow = torch.ops.aten.threshold_backward(flow, hidden[index][stack, rows], 0)
                    # Of the first layer only the action's inputs matter.
                    weight = weights[index][stack] if index else weights[0][stack, -shape[2] :]
                    flow = flow @ weight.T
                to_action[run, rows] = flow
        return to_action, None, None, *([None] * 2 * layers)


def minimum_q(weights: Sequence[Tensor], biases: Sequence[Tensor], seen: Tensor, action: Tensor) -> Tensor:
    """min_i Q_i(s, a) [runs, batch] with frozen critics; differentiable in the action, `layers` ≥ 2."""
    frozen = [tensor.detach() for tensor in (*weights, *biases)]
    value: Tensor = _MinimumQ.apply(action, seen, len(weights), *frozen)  # type: ignore[no-untyped-call]
    return value


def soft_target(
    reward: Tensor, discount: Tensor, next_q: Tensor, next_log_probability: Tensor, alpha: Tensor
) -> Tensor:
    """r + γ (min_i Q_i(s', a') − α log π(a'|s')) [runs, batch]; next_q [runs, 2, batch], alpha [runs, 1].

    Haarnoja et al. 2018, Equation 3 with clipped double Q; discount is 0 after a termination and γ after a time limit.
    """
    return reward + discount * (next_q.amin(1) - alpha * next_log_probability)
