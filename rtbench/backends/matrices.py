"""Acting with one matrix per stage, dense or sparse: rows are what is read, columns what layers give."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtbench.backends.frames import Array, FrameActing
from rtbench.backends.layout import Block, Layout, Place
from rtbench.backends.torch_arithmetic import lstm_value
from rtbench.backends.torch_frames import Gather
from rtbench.backends.weights import Weights
from rtbench.graph import ActingSpec

Piece = tuple[slice, slice, Array]
"""Rows and columns of a block of weights in the matrix, and the weights."""
Product = Callable[[Tensor], Tensor]
Form = Callable[[Sequence[Piece], tuple[int, int]], Product]
"""A matrix of so many rows and columns as a function of [batch, rows], from its pieces; equal places add up."""


def dense(pieces: Sequence[Piece], shape: tuple[int, int]) -> Product:
    """With all its zeros."""
    matrix = torch.zeros(shape)
    for rows, columns, weight in pieces:
        matrix[rows, columns] += torch.from_numpy(weight)
    return lambda inputs: inputs @ matrix


def sparse(pieces: Sequence[Piece], shape: tuple[int, int]) -> Product:
    """In compressed rows, one row per neuron."""
    from scipy.sparse import coo_array

    places = [np.meshgrid(*(np.arange(s.start, s.stop, dtype=np.int32) for s in piece[:2])) for piece in pieces]
    values = np.concatenate([weight.T.ravel() for *_, weight in pieces])
    inputs, outputs = (np.concatenate([grids[axis].ravel() for grids in places]) for axis in (0, 1))
    matrix = coo_array((values, (outputs, inputs)), shape=shape[::-1]).tocsr()

    def product(given: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray((matrix @ given.numpy().T).T))

    return product


def matrix_shape(stage: Sequence[Place]) -> tuple[int, int]:
    """Rows and columns of a stage's matrix."""
    return sum(block.width for block in _distinct(stage)), sum(place.columns for place in stage)


class MatrixActing(FrameActing):
    """One product per stage and tick."""

    def __init__(self, spec: ActingSpec, parameters: Mapping[str, Any], *, form: Form) -> None:
        super().__init__(spec, parameters)
        self._weights = Weights(parameters, fixed=spec.fixed)
        frames = torch.from_numpy(self.frames)
        kept = None if self.kept is None else torch.from_numpy(self.kept)
        self._stages = [_Stage(frames, kept, self.layout, stage, form) for stage in self.layout.stages]
        self._pack()

    def _pack(self) -> None:
        for stage in self._stages:
            stage.pack(self._weights)

    def refresh(self) -> None:
        """Take the parameters as they are now."""
        self._weights.take()
        self._pack()

    @torch.no_grad()
    def advance(self, slot: int) -> None:
        """Every stage after another."""
        if self._weights.changed():
            self._pack()
        for stage in self._stages:
            stage.run(slot)


class _Stage:
    """Layers that may be computed at once."""

    def __init__(
        self, frames: Tensor, kept: Tensor | None, layout: Layout, places: tuple[Place, ...], form: Form
    ) -> None:
        self._frames, self._kept, self._places, self._form = frames, kept, places, form
        self._blocks = _distinct(places)
        self._inputs = Gather(frames, layout, [self._blocks])
        floors = [0.0 if place.layer.activation == "relu" else -np.inf for place in places]
        columns = torch.tensor([place.columns for place in places])
        self._floor = torch.tensor(floors).repeat_interleave(columns)
        self._even = all(place.layer.op == "linear" for place in places) and all(
            before.offset + before.layer.width == after.offset for before, after in itertools.pairwise(places)
        )

    def pack(self, weights: Weights) -> None:
        """The matrix from the weights as they were taken."""
        begins = dict(zip(self._blocks, _begins([block.width for block in self._blocks]), strict=True))
        pieces: list[Piece] = []
        for place, column in zip(self._places, _begins([place.columns for place in self._places]), strict=True):
            weight, row = weights.taken[place.layer.name][0], 0
            for block in place.blocks:
                rows = slice(begins[block], begins[block] + block.width)
                pieces.append((rows, slice(column, column + place.columns), weight[row : row + block.width]))
                row += block.width
        self._product = self._form(pieces, matrix_shape(self._places))
        self._bias = torch.from_numpy(np.concatenate([weights.taken[place.layer.name][1] for place in self._places]))

    def run(self, slot: int) -> None:
        """Compute into a frame."""
        sums = self._product(self._inputs.at(slot)[0])
        sums += self._bias
        torch.maximum(sums, self._floor, out=sums)
        frame = self._frames[:, slot]
        if self._even:
            begin = self._places[0].offset
            frame[:, begin : begin + sums.shape[1]] = sums
        else:
            self._scatter(frame, sums, slot)
        if self._kept is not None:
            for place in self._places:
                if place.layer.dropout:
                    neurons = slice(place.offset, place.offset + place.layer.width)
                    frame[:, neurons] *= self._kept[:, neurons]

    def _scatter(self, frame: Tensor, sums: Tensor, slot: int) -> None:
        for place, value in zip(
            self._places, torch.split(sums, [place.columns for place in self._places], dim=1), strict=True
        ):
            if place.cell:
                then = self._frames[:, (slot - place.cell.ticks) % self._frames.shape[1]]
                value = lstm_value(value, then[:, place.cell.offset : place.cell.offset + place.cell.width])
            frame[:, place.offset : place.offset + place.layer.state_width] = value


def _distinct(places: Sequence[Place]) -> list[Block]:
    """Every block that is read, once."""
    return list(dict.fromkeys(block for place in places for block in place.blocks))


def _begins(lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[:index]) for index in range(len(lengths))]
