"""Measurements of a batch of runs as a program: one `advance` is a round of one run, alone on the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rtbench.backends.measure import Contender, Measurement, dtype, figures, one_thread, with_threads
from rtbench.backends.stopwatch import Stopwatch
from rtbench.errors import SuiteError
from rtbench.interaction.profile import ProfileGroup, summary
from rtbench.learners.counted import Counted
from rtbench.learners.policy import graph_columns
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use
from rtbench.realtime.alone import alone

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.learners.stopwatch import Params

TOLD = (
    *("weights_bytes", "memory_bytes", "bandwidth_bytes_per_s", "peak_flop_per_s"),
    *("clock_before_mhz", "clock_after_mhz", "temperature_before_c", "temperature_after_c"),
    *("load_before", "load_after"),
)
"""Numbers of a profile's group that become extras by the same names."""

Timed = Sequence[tuple[Contender, ProfileGroup]]


class StopwatchProgram(Counted):
    """A measurement that is interrupted begins anew: half of one machine's state and half of another's say nothing."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        self._cell, self._seeds, self._p = batch.cell, batch.seeds, params
        self._own = Contender(batch.cell.backend, batch.cell.interaction.execution, params.threads)
        spec = build(batch.cell.environment).spec()
        self._shape = PolicyShape(
            params.observation_size or spec.observation_size, spec.action_size, params.output_size or spec.action_size
        )
        self._watch: Stopwatch | None = None
        self._held = contextlib.ExitStack()
        super().__init__()

    @property
    def done_units(self) -> int:
        """Samples so far, per run."""
        begun = self._watch.samples if self._watch else 0
        return (self.total_units * len(self._done) + begun) // len(self._seeds)

    @property
    def total_units(self) -> int:
        """Samples of each run."""
        return self._cell.budget.steps

    @property
    def done(self) -> bool:
        """True when every run has been measured."""
        return len(self._done) == len(self._seeds)

    def advance(self) -> None:
        """The next round of the run at hand; first everything is made and warmed up."""
        if self._watch is None:
            self._held.enter_context(alone())
            self._watch = self._begun(self._seeds[len(self._done)])
            return
        self._watch.advance()
        if self._watch.done:
            self._done.append(self._counted(self._watch.groups()))
            self._watch = None
            self._held.close()

    def _begun(self, seed: int) -> Stopwatch:
        p = self._p
        how = Measurement(self.total_units, p.warmup, p.batch, seed, p.rounds)
        watch = Stopwatch(self._cell.architecture, contenders(self._own, p.against), self._shape, how)
        for contender, reason in watch.refused:
            if contender == self._own:
                raise SuiteError(reason, place=self._own.title)
        return watch

    def _counted(self, groups: Timed) -> dict[str, Any]:
        own = _of(self._own, groups)
        told = figures(own)
        graph = build(self._cell.architecture).make(self._shape)
        columns = {
            **graph_columns(graph, self._cell.interaction),
            **{f"inference_time_{name}_s": told[f"{name}_ns"] / 1e9 for name in ("p50", "p95", "p99", "max")},
            **{"eval_return_final": 0.0, "updates": 0, "env_steps": 0, "ticks": len(own.samples_ns)},
        }
        return {"columns": columns, "extras": extras(self._own, groups)}


def contenders(own: Contender, against: Sequence[str]) -> list[Contender]:
    """The cell's own, then its backend's and the others' sequential execution, on one thread and on as many."""
    found = [own]
    for backend in (own.backend, *(use("backends", name, place="learner.against") for name in against)):
        for threads in sorted({1, own.threads}):
            one = Contender(with_threads(backend, threads), "sequential", threads)
            found += [one] if one not in found and not one_thread(backend, threads) else []
    return found


def _of(own: Contender, groups: Timed) -> ProfileGroup:
    return next(group for contender, group in groups if contender == own)


def _named(backend: str, numbers: str) -> tuple[str, ...]:
    return (backend,) if numbers == "fp32" else (backend, numbers)


def extras(own: Contender, groups: Timed) -> dict[str, float]:
    """Speed-ups, limits and conditions of a run (`rtbench.learners.stopwatch.Stopwatch`), from all that was timed."""
    group = _of(own, groups)
    told = figures(group)
    best: dict[tuple[str, str], float] = {}
    for one, other in groups:
        if one.execution == "sequential":
            key, took_s = (one.backend.name, dtype(one.backend)), summary(other).p50_ns / 1e9
            best[key] = min(took_s, best.get(key, took_s))
    took_s = told["p50_ns"] / 1e9
    alike = [value for (_, numbers), value in best.items() if numbers == dtype(own.backend)]
    baselines = {"eager": best.get(("eager", "fp32")), "best": min(alike, default=None)}
    bounds = {f"limit_{name}_s": value / 1e9 for name, value in group.bounds_ns.items()}
    found: dict[str, float | None] = {
        **{f"speedup_{name}": value / took_s for name, value in baselines.items() if value is not None},
        **{f"sequential_{'_'.join(_named(*key))}_s": value for key, value in best.items()},
        **bounds,
        **{"limit_s": max(bounds.values(), default=None), "limit_share": told["limit_share"]},
        **{"jitter_s": told["jitter_ns"] / 1e9, "per_s": told["per_s"], "drift": told["drift"]},
        **{name: getattr(group, name) for name in TOLD},
    }
    return {f"rtbench/{name}": float(value) for name, value in found.items() if value is not None}
