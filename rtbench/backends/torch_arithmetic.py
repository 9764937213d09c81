"""Layers in torch with a run axis on every parameter: values [runs, batch, width], weights [runs, inputs, outputs]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from rtbench.graph import Layer, LayerGraph

TorchParameters = Mapping[str, Mapping[str, Tensor]]


def initial_parameters(graph: LayerGraph, generators: Sequence[torch.Generator]) -> dict[str, dict[str, Tensor]]:
    """Uniform in ±1/√inputs for weights and biases (torch's default for linear layers), one generator per run."""
    found: dict[str, dict[str, Tensor]] = {}
    for layer in graph.layers:
        inputs = graph.input_width(layer)
        outputs = 4 * layer.width if layer.op == "lstm" else layer.width
        # torch bounds an LSTM's weights by its hidden width, a linear layer's by its inputs.
        bound = 1 / sqrt(layer.width if layer.op == "lstm" else inputs)
        found[layer.name] = {
            "weight": uniform((inputs, outputs), bound, generators),
            "bias": uniform((1, outputs), bound, generators),
        }
    return found


def uniform(shape: tuple[int, ...], bound: float, generators: Sequence[torch.Generator]) -> Tensor:
    """[runs, *shape], each run from its own generator."""
    return torch.stack([(torch.rand(shape, generator=g) * 2 - 1) * bound for g in generators])


class TorchArithmetic:
    """Arithmetic of `rtbench.graph` on tensors [runs, batch, width]; with one run, plain matrices."""

    def __init__(self, parameters: TorchParameters) -> None:
        self._parameters = parameters

    def apply(self, layer: Layer, blocks: Sequence[Tensor]) -> Tensor:
        """relu(x W + b), x W + b, or an LSTM step whose value is [output, cell]."""
        parameters = self._parameters[layer.name]
        if layer.op == "lstm":
            state, width = blocks[-1], layer.width
            inputs = torch.cat([*blocks[:-1], state[..., :width]], dim=-1)
            gates = affine(inputs, parameters["weight"], parameters["bias"])
            admit, forget, candidate, emit = torch.split(gates, width, dim=-1)
            cell = forget.sigmoid() * state[..., width:] + admit.sigmoid() * candidate.tanh()
            return torch.cat([emit.sigmoid() * cell.tanh(), cell], dim=-1)
        inputs = blocks[0] if len(blocks) == 1 else torch.cat(list(blocks), dim=-1)
        return affine(inputs, parameters["weight"], parameters["bias"], relu=layer.activation == "relu")

    def total(self, values: Sequence[Tensor], scale: float) -> Tensor:
        """The scaled sum of blocks."""
        value = values[0]
        for other in values[1:]:
            value = value + other
        return value * scale

    def visible(self, layer: Layer, value: Tensor) -> Tensor:
        """What other layers read: an LSTM's output without its cell."""
        return value[..., : layer.width] if layer.op == "lstm" else value


class _Affine(torch.autograd.Function):
    """x W + b, optionally rectified, for stacks [n, batch, inputs] × [n, inputs, outputs].

    One node instead of three, every gradient contiguous, and none computed that nobody needs.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        if weight.shape[2] == 1:  # a product with one column is a weighted sum: the matrix kernel is six times slower
            value = (inputs * weight.transpose(1, 2)).sum(-1, keepdim=True) + bias
        else:
            value = torch.baddbmm(bias, inputs, weight)
        if relu:
            value.relu_()
        ctx.save_for_backward(inputs, weight, value if relu else None)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight, rectified = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if rectified is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, rectified, 0)
        wants, turned = ctx.needs_input_grad, weight.transpose(1, 2)
        if weight.shape[2] == 1:
            to_inputs = gradient * turned if wants[0] else None
            to_weight = torch.bmm(gradient.transpose(1, 2), inputs).transpose(1, 2) if wants[1] else None
        else:
            to_inputs = torch.bmm(gradient, turned) if wants[0] else None
            to_weight = torch.bmm(inputs.transpose(1, 2), gradient) if wants[1] else None
        return to_inputs, to_weight, gradient.sum(1, keepdim=True) if wants[2] else None, None


def affine(inputs: Tensor, weight: Tensor, bias: Tensor, *, relu: bool = False) -> Tensor:
    """x W + b, optionally rectified: [n, batch, inputs], [n, inputs, outputs], [n, 1, outputs]."""
    value: Tensor = _Affine.apply(inputs, weight, bias, relu)  # type: ignore[no-untyped-call]
    return value


class TorchRollout(TorchArithmetic):
    """Arithmetic over whole rollouts: values [runs, ticks, batch, width], one call per layer.

    `since` [runs, ticks, batch]: ticks since the episode's start. `before[node]` broadcasts to a node's values: what
    the start rule gives for ticks before the episode, `first` the episode's first observation at every tick.
    """

    def __init__(
        self, parameters: TorchParameters, since: Tensor, first: Tensor, before: Mapping[str, Tensor], no_action: Tensor
    ) -> None:
        super().__init__(parameters)
        self._since = since
        self._before = {**before, "observation": first, "action": no_action}

    def apply(self, layer: Layer, blocks: Sequence[Tensor]) -> Tensor:
        """As for one tick, over ticks × batch rows."""
        runs, ticks, batch = blocks[0].shape[:3]
        flat = super().apply(layer, [block.reshape(runs, ticks * batch, -1) for block in blocks])
        return flat.reshape(runs, ticks, batch, -1)

    def shift(self, node: str, value: Tensor, ticks: int) -> Tensor:
        """The value `ticks` earlier; before the episode, or the rollout, the start rule's."""
        if ticks == 0:
            return value
        fill = self._before[node].expand_as(value)
        earlier = torch.cat([fill[:, :ticks], value[:, : max(0, value.shape[1] - ticks)]], dim=1)[:, : value.shape[1]]
        return torch.where((self._since < ticks).unsqueeze(-1), fill, earlier)

    def ticks(self) -> int:
        """Ticks of the rollout."""
        return int(self._since.shape[1])

    def at(self, value: Tensor, tick: int) -> Tensor:
        """One tick, the time axis kept: [runs, 1, batch, width]."""
        return value[:, tick : tick + 1]

    def stack(self, values: Sequence[Tensor]) -> Tensor:
        """Single ticks as one rollout."""
        return torch.cat(list(values), dim=1)

    def earlier(self, node: str, values: Sequence[Tensor], tick: int, ticks: int) -> Tensor:
        """A recurrent node's value `ticks` before `tick`; before the episode, or the rollout, the start rule's."""
        since = self._since[:, tick : tick + 1]
        before = self._before[node]
        fill = before[:, min(tick, before.shape[1] - 1)].unsqueeze(1)
        if tick < ticks:
            return fill.expand(*since.shape, fill.shape[-1])
        return torch.where((since < ticks).unsqueeze(-1), fill, values[tick - ticks])
