"""Q(λ) and actor-critic(λ) that learn from one transition at a time (Elsayed et al. 2024, Algorithms 7 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtbench.learners.dqn_networks import QNetwork, copy_into
from rtbench.learners.dqn_trainer import Annealed
from rtbench.learners.obgd import ObGD, sparse
from rtbench.learners.policy import HEADS
from rtbench.learners.recorder import Drawing
from rtbench.parts import PolicyShape
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.graph import LayerGraph
    from rtbench.learners.dqn_networks import Arrays
    from rtbench.learners.streaming import ActorCriticParams, Params
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]


def _network(cell: Cell, spec: EnvironmentSpec, p: Params, outputs: int, generator: torch.Generator) -> QNetwork:
    graph = build(cell.architecture).make(PolicyShape.of(spec, outputs))
    return QNetwork(graph, outputs, generator, initialise=sparse(p.sparsity))


def _outputs(network: QNetwork, observation: Array) -> Tensor:
    """[outputs], differentiable."""
    given = torch.from_numpy(observation).unsqueeze(0)
    return network.outputs(given, network.effective(network.tensors))[0]


class _Learning:
    """A network, and traces along which it steps."""

    def __init__(self, network: QNetwork, p: Params, overshoot: float) -> None:
        self.network = network
        self.descent = ObGD(network.tensors, p.step_size, overshoot)

    def step(self, error: float, grown: Tensor, decay: float) -> None:
        """Along the gradient of what is to grow with a positive error."""
        gradients = [found.contiguous() for found in torch.autograd.grad(grown, self.network.tensors)]
        self.descent.step(error, gradients, decay)

    def state(self) -> dict[str, Any]:
        """Network and traces."""
        return {"network": self.network.state(), "traces": self.descent.traces}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, in place."""
        self.network.restore(state["network"])
        copy_into(self.descent.traces, state["traces"])


class QLambda:
    """Watkins' Q(λ) with a bounded step: traces end after the update of an action that was not the best."""

    head = "greedy"

    def __init__(self, cell: Cell, spec: EnvironmentSpec, p: Params, generator: torch.Generator, seed: int) -> None:
        self._p = p
        self._values = _Learning(_network(cell, spec, p, spec.action_size, generator), p, p.value_overshoot)
        self.graph: LayerGraph = self._values.network.graph
        self.parameters: Arrays = self._values.network.exploring
        self.decide = HEADS[self.head].decide
        self.epsilon = Annealed(p.epsilon_start, p.epsilon_end, p.epsilon_steps)
        self.updates, self._decay = 0, 0.0

    def learn(self, seen: Array, action: int, reward: float, discount: float, following: Array) -> None:
        """δ = R + d · max Q(s′) − Q(s, a), down the traces; `discount` is 0 after a terminal state."""
        with torch.no_grad():
            ahead = float(_outputs(self._values.network, following).max()) if discount else 0.0
        values = _outputs(self._values.network, seen)
        error = reward + discount * ahead - float(values[action].detach())
        self._values.step(error, values[action], self._decay)
        self._decay = discount * self._p.trace
        if int(values.argmax()) != action:
            self.forget()
        self.updates += 1

    def forget(self) -> None:
        """Traces end."""
        self._decay = 0.0
        self._values.descent.forget()

    def state(self) -> dict[str, Any]:
        """Network, traces, counts."""
        return {"values": self._values.state(), "decay": self._decay, "updates": self.updates}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self._values.restore(state["values"])
        self._decay, self.updates = state["decay"], state["updates"]


class ActorCritic:
    """A policy and a value, each with traces and a bounded step."""

    head = "categorical"

    def __init__(self, cell: Cell, spec: EnvironmentSpec, p: Params, generator: torch.Generator, seed: int) -> None:
        self._p = cast("ActorCriticParams", p)
        own = self._p.policy_overshoot
        self._policy = _Learning(_network(cell, spec, p, spec.action_size, generator), p, own)
        self._values = _Learning(_network(cell, spec, p, 1, generator), p, p.value_overshoot)
        self.graph: LayerGraph = self._policy.network.graph
        self.parameters: Arrays = self._policy.network.exploring
        self.decide = HEADS[self.head].decider(seed, "train")
        self.epsilon = None
        self.updates, self._decay = 0, 0.0

    def learn(self, seen: Array, action: int, reward: float, discount: float, following: Array) -> None:
        """δ = R + d · V(s′) − V(s) moves V(s) and log π(a | s), and the entropy with the error's sign."""
        with torch.no_grad():
            ahead = float(_outputs(self._values.network, following)[0]) if discount else 0.0
        value = _outputs(self._values.network, seen)[0]
        error = reward + discount * ahead - float(value.detach())
        log_p = _outputs(self._policy.network, seen).log_softmax(0)
        entropy = -(log_p.exp() * log_p).sum()
        self._policy.step(error, log_p[action] + self._p.entropy * float(np.sign(error)) * entropy, self._decay)
        self._values.step(error, value, self._decay)
        self._decay = discount * self._p.trace
        self.updates += 1

    def forget(self) -> None:
        """Traces end."""
        self._decay = 0.0
        self._policy.descent.forget()
        self._values.descent.forget()

    def state(self) -> dict[str, Any]:
        """Networks, traces, counts."""
        state = {"policy": self._policy.state(), "values": self._values.state()}
        return state | {"decay": self._decay, "updates": self.updates}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state; the stream of actions is the loop's."""
        assert isinstance(self.decide, Drawing)
        self._policy.restore(state["policy"])
        self._values.restore(state["values"])
        self._decay, self.updates = state["decay"], state["updates"]
