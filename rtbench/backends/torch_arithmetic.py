"""Layers in torch with a run axis on every parameter: values [runs, batch, width], weights [runs, inputs, outputs]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from rtbench.backends.torch_images import convolved, pooled
from rtbench.graph import Layer, LayerGraph, Shape, outputs

TorchParameters = Mapping[str, Mapping[str, Tensor]]
_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
LARGE, _COPIED = 2**22, 2**23
"""Multiplications above which oneDNN's cost per call is repaid, and with a copy of the left side."""
_APART = 2**20
"""Numbers above which joining the blocks of an input costs more than a product for each."""


Initialise = Callable[[LayerGraph, Layer, Sequence[torch.Generator]], tuple[Tensor, Tensor]]
"""Weight [runs, inputs, outputs] and bias [runs, 1, outputs] of a layer before training, one generator per run."""


def initial_parameters(
    graph: LayerGraph, generators: Sequence[torch.Generator], initialise: Initialise | None = None
) -> dict[str, dict[str, Tensor]]:
    """Every layer's parameters, one generator per run; `initialise` is `uniform_by_inputs` unless given."""
    made = {layer.name: (initialise or uniform_by_inputs)(graph, layer, generators) for layer in graph.layers}
    return {name: {"weight": weight, "bias": bias} for name, (weight, bias) in made.items()}


def uniform_by_inputs(graph: LayerGraph, layer: Layer, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
    """Uniform in ±1/√inputs for weights and biases: torch's default for linear layers and convolutions."""
    inputs = graph.input_width(layer)
    # torch bounds an LSTM's weights by its hidden width, a linear layer's by its inputs.
    bound = 1 / sqrt(layer.width if layer.op == "lstm" else inputs)
    weight = uniform((inputs, outputs(layer)), bound, generators)
    return weight, uniform((1, outputs(layer)), bound, generators)


def orthogonal(head_gain: float, gain: float = sqrt(2)) -> Initialise:
    """Orthogonal weights and zero biases, as PPO is mostly published (Saxe et al. 2014; Huang et al. 2022, detail 2).

    Hidden layers times `gain`, the head times `head_gain`: 0.01 for logits, 1 for a value. An LSTM's weights are
    orthogonal for the inputs and for its own output, each times 1.
    """

    def initialise(graph: LayerGraph, layer: Layer, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        inputs, columns = graph.input_width(layer), outputs(layer)
        split = [inputs - layer.width, layer.width] if layer.op == "lstm" else [inputs]
        scale = head_gain if layer is graph.head else 1.0 if layer.op == "lstm" else gain
        weights = [torch.cat([_orthogonal(rows, columns, drawn) for rows in split]) * scale for drawn in generators]
        return torch.stack(weights), torch.zeros(len(generators), 1, columns)

    return initialise


def _orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Rows or columns, whichever are fewer, orthonormal; the signs make the distribution uniform (Mezzadri 2007)."""
    drawn = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    basis, triangle = torch.linalg.qr(drawn)
    basis *= triangle.diagonal().sign()
    found: Tensor = basis if rows >= columns else basis.t()
    return found


def uniform(shape: tuple[int, ...], bound: float, generators: Sequence[torch.Generator]) -> Tensor:
    """[runs, *shape], each run from its own generator."""
    return torch.stack([(torch.rand(shape, generator=g) * 2 - 1) * bound for g in generators])


class TorchArithmetic:
    """Arithmetic of `rtbench.unrolling` on tensors [runs, batch, width]; with one run, plain matrices."""

    def __init__(self, parameters: TorchParameters, observation_scale: float = 1.0) -> None:
        """Observations may be bytes: they are converted where they are used, and multiplied by `observation_scale`."""
        self._parameters, self._scale = parameters, observation_scale
        self._dtype = next(iter(parameters.values()))["weight"].dtype

    def apply(self, layer: Layer, blocks: Sequence[Tensor]) -> Tensor:
        """relu(x W + b), x W + b, the same of patches, or an LSTM step whose value is [output, cell]."""
        weight, bias = self._parameters[layer.name]["weight"], self._parameters[layer.name]["bias"]
        blocks = [self._served(block) for block in blocks]
        if layer.op == "conv":
            return convolved(layer, blocks, weight, bias)
        if layer.op == "lstm":
            state, width = blocks[-1], layer.width
            return lstm_value(affine([*blocks[:-1], state[..., :width]], weight, bias), state[..., width:])
        return affine(blocks, weight, bias, relu=layer.activation == "relu")

    def total(self, values: Sequence[Tensor], scale: float) -> Tensor:
        """The scaled sum of blocks."""
        value = self._served(values[0])
        for other in values[1:]:
            value = value + self._served(other)
        return value * scale

    def visible(self, layer: Layer, value: Tensor) -> Tensor:
        """What other layers read: an LSTM's output without its cell."""
        return value[..., : layer.width] if layer.op == "lstm" else value

    def pool(self, value: Tensor, shape: Shape, size: tuple[int, int]) -> Tensor:
        """Images max-pooled."""
        return pooled(value, shape, size)

    def _served(self, block: Tensor) -> Tensor:
        """A block in the type of the weights; bytes are observations."""
        if block.is_floating_point():
            return block.to(self._dtype)
        converted = block.to(self._dtype)
        return converted if self._scale == 1.0 else converted.mul_(self._scale)


def lstm_value(gates: Tensor, cell: Tensor) -> Tensor:
    """[output, cell] of an LSTM from the sums of its gates (input, forget, candidate, output) and its last cell."""
    admit, forget, candidate, emit = torch.split(gates, cell.shape[-1], dim=-1)
    cell = forget.sigmoid() * cell + admit.sigmoid() * candidate.tanh()
    return torch.cat([emit.sigmoid() * cell.tanh(), cell], dim=-1)


def activated(layer: Layer, blocks: Sequence[Tensor], weight: Tensor, begun: Tensor) -> Tensor:
    """A recurrent layer's value from a part of its sum [runs, batch, outputs] and the blocks that are missing in it."""
    if layer.op == "lstm":
        state, width = blocks[-1], layer.width
        inputs = torch.cat([*blocks[:-1], state[..., :width]], dim=-1)
        return lstm_value(torch.baddbmm(begun, inputs, weight), state[..., width:])
    value = torch.baddbmm(begun, torch.cat(list(blocks), dim=-1), weight)
    return value.relu() if layer.activation == "relu" else value


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
    if _ONEDNN is None or left.device.type != "cpu" or min(m, n) == 1 or m * k * n < LARGE:
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

    One node for concatenation, product, sum and rectifier; blocks nobody trains through cost nothing backwards. Large
    blocks are never joined: each has its own product with its rows of W.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, relu: bool, *blocks: Tensor) -> Tensor:
        joined = len(blocks) > 1 and blocks[0].shape[1] * weight.shape[1] < _APART
        inputs = (torch.cat(blocks, dim=-1),) if joined else blocks
        if len(inputs) == 1:
            value = products(inputs[0], weight, bias, relu=relu)
        else:
            value = _sum_of_products(inputs, weight, bias)
            value = value.relu_() if relu else value
        ctx.save_for_backward(weight, value if relu else None, *inputs)
        ctx.widths = [block.shape[-1] for block in blocks]
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, rectified, *inputs = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if rectified is not None:
            gradient = rectified_gradient(gradient, rectified)
        wants_weight, wants_bias, _, *wants_blocks = ctx.needs_input_grad
        to_blocks: list[Tensor | None] = []
        for wanted, rows in zip(wants_blocks, weight.split(ctx.widths, dim=1), strict=True):
            to_blocks.append(products(gradient, rows.transpose(1, 2)) if wanted else None)
        to_weight = _gradient_by_rows(inputs, gradient) if wants_weight else None
        return to_weight, gradient.sum(1, keepdim=True) if wants_bias else None, None, *to_blocks


def _sum_of_products(blocks: Sequence[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """Σ xᵢ Wᵢ + b, block by block into one result."""
    value = bias.repeat(1, blocks[0].shape[1], 1)
    for block, rows in zip(blocks, torch.split(weight, [block.shape[-1] for block in blocks], dim=1), strict=True):
        for into, left, right in zip(value.unbind(), block.unbind(), rows.unbind(), strict=True):
            into.addmm_(left, right)
    return value


def _gradient_by_rows(blocks: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """xᵢᵀ · gradient for every block, one below the other."""
    if len(blocks) == 1:
        return products(blocks[0].transpose(1, 2), gradient)
    widths = [block.shape[-1] for block in blocks]
    found = gradient.new_empty(len(gradient), sum(widths), gradient.shape[-1])
    for block, rows in zip(blocks, torch.split(found, widths, dim=1), strict=True):
        for out, left, right in zip(rows.unbind(), block.unbind(), gradient.unbind(), strict=True):
            torch.mm(left.t(), right, out=out)
    return found


def affine(inputs: Tensor | Sequence[Tensor], weight: Tensor, bias: Tensor, *, relu: bool = False) -> Tensor:
    """x W + b, optionally rectified: [n, batch, inputs] or blocks of it, [n, inputs, outputs], [n, 1, outputs]."""
    blocks = [inputs] if isinstance(inputs, Tensor) else inputs
    value: Tensor = _Affine.apply(weight, bias, relu, *blocks)  # type: ignore[no-untyped-call]
    return value
