"""The networks and losses of SAC under delay, with a run axis on every parameter."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import log, pi, sqrt

import torch
from torch import Tensor

from rtbench.backends.torch_arithmetic import products, rectified_gradient, uniform
from rtbench.backends.torch_training import Tape, Value
from rtbench.graph import Lags, Layer, LayerGraph, Plan
from rtbench.unrolling import instant, unroll

LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0
_HALF_RANGE = 0.5 * (LOG_STD_HIGH - LOG_STD_LOW)
EPISODE_START = 2**40
"""A tick further back than any episode's start: reading it gives the episode's first observation."""
_HALF_LOG_2_PI = 0.5 * log(2 * pi)


def squashed(output: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A tanh-squashed Gaussian action [..., A] and its log-probability [...] from the head's output [..., 2·A].

    log σ = −5 + 3.5·(tanh(raw) + 1); the density includes the squashing, Σ log(1 − a² + 1e-6).
    """
    mean, raw = output.chunk(2, dim=-1)
    log_std = raw.tanh().mul(_HALF_RANGE).add_(LOG_STD_LOW + _HALF_RANGE)
    action = torch.addcmul(mean, log_std.exp(), noise).tanh_()
    squashing = action.square().neg_().add_(1).add_(1e-6).log_()
    log_density = squashing.add_(log_std).add_(noise.square(), alpha=0.5).sum(-1)
    return action, log_density.add_(_HALF_LOG_2_PI * action.shape[-1]).neg_()


def squashed_gradient(output: Tensor, noise: Tensor, action: Tensor, to_action: Tensor, to_log_p: Tensor) -> Tensor:
    """The gradient for `squashed`'s output, given those for its action [..., A] and its log-probability [..., 1]."""
    _, raw = output.chunk(2, dim=-1)
    turned = raw.tanh()
    sigma = turned.mul(_HALF_RANGE).add_(LOG_STD_LOW + _HALF_RANGE).exp_()
    # Near ±1 the difference 1 − a² is nearly cancelled: torch's own kernel rounds it as autograd does.
    to_mean = torch.ops.aten.tanh_backward(to_action + to_log_p * 2 * action / (1 - action.square() + 1e-6), action)
    to_log_std = (to_mean * noise * sigma - to_log_p) * _HALF_RANGE
    return torch.cat([to_mean, torch.ops.aten.tanh_backward(to_log_std, turned)], dim=-1)


class Working:
    """Parameters as products see them: themselves, or with precision bf16 copies in bfloat16 that `refresh` renews."""

    def __init__(self, trained: Sequence[Tensor], precision: str) -> None:
        self._trained = list(trained)
        self._copies = [tensor.to(torch.bfloat16) for tensor in trained] if precision == "bf16" else []
        self.tensors = self._copies or self._trained

    def refresh(self) -> None:
        """Take over changed parameters."""
        if self._copies:
            torch._foreach_copy_(self._copies, self._trained)


class Actor:
    """The policy's graph with trainable parameters, evaluated on windows.

    `precision` bf16: hidden layers multiply in bfloat16, with copies of the parameters that `refresh` renews; the head
    stays in single precision, as everything outside.
    """

    def __init__(
        self,
        graph: LayerGraph,
        lags: Lags,
        plan: Plan,
        parameters: Mapping[str, Mapping[str, Tensor]],
        start: str,
        *,
        precision: str = "fp32",
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        """`generators`: one per run, for layers with dropout."""
        self.graph, self.lags, self.plan, self.start = graph, lags, plan, start
        self.parameters, self._generators = parameters, generators
        hidden = [(name, kind) for name, layer in parameters.items() for kind in layer if name != graph.head.name]
        self._working = Working([parameters[name][kind] for name, kind in hidden], precision)
        self._products = {name: dict(layer) for name, layer in parameters.items()}
        for (name, kind), tensor in zip(hidden, self._working.tensors, strict=True):
            self._products[name][kind] = tensor
        self._observation = {ticks: index for index, ticks in enumerate(plan.observation_ticks)}
        self._action = {ticks: index for index, ticks in enumerate(plan.action_ticks)}
        # `hold` needs the episode's first observation beside the window: further back than any episode reaches.
        self.observation_ticks = (*plan.observation_ticks, *((EPISODE_START,) if start == "hold" else ()))
        self._nodes = sorted({ticks for _, ticks in plan.nodes if ticks})

    @property
    def tensors(self) -> list[Tensor]:
        """The parameters, layer by layer: weight, bias."""
        return [tensor for layer in self.parameters.values() for tensor in layer.values()]

    def refresh(self) -> None:
        """Take over changed parameters into what products are made with."""
        self._working.refresh()

    def head(self, window: Tensor, actions: Tensor, since: Tensor) -> Tensor:
        """The head's output [runs, batch, O] that a decision had.

        window [runs, W, batch, F] in the order of `observation_ticks`, actions [runs, V, batch, A] in the plan's; since
        [runs, batch] in the host's memory.
        """
        return self._run(Tape(self._products, self._draw, recording=False), window, actions, since).tensor

    def trained(
        self, window: Tensor, actions: Tensor, since: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
        """As `head`, with the way back: from a gradient for the output to those for `tensors`."""
        tape = Tape(self._products, self._draw)
        output = self._run(tape, window, actions, since)
        return output.tensor, lambda gradient: tape.gradients(output, gradient, self.parameters)

    def _run(self, tape: Tape, window: Tensor, actions: Tensor, since: Tensor) -> Value:
        held = functools.cache(lambda: self._held(window[:, -1]))
        # Few samples lie near an episode's start; often there is none, and nothing to replace.
        rows = {k: (since < k).flatten().nonzero().squeeze(1) for k in self._nodes}

        def replaced(node: str, ticks: int, value: Value) -> Value:
            if not len(rows[ticks]):
                return value
            fill = held()[node] if self.start == "hold" else None
            return tape.restarted(value, rows[ticks].to(window.device), fill)

        def earlier(layer: Layer, ticks: int) -> Value:
            if self.start == "hold":
                return Value(held()[layer.name])
            return Value(window.new_zeros(window.shape[0], window.shape[2], layer.state_width), zero=True)

        return unroll(
            self.graph,
            self.lags,
            self.plan,
            tape,
            observation=lambda ticks: Value(window[:, self._observation[ticks]]),
            action=lambda ticks: Value(actions[:, self._action[ticks]]),
            started=replaced,
            before=earlier,
        )

    def _draw(self, batch: int, width: int) -> Tensor:
        return torch.stack([torch.rand(batch, width, generator=generator) for generator in self._generators])

    def _held(self, first: Tensor) -> dict[str, Tensor]:
        """The start rule `hold`: one pass on the episode's first observation [runs, batch, F], not trained through."""
        values = instant(
            self.graph,
            Tape(self._products, self._draw, recording=False),
            Value(first),
            Value(first.new_zeros(*first.shape[:-1], self.graph.action_size)),
            lambda layer: Value(first.new_zeros(*first.shape[:-1], layer.state_width), zero=True),
        )
        return {name: value.tensor for name, value in values.items()}


class Layers:
    """Critics' layers as products see them: weights [critics, inputs, outputs], biases [critics, 1, outputs].

    The last layer, and with it Q, stays in the parameters' precision. Critics are gone through one after the other, for
    a layer's values just fit a core's cache, or `together`, where the cost of a call counts more.
    """

    def __init__(
        self, weights: Sequence[Tensor], biases: Sequence[Tensor], precision: str = "fp32", *, together: bool = False
    ) -> None:
        self._working = Working([*weights[:-1], *biases[:-1]], precision)
        hidden = len(weights) - 1
        self.weights = [*self._working.tensors[:hidden], weights[-1]]
        self.biases = [*self._working.tensors[hidden:], biases[-1]]
        critics = len(weights[0])
        size = critics if together else 1
        self._groups = [slice(begin, begin + size) for begin in range(0, critics, size)]

    def refresh(self) -> None:
        """Take over changed parameters."""
        self._working.refresh()

    def _values(self, group: slice, inputs: Tensor) -> list[Tensor]:
        """The inputs [runs, batch, features] and every layer's value [critics, batch, width] of a group of critics."""
        doubled = (
            inputs.repeat_interleave(2, 0) if group.stop - group.start > 1 else inputs[group.start // 2].unsqueeze(0)
        )
        values = [doubled.to(self.weights[0].dtype)]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            below, rectified = values[-1].to(weight.dtype), layer + 1 < len(self.weights)
            values.append(products(below, weight[group], bias[group], relu=rectified))
        return values

    def q(self, inputs: Tensor) -> Tensor:
        """Q [runs, 2, batch] for inputs [runs, batch, features]."""
        found = [self._values(group, inputs)[-1] for group in self._groups]
        return torch.cat(found).view(len(inputs), 2, inputs.shape[1])

    def gradients(self, inputs: Tensor, goal: Tensor) -> list[Tensor]:
        """Of Σ_critics mean (Q − goal)², in the order of `Critics.members`.

        inputs [runs, batch, features], goal [runs, batch].
        """
        return [gradient for group in self._groups for gradient in self._gradients(group, inputs, goal)]

    def _gradients(self, group: slice, inputs: Tensor, goal: Tensor) -> list[Tensor]:
        """A group's, critic by critic: weights first."""
        weights = [weight[group] for weight in self.weights]
        values = self._values(group, inputs)
        goals = goal[group.start // 2 : (group.stop + 1) // 2].repeat_interleave(2, 0)[: len(weights[0])]
        flow = (values[-1] - goals.unsqueeze(2)) * (2 / goal.shape[1])
        to_weights: list[Tensor] = []
        to_biases: list[Tensor] = []
        for layer in reversed(range(len(weights))):
            flow = flow.to(weights[layer].dtype)
            to_weights.append(products(values[layer].to(flow.dtype).transpose(1, 2), flow).to(goal.dtype))
            to_biases.append(flow.sum(1, keepdim=True, dtype=goal.dtype))
            if layer:
                flow = products(flow, weights[layer].transpose(1, 2))
                flow = rectified_gradient(flow.to(values[layer].dtype), values[layer])
        stacks = [*reversed(to_weights), *reversed(to_biases)]
        return [stack[critic] for critic in range(len(weights[0])) for stack in stacks]

    def minimum(self, seen: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """min_i Q_i(s, a) [runs, batch] and its gradient for the action [runs, batch, A]; at least one hidden layer.

        Only the smaller critic of a sample passes a gradient on, and none goes to the state or the weights. Critic by
        critic, each is gone through backwards for its own samples alone: half the arithmetic. All at once, the others'
        gradients are masked, and no shape depends on a value, which a device would have to be waited for.
        """
        inputs = torch.cat([seen, action], dim=-1)
        values = [self._values(group, inputs) for group in self._groups]
        q = torch.cat([group[-1] for group in values]).view(len(inputs), 2, -1)
        takes_first = q[:, :1] <= q[:, 1:]
        mine = torch.cat([takes_first, ~takes_first], dim=1).flatten(0, 1)
        if len(values[0][-1]) == len(mine):
            slopes = self._slopes(self._groups[0], values[0], mine.unsqueeze(2), action.shape[2])
            return q.amin(1), slopes.view(len(inputs), 2, *action.shape[1:]).sum(1)
        slope = torch.empty_like(action)
        for group, found, chosen in zip(self._groups, values, mine, strict=True):
            rows = chosen.nonzero().squeeze(1)
            own = [found[0], *(value.index_select(1, rows) for value in found[1:-1])]
            slope[group.start // 2].index_copy_(0, rows, self._slopes(group, own, None, action.shape[2])[0])
        return q.amin(1), slope

    def _slopes(self, group: slice, values: Sequence[Tensor], mask: Tensor | None, size: int) -> Tensor:
        """A group's gradients [critics, batch, size] of Q for the last inputs, given the values below."""
        weights = [weight[group] for weight in self.weights]
        flow = weights[-1].transpose(1, 2)
        flow = flow.expand(-1, values[-1].shape[1], -1) if mask is None else flow * mask
        for layer in range(len(weights) - 2, -1, -1):
            flow = rectified_gradient(flow.to(weights[layer].dtype), values[layer + 1])
            # Of the first layer only the action's inputs matter.
            flow = products(flow, (weights[layer] if layer else weights[0][:, -size:]).transpose(1, 2))
        return flow.to(weights[-1].dtype)


class Critics:
    """Twin critics Q(s, a): parameters [runs·2, inputs, outputs], one layer after the other, and their target."""

    def __init__(
        self, inputs: int, width: int, layers: int, generators: Sequence[torch.Generator], precision: str = "fp32"
    ) -> None:
        sizes = [inputs, *[width] * layers, 1]
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        for fan_in, fan_out in pairwise(sizes):
            bound = 1 / sqrt(fan_in)
            self.weights.append(uniform((2, fan_in, fan_out), bound, generators).flatten(0, 1))
            self.biases.append(uniform((2, 1, fan_out), bound, generators).flatten(0, 1))
        self.target = [tensor.clone() for tensor in self.parameters]
        together = precision == "bf16"
        self.layers = Layers(self.weights, self.biases, precision, together=together)
        self.target_layers = Layers(self.target[: layers + 1], self.target[layers + 1 :], precision, together=together)

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    @property
    def members(self) -> list[Tensor]:
        """Views of the parameters, critic by critic: its weights, then its biases."""
        return [tensor[i] for i in range(len(self.weights[0])) for tensor in self.parameters]

    def follow(self, share: float) -> None:
        """Let the target take over a share of the parameters (Polyak averaging)."""
        torch._foreach_lerp_(self.target, self.parameters, share)
        self.target_layers.refresh()


def soft_target(
    reward: Tensor, discount: Tensor, next_q: Tensor, next_log_probability: Tensor, alpha: Tensor
) -> Tensor:
    """r + γ (min_i Q_i(s', a') − α log π(a'|s')) [runs, batch]; next_q [runs, 2, batch], alpha [runs, 1].

    Haarnoja et al. 2018, Equation 3 with clipped double Q; discount is 0 after a termination and γ after a time limit.
    """
    return reward + discount * (next_q.amin(1) - alpha * next_log_probability)
