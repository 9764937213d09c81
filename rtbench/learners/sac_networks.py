"""The networks and losses of SAC under delay, with a run axis on every parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log, pi, sqrt

import torch
from torch import Tensor

from rtbench.backends.torch_arithmetic import TorchArithmetic, product, rectified_gradient, uniform
from rtbench.graph import Lags, Layer, LayerGraph, Plan
from rtbench.unrolling import instant, unroll

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


def squashed_gradient(output: Tensor, noise: Tensor, action: Tensor, to_action: Tensor, to_log_p: Tensor) -> Tensor:
    """The gradient for `squashed`'s output, given those for its action [..., A] and its log-probability [..., 1]."""
    _, raw = output.chunk(2, dim=-1)
    turned, half_range = raw.tanh(), 0.5 * (LOG_STD_HIGH - LOG_STD_LOW)
    sigma = (LOG_STD_LOW + half_range * (turned + 1)).exp()
    # Near ±1 the difference 1 − a² is nearly cancelled: torch's own kernel rounds it as autograd does.
    to_mean = torch.ops.aten.tanh_backward(to_action + to_log_p * 2 * action / (1 - action.square() + 1e-6), action)
    to_log_std = (to_mean * noise * sigma - to_log_p) * half_range
    return torch.cat([to_mean, torch.ops.aten.tanh_backward(to_log_std, turned)], dim=-1)


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
    """Twin critics Q(s, a): parameters [runs·2, inputs, outputs], one layer after the other; see `one` for a member."""

    def __init__(self, inputs: int, width: int, layers: int, generators: Sequence[torch.Generator]) -> None:
        sizes = [inputs, *[width] * layers, 1]
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        for fan_in, fan_out in pairwise(sizes):
            bound = 1 / sqrt(fan_in)
            self.weights.append(uniform((2, fan_in, fan_out), bound, generators).flatten(0, 1))
            self.biases.append(uniform((2, 1, fan_out), bound, generators).flatten(0, 1))

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    @property
    def members(self) -> list[Tensor]:
        """Views of the parameters, critic by critic: its weights, then its biases."""
        return [tensor[i] for i in range(len(self.weights[0])) for tensor in self.parameters]

    def copies(self) -> tuple[list[Tensor], list[Tensor]]:
        """A target's parameters."""
        return [w.clone() for w in self.weights], [b.clone() for b in self.biases]

    @staticmethod
    def value(weights: Sequence[Tensor], biases: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """Q [runs, 2, batch] for inputs [runs, batch, features]."""
        found = [critic_values(*one(weights, biases, i), inputs[i // 2])[-1] for i in range(2 * len(inputs))]
        return torch.stack(found).view(len(inputs), 2, inputs.shape[1])

    def gradients(self, inputs: Tensor, goal: Tensor) -> list[Tensor]:
        """Of Σ_critics mean (Q − goal)² for `members`; inputs [runs, batch, features], goal [runs, batch]."""
        found: list[Tensor] = []
        for i in range(2 * len(inputs)):
            weights, biases = one(self.weights, self.biases, i)
            values = critic_values(weights, biases, inputs[i // 2])
            flow = (values[-1] - goal[i // 2].unsqueeze(1)) * (2 / goal.shape[1])
            to_weights: list[Tensor] = []
            to_biases: list[Tensor] = []
            for index in reversed(range(len(weights))):
                to_weights.append(product(values[index].t(), flow))
                to_biases.append(flow.sum(0, keepdim=True))
                if index:
                    flow = rectified_gradient(product(flow, weights[index].t()), values[index])
            found += [*reversed(to_weights), *reversed(to_biases)]
        return found


def one(weights: Sequence[Tensor], biases: Sequence[Tensor], index: int) -> tuple[list[Tensor], list[Tensor]]:
    """The weights [inputs, outputs] and biases [1, outputs] of critic `index`: 2·run, or 2·run + 1."""
    return [weight[index] for weight in weights], [bias[index] for bias in biases]


def critic_values(weights: Sequence[Tensor], biases: Sequence[Tensor], inputs: Tensor) -> list[Tensor]:
    """The inputs [batch, features] and every layer's value of one critic; the last is Q [batch, 1]."""
    values = [inputs]
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        values.append(product(values[-1], weight, bias, relu=index + 1 < len(weights)))
    return values


def minimum_q(
    weights: Sequence[Tensor], biases: Sequence[Tensor], seen: Tensor, action: Tensor
) -> tuple[Tensor, Tensor]:
    """min_i Q_i(s, a) [runs, batch] and its gradient for the action [runs, batch, A], with at least one hidden layer.

    Only the smaller critic of a sample passes a gradient on, so each critic is gone through backwards for its own
    samples: half the arithmetic of both critics over all, and none for the state or the weights.
    """
    runs, batch, size = action.shape
    smallest, slope = action.new_empty(runs, batch), torch.empty_like(action)
    inputs = torch.cat([seen, action], dim=-1)
    for run in range(runs):
        members = [one(weights, biases, 2 * run + critic) for critic in (0, 1)]
        values = [critic_values(*member, inputs[run]) for member in members]
        first, second = values[0][-1].squeeze(1), values[1][-1].squeeze(1)
        torch.minimum(first, second, out=smallest[run])
        takes_first = first <= second
        for (own, _), layers, mine in zip(members, values, (takes_first, ~takes_first), strict=True):
            rows = mine.nonzero().squeeze(1)
            flow = own[-1].t().expand(len(rows), -1)
            for index in range(len(own) - 2, -1, -1):
                flow = rectified_gradient(flow, layers[index + 1].index_select(0, rows))
                # Of the first layer only the action's inputs matter.
                flow = product(flow, (own[index] if index else own[0][-size:]).t())
            slope[run].index_copy_(0, rows, flow)
    return smallest, slope


def soft_target(
    reward: Tensor, discount: Tensor, next_q: Tensor, next_log_probability: Tensor, alpha: Tensor
) -> Tensor:
    """r + γ (min_i Q_i(s', a') − α log π(a'|s')) [runs, batch]; next_q [runs, 2, batch], alpha [runs, 1].

    Haarnoja et al. 2018, Equation 3 with clipped double Q; discount is 0 after a termination and γ after a time limit.
    """
    return reward + discount * (next_q.amin(1) - alpha * next_log_probability)
