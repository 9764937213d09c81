"""Timelines of a batch of runs as a program: one `advance` is one run's."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.enough import enough_processes
from rtbench.interaction.timeline import NEVER, Timeline, nearest_rank
from rtbench.interaction.timing import timeline_of
from rtbench.learners.counted import Counted
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.units import seconds_to_ns

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.clockwork import Params

EARLY_CYCLES = 20


class ClockworkProgram(Counted):
    """What was counted is small and kept; a timeline is computed whole and forgotten."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        self._cell, self._seeds, self._p = batch.cell, batch.seeds, params
        spec = build(batch.cell.environment).spec()
        graph = build(batch.cell.architecture).make(PolicyShape.of(spec, spec.action_size))
        met = batch.cell.interaction
        execution, delta = met.execution, met.delta or 1
        head = graph.lags(execution, delta).head
        backs = [age - head for age, _ in graph.ages(execution, delta)]
        self._lags = (1 + min(backs), 1 + max(backs))
        self._layers = len(graph.layers)
        self._step_s = spec.step_s
        self._holds = build(met.default_policy).holds
        super().__init__()

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def done_units(self) -> int:
        """Steps of the runs that are over, per run."""
        return self.total_units * len(self._done) // len(self._seeds)

    @property
    def total_units(self) -> int:
        """Steps of each timeline."""
        return self._cell.budget.steps

    @property
    def done(self) -> bool:
        """True when every run's timeline has been counted."""
        return len(self._done) == len(self._seeds)

    def advance(self) -> None:
        """The next run."""
        seed = self._seeds[len(self._done)]
        line = timeline_of(
            self._cell.interaction, self._layers, self._step_s, self._cell.budget.steps, seed, "clockwork"
        )
        extras = self._inaction(line) | self._waits(line)
        if self._p.search:
            extras |= self._enough(seed)
        self._done.append({"columns": self._columns(line), "extras": extras})

    # ---- counting --------------------------------------------------------------------------------------------------

    def _columns(self, line: Timeline) -> dict[str, Any]:
        skipped = int(self._p.settling_share * line.steps)
        told = line.summary(*self._lags, holds=self._holds, skip_steps=skipped)
        ages = {"observation_age": told.newest_age, "oldest_age": told.oldest_age}
        took = np.sort((line.finished_ns - line.started_ns)[~line.random])
        times = {f"inference_time_p{p}_s": nearest_rank(took, p) / 1e9 for p in (50, 95, 99)} if len(took) else {}
        ticks = int((line.started_ns < line.steps * line.step_ns).sum())
        return {
            **{
                f"{name}_{which}_steps": getattr(age, f"{which}_steps") if age else None
                for name, age in ages.items()
                for which in ("p50", "p95", "max")
            },
            **times,
            "inference_time_max_s": int(took[-1]) / 1e9 if len(took) else None,
            "inaction_share": told.inaction_share,
            "overwritten_share": told.overwritten_share,
            "action_interval_steps": told.action_interval_steps,
            "tick_steps": line.steps / ticks if ticks else None,
            "env_steps": line.steps,
            "ticks": ticks,
            "updates": 0,
            "eval_return_final": 0.0,
        }

    def _inaction(self, line: Timeline) -> dict[str, float]:
        """Shares of steps after startup on which β filled in, up to the marks; when it last did."""
        out: dict[str, float] = {}
        step_s = line.step_ns / 1e9
        for mark in self._p.marks_min:
            end = round(mark * 60 / step_s)
            upto = line.inaction[line.startup_steps : end]
            if len(upto) and end <= line.steps:
                out[f"rtbench/inaction_share_{mark:g}min"] = float(upto.mean())
        at = np.flatnonzero(line.inaction)
        return out | {"rtbench/inaction_last_s": (int(at[-1]) + 1) * step_s if len(at) else 0.0}

    def _waits(self, line: Timeline) -> dict[str, float]:
        """Mean wait of a process between handing an action over and its next start, early and in all."""
        follows = np.flatnonzero(line.previous >= 0)
        follows = follows[line.registered_ns[line.previous[follows]] < NEVER]
        before = line.previous[follows]
        # a process is idle once its action is handed over, whenever the world gets it
        handed_over = line.registered_ns[before] - seconds_to_ns(self._cell.interaction.actuator_latency_s)
        waits = (line.started_ns[follows] - handed_over) / 1e9
        if not len(waits):
            return {}
        early = _cycle(line.process)[follows] <= EARLY_CYCLES
        return {"rtbench/wait_s": float(waits.mean()), "rtbench/wait_early_s": float(waits[early].mean())}

    def _enough(self, seed: int) -> dict[str, float]:
        """Least numbers of processes, in every sense in which there is one; what the formula's number really gives."""
        told = enough_processes(self._cell.interaction, self._layers, self._step_s, seed, holds=self._holds)
        found = {"formula": told.formula, "needed_interval": told.by_interval, "needed_inaction": told.simulated}
        out = {f"rtbench/processes_{name}": float(value) for name, value in found.items() if value is not None}
        met = dataclasses.replace(self._cell.interaction, processes=told.formula)
        # A network that infers for ten seconds needs longer than the budget to settle.
        steps = max(self.total_units, 2 * EARLY_CYCLES * told.formula)
        line = timeline_of(met, self._layers, self._step_s, steps, seed, "clockwork", "formula")
        given = line.summary(*self._lags, holds=self._holds, skip_steps=steps // 2)
        if given.inaction_share is not None:
            out["rtbench/formula_inaction_share"] = given.inaction_share
        return out | {"rtbench/formula_overwritten_share": given.overwritten_share}


def _cycle(process: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many inferences of its own process each comes after. Shape (M,)."""
    order = np.argsort(process, kind="stable")
    counted = np.arange(len(order)) - np.searchsorted(process[order], process[order])
    cycle = np.empty(len(order), dtype=np.int64)
    cycle[order] = counted
    return cycle
