"""Layers in torch with a run axis on every parameter: values [runs, batch, width], weights [runs, inputs, outputs]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from rtbench.graph import Layer, LayerGraph

TorchParameters = Mapping[str, Mapping[str, Tensor]]
_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_LARGE, _COPIED = 2**22, 2**23
"""Multiplications above which oneDNN's cost per call is repaid, and with a copy of the left side."""


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
    """Arithmetic of `rtbench.unrolling` on tensors [runs, batch, width]; with one run, plain matrices."""

    def __init__(self, parameters: TorchParameters) -> None:
        self._parameters = parameters

    def apply(self, layer: Layer, blocks: Sequence[Tensor]) -> Tensor:
        """relu(x W + b), x W + b, or an LSTM step whose value is [output, cell]."""
        parameters = self._parameters[layer.name]
        if layer.op == "lstm":
            state, width = blocks[-1], layer.width
            gates = affine([*blocks[:-1], state[..., :width]], parameters["weight"], parameters["bias"])
            admit, forget, candidate, emit = torch.split(gates, width, dim=-1)
            cell = forget.sigmoid() * state[..., width:] + admit.sigmoid() * candidate.tanh()
            return torch.cat([emit.sigmoid() * cell.tanh(), cell], dim=-1)
        return affine(blocks, parameters["weight"], parameters["bias"], relu=layer.activation == "relu")

    def total(self, values: Sequence[Tensor], scale: float) -> Tensor:
        """The scaled sum of blocks."""
        value = values[0]
        for other in values[1:]:
            value = value + other
        return value * scale

    def visible(self, layer: Layer, value: Tensor) -> Tensor:
        """What other layers read: an LSTM's output without its cell."""
        return value[..., : layer.width] if layer.op == "lstm" else value


def product(left: Tensor, right: Tensor, bias: Tensor | None = None, *, relu: bool = False) -> Tensor:
    """left · right (+ bias, rectified) for matrices [m, k], [k, n], [1, n]; not differentiable, any strides."""
    (m, k), n = left.shape, right.shape[1]
    if _worth_onednn(left, m, k, n, fused=relu or bias is not None):
        flat = None if bias is None else bias.view(-1)
        found: Tensor = _ONEDNN(left, right.t(), flat, "relu" if relu else "none", [], "")
        return found
    if n == 1:
        value = torch.mv(left, right.view(-1)).unsqueeze(1)
    elif k == 1:
        value = left * right
    else:
        value = torch.mm(left, right) if bias is None else torch.addmm(bias, left, right)
    if bias is not None and (n == 1 or k == 1):
        value += bias
    return value.relu_() if relu else value


def _worth_onednn(left: Tensor, m: int, k: int, n: int, *, fused: bool) -> bool:
    """Large single-precision products: the same precision, and up to twice as fast where torch's BLAS keeps to AVX2.

    oneDNN copies a transposed left side first, on one thread; its cost per call is repaid by large products only. In
    bfloat16 torch itself takes oneDNN, and this way only adds the bias and the rectifier to the same call.
    """
    if _ONEDNN is None or left.device.type != "cpu" or min(m, n) == 1 or m * k * n < _LARGE:
        return False
    if left.dtype == torch.bfloat16:
        return fused and left.is_contiguous()
    if left.dtype != torch.float32:
        return False
    return left.is_contiguous() or (m * k * n >= _COPIED and torch.get_num_threads() == 1)


def products(left: Tensor, right: Tensor, bias: Tensor | None = None, *, relu: bool = False) -> Tensor:
    """As `product`, for stacks [n, m, k], [n, k, ·], [n, 1, ·]: one by one in full precision on a CPU, else at once."""
    biases = [None] * len(left) if bias is None else bias.unbind()
    if len(left) == 1:
        return product(left[0], right[0], biases[0], relu=relu).unsqueeze(0)
    if left.device.type != "cpu" or left.dtype == torch.bfloat16:
        value = torch.bmm(left, right) if bias is None else torch.baddbmm(bias, left, right)
        return value.relu_() if relu else value
    found = [product(x, w, b, relu=relu) for x, w, b in zip(left.unbind(), right.unbind(), biases, strict=True)]
    return torch.stack(found)


def rectified_gradient(gradient: Tensor, value: Tensor) -> Tensor:
    """The gradient before a rectifier whose output was `value`."""
    found: Tensor = torch.ops.aten.threshold_backward(gradient, value, 0)
    return found


class _Affine(torch.autograd.Function):
    """[x₁, x₂, …] W + b, optionally rectified, for stacks: blocks [n, batch, ·], weight [n, inputs, outputs].

    One node for concatenation, product, sum and rectifier; blocks nobody trains through cost nothing backwards.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, relu: bool, *blocks: Tensor) -> Tensor:
        inputs = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=-1)
        value = products(inputs, weight, bias, relu=relu)
        ctx.save_for_backward(inputs, weight, value if relu else None)
        ctx.widths = [block.shape[-1] for block in blocks]
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, rectified = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if rectified is not None:
            gradient = rectified_gradient(gradient, rectified)
        wants_weight, wants_bias, _, *wants_blocks = ctx.needs_input_grad
        to_blocks: list[Tensor | None] = []
        for wanted, rows in zip(wants_blocks, weight.split(ctx.widths, dim=1), strict=True):
            to_blocks.append(products(gradient, rows.transpose(1, 2)) if wanted else None)
        to_weight = products(inputs.transpose(1, 2), gradient) if wants_weight else None
        return to_weight, gradient.sum(1, keepdim=True) if wants_bias else None, None, *to_blocks


def affine(inputs: Tensor | Sequence[Tensor], weight: Tensor, bias: Tensor, *, relu: bool = False) -> Tensor:
    """x W + b, optionally rectified: [n, batch, inputs] or blocks of it, [n, inputs, outputs], [n, 1, outputs]."""
    blocks = [inputs] if isinstance(inputs, Tensor) else inputs
    value: Tensor = _Affine.apply(weight, bias, relu, *blocks)  # type: ignore[no-untyped-call]
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
