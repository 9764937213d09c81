"""Timing updates and inferences as a program: one `advance` is one call."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rtbench.backends.measure import random_parameters
from rtbench.interaction.timeline import nearest_rank
from rtbench.learners.acting import actings
from rtbench.learners.base import Outcome
from rtbench.learners.dqn import Params as DQNParams
from rtbench.learners.dqn_updates import Updates, network_of
from rtbench.learners.experience import Experience, Transitions
from rtbench.learners.policy import graph_columns
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.realtime.alone import alone
from rtbench.seeds import derive, generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.update_timing import Params
    from rtbench.parts import EnvironmentSpec

_WARM_UP, _POLL_S = 1, 0.2


class _Constant(Experience):
    """An experience in which everything has been drawn already."""

    def __init__(self, spec: EnvironmentSpec, batch: int, rng: np.random.Generator) -> None:
        super().__init__(spec, decisions=1, rows=1)
        seen = rng.integers(0, 255, (2, batch, spec.observation_size), np.uint8).astype(spec.observation_dtype)
        none, ones = np.zeros(batch, np.int64), np.ones(batch, np.float32)
        self._drawn = Transitions(none, seen[0], rng.integers(spec.action_size, size=batch), ones, ones, seen[1], ones)

    def draw(self, rng: np.random.Generator, batch: int) -> Transitions:
        """The same batch."""
        return self._drawn


def update_of(cell: Cell, batch: int, seed: int) -> Callable[[], None]:
    """A whole update of deep Q-learning on a batch that is there already: loss, gradients, Adam."""
    spec, rng = build(cell.environment).spec(), generator(seed, "timing")
    drawn = torch.Generator().manual_seed(derive(seed, "network"))
    params = replace(DQNParams(), batch_size=batch)
    network = network_of(cell, spec, params, drawn)
    updates = Updates(network, params, _Constant(spec, batch, rng), rng, drawn)
    return lambda: updates.apply(updates.compute())


def _inference_of(cell: Cell, seed: int) -> Callable[[], None]:
    spec = build(cell.environment).spec()
    graph = build(cell.architecture).make(PolicyShape.of(spec, spec.action_size))
    (acting,) = actings(cell, graph, random_parameters(graph, seed), "zero", seed)
    seen = generator(seed, "timing").random(spec.observation_size, np.float32)
    nothing = np.zeros(spec.action_size, np.float32)
    acting.restart(seen)
    return lambda: (acting.tick(seen, nothing), None)[1]


class UpdateTimingProgram:
    """Calls of every run, one run after the other; an interrupted run's measurements begin anew."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        self._cell, self._seeds, self._p = batch.cell, batch.seeds, params
        self._spec = build(batch.cell.environment).spec()
        self._graph = build(batch.cell.architecture).make(PolicyShape.of(self._spec, self._spec.action_size))
        self._found: list[list[int]] = [[]]
        self._work: Callable[[], None] | None = None

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def done_units(self) -> int:
        """Runs that have been measured: all of the budget, or none."""
        return self.total_units if self.done else 0

    @property
    def total_units(self) -> int:
        """Units of the budget, which say nothing here."""
        return self._cell.budget.steps

    @property
    def done(self) -> bool:
        """True when every run has been measured."""
        return len(self._found) > len(self._seeds)

    def advance(self) -> None:
        """One call."""
        seed, found = self._seeds[len(self._found) - 1], self._found[-1]
        if self._work is None:
            inference = self._p.measures == "inference"
            self._work = (
                _inference_of(self._cell, seed) if inference else update_of(self._cell, self._p.batch_size, seed)
            )
            for _ in range(_WARM_UP):
                self._work()
        with alone(waits=False) as free:
            if not free:
                time.sleep(_POLL_S)  # and answer to a signal meanwhile
                return
            begin = time.perf_counter_ns()
            self._work()
            found.append(time.perf_counter_ns() - begin)
        enough = len(found) >= 3 and sum(found) / 1e9 >= self._p.patience_s
        if enough or len(found) >= self._p.calls:
            self._found.append([])
            self._work = None

    # ---- telling ---------------------------------------------------------------------------------------------------

    def metrics(self) -> list[dict[str, float]]:
        """Nothing on the way."""
        return []

    def outcomes(self) -> list[Outcome]:
        """The times of every run."""
        return [self._outcome(np.sort(np.array(found))) for found in self._found[: len(self._seeds)]]

    def _outcome(self, took_ns: Any) -> Outcome:
        count = self._graph.parameter_count()
        columns = {**graph_columns(self._graph, self._cell.interaction), "eval_return_final": 0.0}
        columns |= dict.fromkeys(("updates", "env_steps", "ticks"), 0)
        extras = {"rtbench/parameters": float(count), "rtbench/calls": float(len(took_ns))}
        if self._p.measures == "inference":
            ranks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
            times = {f"inference_time_{name}_s": nearest_rank(took_ns, rank) / 1e9 for name, rank in ranks.items()}
            return Outcome(columns | times, extras)
        took_s = nearest_rank(took_ns, 50) / 1e9
        per_transition_s = took_s / self._p.batch_size
        extras |= {
            "rtbench/update_time_s": took_s,
            "rtbench/update_time_max_s": int(took_ns[-1]) / 1e9,
            "rtbench/transition_time_s": per_transition_s,
            "rtbench/learners_needed": float(learners_needed(took_s, self._p.batch_size, self._spec.step_s)),
        }
        return Outcome(columns, extras)

    def policies(self, run_ids: Sequence[str]) -> list[Any]:
        """None."""
        return []

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Runs that are over."""
        return {"found": self._found[:-1]}

    def appended(self) -> dict[str, Any]:
        """Nothing grows."""
        return {}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state."""
        self._found = [*(list(found) for found in state["found"]), []]


def learners_needed(update_s: float, batch: int, step_s: float) -> int:
    """N_L* = max(1, ⌈τ_L / (B · τ_M)⌉): as many transitions are learnt from as the world gives."""
    return max(1, ceil(update_s / (batch * step_s)))
