"""One update of a network of action values: what is drawn, the loss, its gradients, and what they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rtbench.learners import dqn_losses, rainbow_losses
from rtbench.learners.adam import Adam
from rtbench.learners.dqn_networks import QNetwork, copy_into
from rtbench.learners.heads import ATOMS, dueling
from rtbench.learners.ppo_networks import clip_norm
from rtbench.parts import PolicyShape
from rtbench.plugins import build

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.learners.dqn import Params
    from rtbench.learners.experience import Experience, Transitions
    from rtbench.parts import EnvironmentSpec


def head_of(p: Params) -> str:
    """The name of the head that a policy trained so has (`rtbench.learners.policy.HEADS`)."""
    streams = {(False, False): "greedy", (True, False): "dueling", (False, True): "distribution"}
    return streams.get((p.dueling, p.distributional), "dueling-distribution")


def network_of(cell: Cell, spec: EnvironmentSpec, p: Params, generator: torch.Generator) -> QNetwork:
    """A fresh network of a cell."""
    atoms = ATOMS if p.distributional else 1
    graph = build(cell.architecture).make(PolicyShape.of(spec, spec.action_size * atoms))
    return QNetwork(
        dueling(graph) if p.dueling else graph,
        spec.action_size,
        generator,
        atoms=atoms,
        dueling=p.dueling,
        noise=p.noise if p.noisy else None,
        scale=spec.observation_scale,
        precision=cell.precision,
    )


class Updates:
    """A network, its target and Adam; `compute` gives an update's gradients, `apply` makes it."""

    def __init__(
        self, network: QNetwork, p: Params, experience: Experience, rng: np.random.Generator, generator: torch.Generator
    ) -> None:
        """`rng` draws from the experience, `generator` the noise of targets."""
        self._p, self.network, self._experience, self._rng = p, network, experience, rng
        self._batch = p.batch_size * (p.learners if p.learning == "parallel" else 1)
        self._target = [tensor.detach().clone() for tensor in network.tensors]
        self._adam = Adam(network.tensors, p.learning_rate)
        self._generator = generator
        self._support = torch.linspace(p.support_low, p.support_high, ATOMS)
        self.count = 0
        self._followed = 0

    # ---- the loss --------------------------------------------------------------------------------------------------

    def compute(self) -> list[Tensor]:
        """Gradients, clipped, of the parameters of now on a batch that is drawn now."""
        drawn = self._experience.draw(self._rng, self._batch)
        loss, errors = self.loss(drawn)
        gradients = [gradient.contiguous() for gradient in torch.autograd.grad(loss, self.network.tensors)]
        clip_norm(gradients, self._p.gradient_norm)
        self._experience.prioritise(drawn, errors.numpy())
        return gradients

    def loss(self, drawn: Transitions) -> tuple[Tensor, Tensor]:
        """The loss of a batch, and the error of each decision [n]."""
        network = self.network
        here, there = torch.from_numpy(drawn.observations), torch.from_numpy(drawn.following)
        returns, discounts = torch.from_numpy(drawn.returns), torch.from_numpy(drawn.discounts)
        weights, actions = torch.from_numpy(drawn.weights), torch.from_numpy(drawn.actions)
        effective = network.effective(network.tensors)
        with torch.no_grad():
            online = network.outputs(there, effective) if self._p.double else None
            target = network.outputs(there, self._target_parameters())
        outputs = network.outputs(here, effective)
        if self._p.distributional:
            goal = rainbow_losses.goals(returns, discounts, target, online, self._support)
            return rainbow_losses.loss(outputs, actions, goal, weights)
        return dqn_losses.loss(outputs, actions, dqn_losses.goals(returns, discounts, target, online), weights)

    def _target_parameters(self) -> dict[str, dict[str, Tensor]]:
        """The target network's, with noise of its own."""
        if not self._p.noisy:
            return self.network.effective(self._target, noisy=False)
        with self.network.other_noise(self._generator):
            return self.network.effective(self._target)

    def apply(self, gradients: list[Tensor]) -> None:
        """A step of Adam; noise drawn anew; every so often the target is what the network is."""
        self.step(gradients)
        self.network.draw()
        self.network.refresh()
        if self.count % self._p.target_every == 0:
            copy_into(self._target, self.network.tensors)

    def step(self, gradients: list[Tensor]) -> None:
        """A step of Adam alone."""
        self._adam.step(gradients)
        self.count += 1

    def follow(self, version: int) -> None:
        """The parameters are those after so many updates, by whomever: new noise, and the target copied if it is due.

        One learner of several copies what it finds after the update that makes it due, at most as many later as there
        are others.
        """
        every = self._p.target_every
        if version // every > self._followed // every:
            copy_into(self._target, self.network.tensors)
        self._followed = version
        self.network.draw()

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Network, target, Adam, random streams."""
        return {
            "network": self.network.state(),
            "target": self._target,
            "adam": self._adam.state(),
            "rng": self._rng.bit_generator.state,
            "generator": self._generator.get_state(),
            "count": self.count,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state, in place."""
        copy_into(self._target, state["target"])
        self._adam.restore(state["adam"])
        self._rng.bit_generator.state = state["rng"]
        self._generator.set_state(state["generator"])
        self.count = state["count"]
        self.network.restore(state["network"])
