"""A tick as an ONNX model: frames `now`, `ago1`, `ago2`, … [batch, size] in, the values of all layers out."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from rtbench.backends.frames import Array
from rtbench.backends.layout import Block, Layout, Place, Source
from rtbench.graph import Shape

OPSET, IR = 17, 10
VALUES = "values"
NOW = "now"


def ago(ticks: int) -> str:
    """The name of a frame."""
    return NOW if ticks == 0 else f"ago{ticks}"


def model(layout: Layout, weights: dict[str, tuple[Array, Array]], batch: int) -> ModelProto:
    """The model of one tick; `values` are all layers' in the order of their places, without gaps."""
    writer = _Writer(layout, batch)
    values = [writer.layer(place, *weights[place.layer.name]) for place in layout.places]
    writer.node("Concat", values, VALUES, axis=1)
    inputs = [_described(ago(ticks), batch, layout.size) for ticks in sorted(writer.ticks)]
    width = sum(place.layer.state_width for place in layout.places)
    graph = helper.make_graph(
        writer.nodes, "tick", inputs, [_described(VALUES, batch, width)], initializer=writer.constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _described(name: str, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


class _Writer:
    """Nodes and constants so far; every method answers the name of what it adds."""

    def __init__(self, layout: Layout, batch: int) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.ticks: set[int] = set()
        self._batch = batch
        self._made: dict[Source, str] = {}
        self._own = {place.offset: place for place in layout.places}
        self._names = {place.layer.name: "" for place in layout.places}

    def node(self, op: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """One operator."""
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """One constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def numbers(self, *values: int) -> str:
        """Integers as a constant."""
        return self.constant(np.array(values, np.int64))

    def source(self, source: Source) -> str:
        """What a read delivers [batch, width]."""
        own = self._own.get(source.offset)
        if source.ticks == 0 and own and self._names[own.layer.name]:
            whole = self._names[own.layer.name]
            return whole if own.layer.op != "lstm" else self._slice(whole, 0, source.width)
        if source not in self._made:
            self.ticks.add(source.ticks)
            self._made[source] = self._slice(ago(source.ticks), source.offset, source.width)
        return self._made[source]

    def _slice(self, name: str, begin: int, width: int) -> str:
        return self.node("Slice", [name, self.numbers(begin), self.numbers(begin + width), self.numbers(1)])

    def block(self, block: Block) -> str:
        """The sum of its sources, scaled, pooled."""
        names = [self.source(source) for source in block.sources]
        if block.pool and block.shape:
            names = [self._pooled(name, block.shape, block.pool) for name in names]
        total = names[0] if len(names) == 1 else self.node("Sum", names)
        return total if block.scale == 1.0 else self.node("Mul", [total, self.constant(np.float32(block.scale))])

    def layer(self, place: Place, weight: Array, bias: Array) -> str:
        """A layer's value [batch, state width]."""
        blocks = [self.block(block) for block in place.blocks]
        if place.layer.op == "conv":
            value = self._convolution(place, blocks, weight, bias)
        else:
            joined = blocks[0] if len(blocks) == 1 else self.node("Concat", blocks, axis=1)
            value = self.node("Gemm", [joined, self.constant(weight), self.constant(bias)])
        if place.layer.op == "lstm" and place.cell:
            value = self._lstm(value, self.source(place.cell), place.layer.width)
        elif place.layer.activation == "relu":
            value = self.node("Relu", [value])
        self._names[place.layer.name] = value
        return value

    def _lstm(self, gates: str, cell: str, width: int) -> str:
        admit, forget, candidate, emit = (self._slice(gates, k * width, width) for k in range(4))
        kept = self.node("Mul", [self.node("Sigmoid", [forget]), cell])
        added = self.node("Mul", [self.node("Sigmoid", [admit]), self.node("Tanh", [candidate])])
        cell = self.node("Add", [kept, added])
        return self.node(
            "Concat", [self.node("Mul", [self.node("Sigmoid", [emit]), self.node("Tanh", [cell])]), cell], axis=1
        )

    def _image(self, name: str, shape: Shape) -> str:
        """[batch, height · width · channels] as [batch, channels, height, width]."""
        return self.node(
            "Transpose", [self.node("Reshape", [name, self.numbers(self._batch, *shape)])], perm=[0, 3, 1, 2]
        )

    def _flat(self, name: str) -> str:
        return self.node("Reshape", [self.node("Transpose", [name], perm=[0, 2, 3, 1]), self.numbers(self._batch, -1)])

    def _pooled(self, name: str, shape: Shape, size: tuple[int, int]) -> str:
        kernel = [shape[0] // size[0], shape[1] // size[1]]
        return self._flat(self.node("MaxPool", [self._image(name, shape)], kernel_shape=kernel, strides=kernel))

    def _convolution(self, place: Place, blocks: list[str], weight: Array, bias: Array) -> str:
        how, image = place.layer.convolution, place.layer.image
        assert how
        assert image
        shapes = [(*image, block.width // (image[0] * image[1])) for block in place.blocks]
        images = [self._image(name, shape) for name, shape in zip(blocks, shapes, strict=True)]
        joined = images[0] if len(images) == 1 else self.node("Concat", images, axis=1)
        kernels = weight.reshape(how.kernel, how.kernel, -1, place.columns).transpose(3, 2, 0, 1)
        given = [joined, self.constant(kernels), self.constant(bias)]
        return self._flat(
            self.node("Conv", given, kernel_shape=[how.kernel] * 2, strides=[how.stride] * 2, pads=[how.padding] * 4)
        )
