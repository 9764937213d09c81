"""Acting by a tick that TorchInductor compiled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from rtbench.backends.frames import FrameActing
from rtbench.backends.layout import Layout, Place, Source
from rtbench.backends.torch_arithmetic import lstm_value
from rtbench.backends.torch_images import convolved, pooled
from rtbench.backends.torch_shared import Shared
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec


class CompiledActing(FrameActing):
    """One compiled call per tick: earlier frames and parameters in, the values of all layers out."""

    def __init__(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> None:
        super().__init__(spec, parameters)
        frames, depth = torch.from_numpy(self.frames), self.layout.depth
        # contiguous copies of the frames a tick reads would cost more than the strides do
        self._frames = [[frames[:, (slot - k) % depth] for k in range(depth)] for slot in range(depth)]
        self._shared = Shared(parameters)
        self._given = self._tensors()
        self._kept = [] if self.kept is None else [torch.from_numpy(self.kept)]
        places = self.layout.places
        first = places[0].offset
        width = sum(place.layer.state_width for place in places)
        self._values = [frames[:, slot, first : first + width] for slot in range(depth)]
        self._compiled = _compile(self.layout, [*self._frames[0], *self._given, *self._kept])

    def _tensors(self) -> list[Tensor]:
        return [tensor for place in self.layout.places for tensor in self._shared.layers[place.layer.name]]

    def refresh(self) -> None:
        """Take the arrays anew."""
        self._shared.take()
        self._given = self._tensors()

    @torch.no_grad()
    def advance(self, slot: int) -> None:
        """The compiled tick."""
        self._shared.follow()
        self._values[slot].copy_(self._compiled(*self._frames[slot], *self._given, *self._kept)[0])


def _compile(layout: Layout, example: list[Tensor]) -> Any:
    """The tick, traced into operators and compiled for these shapes: nothing is checked again when it is called."""
    depth, count = layout.depth, 2 * len(layout.places)

    def tick(*given: Tensor) -> tuple[Tensor]:
        kept = given[depth + count] if len(given) > depth + count else None
        return (values_of(layout, given[:depth], given[depth : depth + count], kept),)

    with torch.no_grad(), warnings.catch_warnings():
        # what torch itself uses and deprecates is not the caller's to mend
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch import _inductor

        traced = make_fx(tick)(*example)
        try:
            return _inductor.compile(traced, list(example))
        except Exception as error:  # torch has many names for a compiler that fails
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            raise RtbenchError(
                f"TorchInductor cannot compile this: {said}",
                place="backend compiled",
                hint="CXX names another compiler",
            ) from error


def values_of(layout: Layout, frames: Sequence[Tensor], parameters: Sequence[Tensor], kept: Tensor | None) -> Tensor:
    """The values of all layers [batch, ·] from frames [batch, size], newest first, weights and biases in turn."""
    made: dict[int, Tensor] = {}

    def read(source: Source) -> Tensor:
        if source.ticks == 0 and source.offset in made:
            return made[source.offset][:, : source.width]
        return frames[source.ticks][:, source.offset : source.offset + source.width]

    for place, weight, bias in zip(layout.places, parameters[::2], parameters[1::2], strict=True):
        value = _value(place, weight, bias, read)
        if kept is not None and place.layer.dropout:
            value = value * kept[:, place.offset : place.offset + place.layer.state_width]
        made[place.offset] = value
    return torch.cat(list(made.values()), dim=1)


def _value(place: Place, weight: Tensor, bias: Tensor, read: Any) -> Tensor:
    layer, blocks = place.layer, []
    for block in place.blocks:
        values = [read(source) for source in block.sources]
        if block.pool and block.shape:
            values = [pooled(value, block.shape, block.pool) for value in values]
        total = values[0] if len(values) == 1 else torch.stack(values).sum(0)
        blocks.append(total if block.scale == 1.0 else total * block.scale)
    if layer.op == "conv":
        images = [block.unsqueeze(0) for block in blocks]
        return convolved(layer, images, weight.unsqueeze(0), bias.view(1, 1, -1))[0]
    value = torch.addmm(bias, torch.cat(blocks, dim=1), weight)
    if place.cell:
        return lstm_value(value, read(place.cell))
    return value.relu() if layer.activation == "relu" else value
