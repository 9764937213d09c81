"""PPO's networks and arithmetic: a policy over whole rollouts, an undelayed critic, advantages, clipped losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtbench.backends.torch_arithmetic import TorchArithmetic, initial_parameters, orthogonal
from rtbench.backends.torch_rollout import TorchRollout, start_values
from rtbench.graph import GraphBuilder, LayerGraph, Read
from rtbench.unrolling import instant, rollout

if TYPE_CHECKING:
    from rtbench.learners.rollouts import Inputs, Results

Array = NDArray[np.float32]


class Network:
    """A graph with parameters that are trained, one run: [1, inputs, outputs] and [1, 1, outputs].

    `precision` bf16: layers compute in bfloat16 on copies of the parameters.
    """

    def __init__(
        self, graph: LayerGraph, head_gain: float, generator: torch.Generator, precision: str = "fp32"
    ) -> None:
        self.graph, self.precision = graph, precision
        self.parameters = initial_parameters(graph, [generator], orthogonal(head_gain))
        for tensor in self.tensors:
            tensor.requires_grad_()

    @property
    def tensors(self) -> list[Tensor]:
        """The parameters, layer by layer: weight, bias."""
        return [tensor for layer in self.parameters.values() for tensor in layer.values()]

    def views(self) -> dict[str, dict[str, Array]]:
        """NumPy views without the run axis: who acts with them sees every update at once."""
        return {
            name: {"weight": layer["weight"].detach()[0].numpy(), "bias": layer["bias"].detach()[0, 0].numpy()}
            for name, layer in self.parameters.items()
        }

    def _working(self) -> dict[str, dict[str, Tensor]]:
        """The parameters as products see them."""
        if self.precision == "fp32":
            return self.parameters
        return {
            name: {kind: tensor.to(torch.bfloat16) for kind, tensor in layer.items()}
            for name, layer in self.parameters.items()
        }


class Actor(Network):
    """The actor: its graph under an execution, evaluated over rollouts."""

    def __init__(
        self,
        graph: LayerGraph,
        timing: tuple[str, float],
        start: str,
        generator: torch.Generator,
        scale: float = 1.0,
        precision: str = "fp32",
    ) -> None:
        """`timing`: execution and δ; `scale`: of observations that are bytes."""
        super().__init__(graph, 0.01, generator, precision)
        self.timing, self.start, self.scale = timing, start, scale
        self.lags = graph.lags(*timing)
        self.recurrent = [layer.name for layer in graph.layers if layer.recurrent]
        back = [
            self.lags.edges[layer.name, index]
            for layer in graph.layers
            for index, read in enumerate(layer.reads)
            if read.recurrent
        ]
        self.lookback_ticks = max(graph.plan(*timing).window_ticks - 1, *back, 0)
        """How far back a decision looks; what recurrent layers held before that is taken as given."""

    def values(self, given: Inputs) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What every node held at every row [1, R, columns, width], and before every episode [1, P, width]."""
        parameters = self._working()
        before: dict[str, Tensor] = {}
        if given.first.shape[1]:
            before = start_values(self.graph, parameters, given.first, self.start, self.scale)
        if not given.observations.shape[1]:
            return {}, before
        arithmetic = TorchRollout(parameters, given.since, given.episode, before, given.carried, self.scale)
        return rollout(self.graph, self.lags, arithmetic, given.observations, given.actions), before

    def outputs(self, given: Inputs) -> Tensor:
        """The head's outputs [n, O] of every row, then of every episode's start."""
        values, before = self.values(given)
        head = self.graph.head.name
        parts = [found[head].flatten(0, -2) for found in (values, before) if head in found]
        return torch.cat(parts).float()


class Critic(Network):
    """V of the newest observation, computed at once: a plain chain of the actor's layers, without skips or memory."""

    def __init__(
        self, actor: LayerGraph, generator: torch.Generator, scale: float = 1.0, precision: str = "fp32"
    ) -> None:
        super().__init__(plain_chain(actor), 1.0, generator, precision)
        self._scale = scale

    def values(self, observations: Tensor) -> Tensor:
        """V [n] of observations [n, F] as the environment gives them."""
        none = torch.zeros(1, len(observations), self.graph.action_size)
        arithmetic = TorchArithmetic(self._working(), self._scale)
        found = instant(self.graph, arithmetic, observations.unsqueeze(0), none, lambda layer: none)
        return found[self.graph.head.name].float().view(-1)


def plain_chain(actor: LayerGraph) -> LayerGraph:
    """The actor's layers one upon the other, on the newest observation alone, and one number put out."""
    graph = GraphBuilder(actor.observation_size, actor.action_size, actor.observation_shape)
    below: Read = graph.observation
    for layer in actor.layers[:-1]:
        if layer.convolution:
            assert layer.shape
            below = graph.convolution(layer.shape[2], [below], layer.convolution)
        else:
            below = graph.layer(layer.width, [below])
    return graph.head(1, [below])


def advantages(results: Results, values: Array, lasts: Array, trace: float) -> Array:
    """Generalised advantages [E, T] of decisions that last for different times (Schulman et al. 2016, Equation 16).

    `values` [E, T + 1] where each decision, and the next, is applied; `lasts` [n] after time limits. A decision's
    reward is what was earned until the next one; the next state counts with its discount, λ (`trace`) once per
    decision.
    """
    following = values[:, 1:].copy()
    following.reshape(-1)[results.cut] = lasts
    surprise = results.rewards + results.discounts * following - values[:, :-1]
    carry = np.where(results.ended, 0, results.discounts * trace).astype(np.float32)
    found = np.empty_like(surprise)
    later: Array | float = 0.0
    for t in reversed(range(surprise.shape[1])):
        later = surprise[:, t] + carry[:, t] * later
        found[:, t] = later
    return found


def log_p_of(outputs: Tensor, actions: Tensor) -> Tensor:
    """Log-probabilities [n] of actions [n] under logits [n, A]."""
    return outputs.log_softmax(-1).gather(1, actions.unsqueeze(1)).squeeze(1)


def policy_loss(outputs: Tensor, actions: Tensor, old: Tensor, advantage: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """The clipped objective's negative, and the mean entropy (Schulman et al. 2017, Equations 7 and 9).

    outputs [n, A] logits, actions [n], old [n] log-probabilities, advantage [n].
    """
    log_p = outputs.log_softmax(-1)
    ratio = (log_p.gather(1, actions.unsqueeze(1)).squeeze(1) - old).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    entropy = -(log_p.exp() * log_p).sum(-1)
    return -gain.mean(), entropy.mean()


def value_loss(values: Tensor, old: Tensor, goals: Tensor, clip: float) -> Tensor:
    """Half the mean squared error [n], the larger of a value's and of the clipped value's."""
    clipped = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - goals).square(), (clipped - goals).square()).mean()


def clip_norm(gradients: Sequence[Tensor], largest: float) -> None:
    """Scale all gradients, in place, so that their joint norm is at most `largest`."""
    norm = torch.stack(torch._foreach_norm(list(gradients))).norm()
    torch._foreach_mul_(list(gradients), (largest / (norm + 1e-6)).clamp(max=1.0))


def restored(network: Network, tensors: Sequence[Tensor] | Mapping[int, Tensor]) -> None:
    """Parameters back to saved ones, in place."""
    with torch.no_grad():
        for tensor, saved in zip(network.tensors, tensors, strict=True):
            tensor.copy_(saved)  # type: ignore[arg-type]
