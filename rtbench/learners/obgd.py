"""What streaming learners are made of: a bounded step along eligibility traces, sparse weights, running moments.

Source: Elsayed, Vasan and Mahmood 2024, Algorithms 1 (sparse initialisation), 3 (ObGD), 4 to 6 (normalisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtbench.graph import Layer, LayerGraph, outputs


class ObGD:
    """Overshooting-bounded gradient descent: traces z of gradients, and a step δ·z that is not too long."""

    def __init__(self, tensors: Sequence[Tensor], step_size: float, overshoot: float) -> None:
        self._tensors = [tensor.detach() for tensor in tensors]
        self.traces = [torch.zeros_like(tensor) for tensor in self._tensors]
        self._step_size, self._overshoot = step_size, overshoot

    def step(self, error: float, gradients: Sequence[Tensor], decay: float) -> None:
        """z ← decay · z + g; w ← w + α′ δ z with α′ = α ÷ max(1, α κ max(1, |δ|) ‖z‖₁).

        `gradients` of what is to grow with a positive error (a value, a log-probability).
        """
        torch._foreach_mul_(self.traces, decay)
        torch._foreach_add_(self.traces, list(gradients))
        length = float(torch.stack(torch._foreach_norm(self.traces, 1)).sum())
        bound = self._step_size * self._overshoot * max(1.0, abs(error)) * length
        torch._foreach_add_(self._tensors, self.traces, alpha=error * self._step_size / max(1.0, bound))

    def forget(self) -> None:
        """Traces back to zero."""
        torch._foreach_zero_(self.traces)


def sparse(share: float) -> Any:
    """Weights uniform in ±1/√inputs of which a share of every output's are 0, biases 0 (Algorithm 1)."""

    def initialise(graph: LayerGraph, layer: Layer, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        inputs, columns = graph.input_width(layer), outputs(layer)
        zeros = ceil(share * inputs)
        found = []
        for drawn in generators:
            weight = (torch.rand((inputs, columns), generator=drawn) * 2 - 1) / sqrt(inputs)
            order = torch.rand((inputs, columns), generator=drawn).argsort(0)
            found.append(weight.masked_fill(order < zeros, 0.0))
        return torch.stack(found), torch.zeros(len(generators), 1, columns)

    return initialise


class Moments:
    """Mean and variance of all samples so far, by element (Welford)."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean = np.zeros(size)
        self._squares = np.zeros(size)

    def learn(self, sample: NDArray[Any]) -> None:
        """One more sample."""
        self.count += 1
        away = sample - self.mean
        self.mean += away / self.count
        self._squares += away * (sample - self.mean)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Of the samples so far; 1 of fewer than two."""
        found: NDArray[np.float64] = self._squares / (self.count - 1) if self.count > 1 else np.ones_like(self.mean)
        return found

    def normalised(self, sample: NDArray[Any]) -> NDArray[np.float32]:
        """A sample less the mean, divided by the standard deviation."""
        found: NDArray[np.float32] = ((sample - self.mean) / np.sqrt(self.variance + 1e-8)).astype(np.float32)
        return found

    def state(self) -> dict[str, Any]:
        """Plain data."""
        return {"count": self.count, "mean": self.mean, "squares": self._squares}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.count, self.mean, self._squares = state["count"], state["mean"].copy(), state["squares"].copy()


class RewardScale:
    """Rewards divided by the standard deviation of the discounted return so far (Algorithm 5)."""

    def __init__(self, gamma: float) -> None:
        self._gamma, self._running, self._moments = gamma, 0.0, Moments(1)

    def over(self) -> None:
        """The episode's return is complete."""
        self._running = 0.0

    def scaled(self, reward: float) -> float:
        """The reward of one step."""
        self._running = self._gamma * self._running + reward
        self._moments.learn(np.array([self._running]))
        return reward / sqrt(float(self._moments.variance[0]) + 1e-8)

    def state(self) -> dict[str, Any]:
        """Plain data."""
        return {"running": self._running, "moments": self._moments.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self._running = state["running"]
        self._moments.restore(state["moments"])
