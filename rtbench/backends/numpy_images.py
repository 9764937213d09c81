"""Images in NumPy: a convolution as one product of patches; values lie flat in the order height, width, channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rtbench.graph import Layer, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


def convolved(layer: Layer, blocks: Sequence[NDArray[Any]], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """A convolution of images [height · width · channels] joined along channels, pooled, added to, rectified if so.

    Or of rows of images [rows, ·]. Rows of the weight in the order height, width, channels of a patch.
    """
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    how, image, shape = layer.convolution, layer.image, layer.shape
    assert how
    assert image
    assert shape
    *read, added = blocks if layer.residual else (*blocks, None)
    count, leading = blocks[0].size // blocks[0].shape[-1], blocks[0].shape[:-1]
    pixels = np.concatenate([block.reshape(count, *image, -1) for block in read if block is not None], axis=3)
    if layer.rectifies:
        np.maximum(pixels, 0, out=pixels)
    if how.padding:
        pixels = np.pad(pixels, ((0, 0), (how.padding, how.padding), (how.padding, how.padding), (0, 0)))
    # [images, height, width, channels, kernel, kernel], of which every stride-th place is wanted
    windows = sliding_window_view(pixels, (how.kernel, how.kernel), axis=(1, 2))[:, :: how.stride, :: how.stride]
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, len(weight))
    value = patches @ weight
    value += bias
    if layer.pool:
        value = _windowed_maxima(value.reshape(*windows.shape[:3], -1), layer.pool.kernel, layer.pool.stride)
    result: NDArray[Any] = value.reshape(*leading, -1)
    if added is not None:
        result += added
    if layer.activation == "relu":
        np.maximum(result, 0, out=result)
    return result


def _windowed_maxima(value: NDArray[Any], kernel: int, stride: int) -> NDArray[Any]:
    """Maxima over windows of images [images, height, width, channels], along the axes one after the other."""
    import numpy as np

    for axis in (1, 2):
        ends = range(value.shape[axis] - kernel + 1, value.shape[axis] + 1)
        index = (slice(None),) * axis
        shifted = [value[(*index, slice(begin, end, stride))] for begin, end in zip(range(kernel), ends, strict=True)]
        value = np.maximum.reduce(shifted)
    return value


def pooled(value: NDArray[Any], shape: Shape, size: tuple[int, int]) -> NDArray[Any]:
    """Images [rows?, height · width · channels] max-pooled to (height, width), as `rtbench.graph.Term` says."""
    lines = _maxima(value.reshape(-1, *shape).swapaxes(0, 1), size[0])  # [height, images, width, channels]
    columns = _maxima(lines.transpose(2, 1, 0, 3), size[1])  # [width, images, height, channels]
    result: NDArray[Any] = columns.transpose(1, 2, 0, 3).reshape(*value.shape[:-1], -1)
    return result


def _maxima(value: NDArray[Any], size: int) -> NDArray[Any]:
    """The maxima over even shares of the first axis."""
    import numpy as np

    length = len(value)
    return np.stack([value[i * length // size : -(-(i + 1) * length // size)].max(axis=0) for i in range(size)])
