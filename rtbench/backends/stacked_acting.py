"""Acting with stacks of layers of equal shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rtbench.backends.frames import FrameActing
from rtbench.backends.layout import Layout, Place, groups
from rtbench.backends.torch_arithmetic import TorchArithmetic, lstm_value
from rtbench.backends.torch_frames import Gather, Outputs, blocks_of
from rtbench.backends.weights import Weights
from rtbench.graph import ActingSpec


class StackedActing(FrameActing):
    """One product per stack and tick."""

    def __init__(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> None:
        super().__init__(spec, parameters)
        self._weights = Weights(parameters, fixed=spec.fixed)
        frames = torch.from_numpy(self.frames)
        kept = None if self.kept is None else torch.from_numpy(self.kept)
        alike = [group for stage in self.layout.stages for group in groups(stage)]
        self._steps = [
            Stack(frames, kept, self.layout, group) if group[0].stackable else Alone(frames, kept, group[0])
            for group in alike
        ]
        self._pack()

    def _pack(self) -> None:
        for step in self._steps:
            step.pack(self._weights)

    def refresh(self) -> None:
        """Take the parameters as they are now."""
        self._weights.take()
        self._pack()

    @torch.no_grad()
    def advance(self, slot: int) -> None:
        """Every stack after another."""
        if self._weights.changed():
            self._pack()
        for step in self._steps:
            step.run(slot)


class Stack:
    """Layers alike: weight [layers, inputs, columns], bias [layers, 1, columns]."""

    def __init__(self, frames: Tensor, kept: Tensor | None, layout: Layout, places: tuple[Place, ...]) -> None:
        self._places, self._layer = places, places[0].layer
        self._inputs = Gather(frames, layout, [place.blocks for place in places])
        self._outputs = Outputs(frames, layout, places)
        self._even = self._layer.op == "linear" and bool(self._outputs.views) and frames.shape[0] == 1
        width = self._layer.width
        self._masks = None
        if kept is not None and any(place.layer.dropout for place in places):
            self._masks = [kept[:, place.offset : place.offset + width] for place in places]
        self._cells: list[list[Tensor]] = []
        for slot in range(layout.depth if self._layer.op == "lstm" else 0):
            cells = [place.cell for place in places if place.cell]
            rows = [(frames[:, (slot - cell.ticks) % layout.depth], cell.offset) for cell in cells]
            self._cells.append([row[:, offset : offset + width] for row, offset in rows])

    def pack(self, weights: Weights) -> None:
        """Stack the weights as they were taken."""
        taken = [weights.taken[place.layer.name] for place in self._places]
        self._weight = torch.stack([torch.from_numpy(weight) for weight, _ in taken])
        self._bias = torch.stack([torch.from_numpy(bias).reshape(1, -1) for _, bias in taken])

    def run(self, slot: int) -> None:
        """Compute into a frame."""
        inputs = self._inputs.at(slot)
        if self._even:  # written where it belongs
            value = torch.baddbmm(self._bias, inputs, self._weight, out=self._outputs.views[slot])
        else:
            value = torch.baddbmm(self._bias, inputs, self._weight)
        if self._layer.op == "lstm":
            value = lstm_value(value, torch.stack(self._cells[slot]))
        elif self._layer.activation == "relu":
            value.relu_()
        if self._masks is not None:
            value *= torch.stack(self._masks)
        if not self._even:
            self._outputs.write(slot, value)


class Alone:
    """A layer that reads images, by the same arithmetic as `eager`."""

    def __init__(self, frames: Tensor, kept: Tensor | None, place: Place) -> None:
        self._frames, self._place = frames, place
        end = place.offset + place.layer.state_width
        self._value = frames[:, :, place.offset : end]
        self._mask = kept[:, place.offset : end] if kept is not None and place.layer.dropout else None
        if place.cell:
            # its own block carries the cell beside the output, as the arithmetic wants it
            self._cell = place.cell

    def pack(self, weights: Weights) -> None:
        """The layer's weight and bias as they were taken."""
        weight, bias = (torch.from_numpy(array) for array in weights.taken[self._place.layer.name])
        parameters = {"weight": weight.unsqueeze(0), "bias": bias.reshape(1, 1, -1)}
        self._arithmetic = TorchArithmetic({self._place.layer.name: parameters})

    def run(self, slot: int) -> None:
        """Compute into a frame."""
        layer, depth = self._place.layer, self._frames.shape[1]
        blocks = blocks_of(self._frames, self._place, slot)
        if layer.op == "lstm":
            blocks[-1] = self._value[:, (slot - self._cell.ticks) % depth].unsqueeze(0)
        value = self._arithmetic.apply(layer, blocks)[0]
        self._value[:, slot] = value if self._mask is None else value * self._mask
