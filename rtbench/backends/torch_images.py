"""Images in torch: convolutions and max-pooling of values that lie flat in the order height, width, channels.

That order is torch's channels-last memory, so a view is enough on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from rtbench.graph import Layer, Shape


def convolved(layer: Layer, blocks: Sequence[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution of images joined along their channels, pooled, added to, rectified if the layer is; differentiable.

    Blocks [runs, batch, height · width · channels], weight [runs, kernel · kernel · channels, outputs] (rows in the
    order height, width, channels), bias [runs, 1, outputs]; one call per run.
    """
    how, image = layer.convolution, layer.image
    assert how
    assert image
    runs, batch = blocks[0].shape[:2]
    *read, added = blocks if layer.residual else (*blocks, None)
    parts = [block.reshape(runs, batch, *image, -1) for block in read if block is not None]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
    joined = joined.relu() if layer.rectifies else joined
    kernels = weight.reshape(runs, how.kernel, how.kernel, -1, weight.shape[2]).permute(0, 4, 3, 1, 2)
    found = []
    for run, (pixels, kernel, shift) in enumerate(zip(joined.unbind(), kernels.unbind(), bias.unbind(), strict=True)):
        value = functional.conv2d(
            pixels.permute(0, 3, 1, 2),
            kernel.contiguous(memory_format=torch.channels_last),
            shift.view(-1),
            how.stride,
            how.padding,
        )
        if layer.pool:
            value = functional.max_pool2d(value, layer.pool.kernel, layer.pool.stride, layer.pool.padding)
        if added is not None:
            value = value.add_(added[run].view(batch, *value.shape[2:], -1).permute(0, 3, 1, 2))
        value = value.relu_() if layer.activation == "relu" else value
        found.append(value.permute(0, 2, 3, 1).reshape(batch, layer.width))
    return found[0].unsqueeze(0) if runs == 1 else torch.stack(found)


def pooled(value: Tensor, shape: Shape, size: tuple[int, int]) -> Tensor:
    """Images [runs, batch, height · width · channels] max-pooled to (height, width), as `rtbench.graph.Term` says.

    What nobody trains through (observations, also as bytes) is pooled in two passes along the axes, many times faster
    than torch's pooling, which knows where its maxima were.
    """
    height, width, channels = shape
    rows, columns = size
    if value.requires_grad:
        pixels = value.reshape(-1, *shape).permute(0, 3, 1, 2)
        found = functional.adaptive_max_pool2d(pixels, size).permute(0, 2, 3, 1)
    else:
        lines = _maxima(value.reshape(-1, height, width * channels), rows)
        found = _maxima(lines.reshape(-1, width, channels), columns)
    return found.reshape(*value.shape[:-1], rows * columns * channels)


def _maxima(value: Tensor, size: int) -> Tensor:
    """The maxima [n, size, ·] over even shares of axis 1 of [n, length, ·]."""
    length = value.shape[1]
    shares = [value[:, i * length // size : -(-(i + 1) * length // size)].unbind(1) for i in range(size)]
    return torch.stack([reduce(torch.maximum, share) for share in shares], dim=1)
