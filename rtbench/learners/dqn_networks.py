"""Networks of action values: a graph whose last layers may be two streams, or noisy, or give distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtbench.backends.torch_arithmetic import Initialise, TorchArithmetic, initial_parameters
from rtbench.errors import RtbenchError
from rtbench.graph import ACTION, LayerGraph
from rtbench.learners.heads import ADVANTAGE, last_hidden
from rtbench.unrolling import instant

Arrays = dict[str, dict[str, NDArray[np.float32]]]
Effective = dict[str, dict[str, Tensor]]


@dataclass
class Block:
    """Weights [inputs, outputs] and a bias [outputs] among a network's tensors, from index `at` on.

    A convolution's weights are kept `transposed`, as torch's channels-last kernels lie in memory: nothing is copied.

    With `spread`, two more follow: how strong the noise on each of them is (Fortunato et al. 2018, factorised).
    """

    at: int
    inputs: int
    outputs: int
    spread: float | None = None
    transposed: bool = False
    noise: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def draw(self, generator: torch.Generator) -> None:
        """New noise, of f(x) = sgn(x) √|x| of normal numbers."""
        drawn = [torch.randn(size, generator=generator) for size in (self.inputs, self.outputs)]
        first, second = (values.sign() * values.abs().sqrt() for values in drawn)
        self.noise = (first, second)

    def effective(self, tensors: Sequence[Tensor], *, noisy: bool) -> tuple[Tensor, Tensor]:
        """Weight and bias as the network uses them."""
        weight, bias = tensors[self.at], tensors[self.at + 1]
        if self.transposed:
            return weight.t(), bias
        if self.spread is None or not noisy:
            return weight, bias
        assert self.noise is not None
        rows, columns = self.noise
        return (
            torch.addcmul(weight, tensors[self.at + 2], rows.unsqueeze(1) * columns),
            torch.addcmul(bias, tensors[self.at + 3], columns),
        )


class QNetwork:
    """Values [n, A], or logits [n, A, atoms], of a graph that reads one observation.

    `tensors` are what is trained; `effective` turns them, or others like them, into the graph's parameters. `exploring`
    and `greedy` are such parameters as arrays that acting reads, with and without noise, as of their last `refresh`.
    """

    def __init__(
        self,
        graph: LayerGraph,
        actions: int,
        generator: torch.Generator,
        *,
        atoms: int = 1,
        dueling: bool = False,
        noise: float | None = None,
        scale: float = 1.0,
        precision: str = "fp32",
        initialise: Initialise | None = None,
    ) -> None:
        """`graph` has the two streams already if `dueling`; `noise`: σ₀ of the last two layers, None for none."""
        _check(graph)
        self.graph, self._actions, self._atoms, self._dueling = graph, actions, atoms, dueling
        self._scale, self._precision, self._generator = scale, precision, generator
        self._none = torch.zeros(1, 1, graph.action_size)
        self.tensors: list[Tensor] = []
        self._streams: list[Block] = []
        self.blocks: dict[str, Block] = {}
        made = initial_parameters(graph, [generator], initialise)
        noisy = {graph.head.name, *self._hidden()} if noise is not None else set()
        for name, layer in made.items():
            if name == graph.head.name and dueling:
                break
            found = (layer["weight"][0], layer["bias"][0, 0])
            image = graph.by_name[name].op == "conv"
            self.blocks[name] = self._block(found, noise if name in noisy else None, transposed=image)
        if dueling:
            width = graph.by_name[self._hidden()[0]].width
            self._streams = [
                self._block(_uniform(width, outputs, generator), noise) for outputs in (atoms, actions * atoms)
            ]
        for tensor in self.tensors:
            tensor.requires_grad_()
        self.draw()
        self._apart = [name for name, block in self.blocks.items() if block.spread is not None]
        self._apart += [graph.head.name] if dueling else []
        self._make_arrays()

    def _hidden(self) -> list[str]:
        if not self._dueling:
            return [last_hidden(self.graph).name]
        return [self.graph.layers[-3].name, self.graph.layers[-3].name + ADVANTAGE]

    def _block(self, found: tuple[Tensor, Tensor], noise: float | None, *, transposed: bool = False) -> Block:
        weight, bias = found
        block = Block(len(self.tensors), weight.shape[0], weight.shape[1], noise, transposed)
        self.tensors += [weight.t().contiguous() if transposed else weight.clone(), bias.clone()]
        if noise is not None:
            spread = noise / sqrt(block.inputs)
            self.tensors += [torch.full_like(weight, spread), torch.full_like(bias, spread)]
        return block

    @property
    def parameter_count(self) -> int:
        """Numbers that are trained."""
        return sum(tensor.numel() for tensor in self.tensors)

    def bind(self, memory: NDArray[np.float32]) -> None:
        """Let the tensors lie in one array [parameters], whose numbers they take over, and acting read it."""
        begin, bound = 0, []
        for tensor in self.tensors:
            found = torch.from_numpy(memory[begin : begin + tensor.numel()]).view(tensor.shape)
            bound.append(found.requires_grad_())
            begin += tensor.numel()
        self.tensors = bound
        self._make_arrays()

    def flat(self) -> NDArray[np.float32]:
        """All that is trained in one array [parameters], a copy."""
        return torch.cat([tensor.detach().flatten() for tensor in self.tensors]).numpy()

    def _make_arrays(self) -> None:
        noisy = any(block.spread is not None for block in self.blocks.values())
        self.exploring = self._arrays(noisy=True)
        self.greedy = self._arrays(noisy=False) if noisy else self.exploring

    # ---- from what is trained to the graph's parameters -------------------------------------------------------------

    def draw(self) -> None:
        """New noise, where there is any."""
        for block in (*self.blocks.values(), *self._streams):
            if block.spread is not None:
                block.draw(self._generator)

    def draw_from(self, generator: torch.Generator) -> None:
        """New noise, now and from now on of this stream: that of a process of its own."""
        self._generator = generator
        self.draw()

    @contextmanager
    def other_noise(self, generator: torch.Generator) -> Iterator[None]:
        """Within it, noise drawn from another stream."""
        noisy = [block for block in (*self.blocks.values(), *self._streams) if block.spread is not None]
        own = [block.noise for block in noisy]
        for block in noisy:
            block.draw(generator)
        try:
            yield
        finally:
            for block, noise in zip(noisy, own, strict=True):
                block.noise = noise

    def effective(self, tensors: Sequence[Tensor], *, noisy: bool = True) -> Effective:
        """The graph's parameters, differentiable in `tensors`: weights [inputs, outputs], biases [outputs]."""
        found = {name: block.effective(tensors, noisy=noisy) for name, block in self.blocks.items()}
        if self._streams:
            found[self.graph.head.name] = self._combined(tensors, noisy=noisy)
        return {name: {"weight": weight, "bias": bias} for name, (weight, bias) in found.items()}

    def _combined(self, tensors: Sequence[Tensor], *, noisy: bool) -> tuple[Tensor, Tensor]:
        """V + A − mean A as one head (Wang et al. 2016, Equation 9)."""
        (value, shift), (advantage, lift) = (block.effective(tensors, noisy=noisy) for block in self._streams)
        each = (self._actions, self._atoms)
        spread = advantage.view(-1, *each)
        centred = (spread - spread.mean(1, keepdim=True)).flatten(1)
        weight = torch.cat([value.repeat(1, self._actions), centred])
        lifted = lift.view(each)
        return weight, shift.repeat(self._actions) + (lifted - lifted.mean(0, keepdim=True)).flatten()

    def outputs(self, observations: Tensor, parameters: Effective) -> Tensor:
        """[n, A] or [n, A, atoms] in single precision of observations [n, F] as the environment gives them."""
        dtype = torch.bfloat16 if self._precision == "bf16" else torch.float32
        stacked = {
            name: {kind: tensor.to(dtype).view(1, -1, tensor.shape[-1]) for kind, tensor in layer.items()}
            for name, layer in parameters.items()
        }
        arithmetic = TorchArithmetic(stacked, self._scale)
        none = self._none.expand(1, len(observations), -1)
        found = instant(self.graph, arithmetic, observations.unsqueeze(0), none, lambda layer: none)
        head = found[self.graph.head.name][0].float()
        return head if self._atoms == 1 else head.view(len(observations), self._actions, self._atoms)

    # ---- acting ----------------------------------------------------------------------------------------------------

    def _arrays(self, *, noisy: bool) -> Arrays:
        """What is used as it is trained shares its memory; the rest is a copy."""
        with torch.no_grad():
            made = self.effective(self.tensors, noisy=noisy)
        arrays = {name: {kind: tensor.detach().numpy() for kind, tensor in v.items()} for name, v in made.items()}
        return arrays | {name: {kind: array.copy() for kind, array in arrays[name].items()} for name in self._apart}

    @torch.no_grad()
    def refresh(self, *, noisy: bool = True) -> None:
        """Bring `exploring`, or `greedy`, up to date after what is trained has changed."""
        if self._apart:
            found = self.effective(self.tensors, noisy=noisy)
            arrays = self.exploring if noisy else self.greedy
            for name in self._apart:
                for kind, tensor in found[name].items():
                    np.copyto(arrays[name][kind], tensor.numpy())

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Tensors, noise, and its random stream."""
        blocks = (*self.blocks.values(), *self._streams)
        return {
            "tensors": [tensor.detach() for tensor in self.tensors],
            "noise": [list(block.noise) if block.noise else [] for block in blocks],
            "generator": self._generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, in place."""
        copy_into(self.tensors, state["tensors"])
        for block, noise in zip((*self.blocks.values(), *self._streams), state["noise"], strict=True):
            block.noise = (noise[0].clone(), noise[1].clone()) if noise else None
        self._generator.set_state(state["generator"])
        self.refresh()
        self.refresh(noisy=False)


@torch.no_grad()
def copy_into(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Some tensors made equal to others, in place."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def _uniform(inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear layer, as torch's default."""
    bound = 1 / sqrt(inputs)
    weight, bias = (torch.rand(shape, generator=generator) for shape in ((inputs, outputs), (outputs,)))
    return (weight * 2 - 1) * bound, (bias * 2 - 1) * bound


def _check(graph: LayerGraph) -> None:
    """RtbenchError unless the network is a function of one observation."""
    reads = [read for layer in graph.layers for read in layer.reads]
    back = [read.source for read in reads if read.recurrent or read.ticks_ago or read.source == ACTION]
    if back or graph.random:
        what = f"it also reads {', '.join(sorted(set(back)))} of earlier ticks" if back else "it draws (dropout)"
        raise RtbenchError(
            f"the value of an action is learnt from one observation, and of this network {what}",
            place="learners of action values",
            hint="frames are stacked by the environment: frames = 4",
        )
