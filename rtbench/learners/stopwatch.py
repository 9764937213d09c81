"""No learning and no world: how long the architecture takes on the cell's backend, as the columns of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtbench.parts import Learner, param

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.base import Program

FEWEST_TICKS = 2000
MOST_THREADS = 1024


@dataclass(frozen=True)
class Params:
    """What is timed beside the cell's own backend, on how many threads, for which sizes."""

    threads: int = param(1, unit="threads", doc="threads of arithmetic, kept to as many cores")
    batch: int = param(1, unit="observations", doc="observations per inference")
    observation_size: int = param(0, unit="numbers", doc="in an observation; 0: as many as the environment gives")
    output_size: int = param(0, unit="numbers", doc="that the network puts out; 0: one per action of the environment")
    warmup: int = param(200, unit="ticks", doc="untimed, before the first round")
    rounds: int = param(10, unit="rounds", doc="in each of which everything that is compared has its turn")
    against: tuple[str, ...] = param(
        ("eager", "numpy"), doc="backends whose sequential execution is timed in turn with that of the cell's own"
    )


class Stopwatch(Learner):
    """Times the cell's execution of the architecture, with random weights; the budget's `ticks` are the samples.

    Under clock = "wall", as times are of this machine only; nothing else of this runner runs meanwhile, and no other
    run on the wall clock. An inference is a whole pass (sequential) or one tick of all layers (pipelined). In the same
    rounds the sequential execution of the cell's own backend and of those in `against` is timed, on one thread and,
    where they may have more, on as many as the cell has; the faster counts. The columns `inference_time_*_s` are the
    cell's own; the return is 0.
    Extras, all medians in seconds unless said:

    - `rtbench/speedup_eager`: eager sequential ÷ own, the paper's comparison; `rtbench/speedup_best`: the best of
      all sequential executions with weights in the same number format ÷ own;
    - `rtbench/sequential_<backend>_s`, of each that could be timed (in another format than single precision:
      `rtbench/sequential_<backend>_<format>_s`);
    - `rtbench/limit_s`: the greater of weights' bytes ÷ bandwidth and operations ÷ peak, `rtbench/limit_memory_s` and
      `rtbench/limit_arithmetic_s`, `rtbench/limit_share`: limit ÷ own; `rtbench/bandwidth_bytes_per_s` and
      `rtbench/peak_flop_per_s`, measured in the same rounds with as many threads, the best of them;
    - `rtbench/jitter_s` (95th percentile less median), `rtbench/per_s` (inferences of a whole batch), `rtbench/drift`
      (how far medians of rounds lie apart, as a share), `rtbench/memory_bytes` (beyond the parameters);
    - `rtbench/clock_before_mhz`, `rtbench/clock_after_mhz`, `rtbench/temperature_before_c` and so on, and
      `rtbench/load_before`, where they can be read.

    Source: Handling Delay in Real-Time RL, Figure 1a and Section 5.4.
    """

    Params = Params
    revision = 2
    preload = ("rtbench.learners.stopwatch_program",)
    reference_units_per_s = 500.0

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """The wall clock, an execution that takes time, enough samples, as many threads as the backend may have."""
        from rtbench.backends.measure import one_thread

        p, met = cell.learner.params, cell.interaction
        if met.clock != "wall" or met.execution == "instant":
            return "learner stopwatch measures: it needs clock = 'wall' and execution = 'sequential' or 'pipelined'"
        if met.latency is not None or met.delta or met.processes != 1 or met.epsilon:
            return "learner stopwatch takes what inference takes: no latency, no delta, no epsilon, one process"
        if cell.budget.unit != "ticks" or cell.budget.steps < FEWEST_TICKS or cell.budget.steps % p["rounds"]:
            return f"learner stopwatch needs a budget of at least {FEWEST_TICKS} ticks that divides into its rounds"
        if p["threads"] < 1 or p["threads"] > MOST_THREADS or p["batch"] < 1 or p["warmup"] < 1 or p["rounds"] < 1:
            return f"learner stopwatch: threads (up to {MOST_THREADS}), batch, warmup and rounds are at least 1"
        if reason := one_thread(cell.backend, p["threads"]):
            return reason
        own = cell.backend.params.get("threads", p["threads"])
        if own != p["threads"]:
            return f"learner stopwatch is to use {p['threads']} threads, backend {cell.backend.name} uses {own}"
        return None

    def make(self, batch: RunBatch) -> Program:
        """The measurements of a batch of runs, one after the other."""
        from rtbench.learners.stopwatch_program import StopwatchProgram

        return StopwatchProgram(batch, self.params)
