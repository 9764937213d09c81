"""Conformance of schedulers: what they answer under random inference times, wherever their state lies."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np

from rtbench.cell import Latency
from rtbench.errors import RtbenchError
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import NEVER, Timeline
from rtbench.interaction.virtual import Draws, VirtualClock
from rtbench.schedulers.base import SchedulerState
from rtbench.testing.base import PartConformance, once, require
from rtbench.testing.naive_clock import Inference, simulated
from rtbench.testing.samples import cell, interaction

MS = 1_000_000
LATENCIES = (
    Latency("constant", mean_s=0.04),
    Latency("constant", mean_s=0.007),
    Latency("uniform", low_s=0.03, high_s=0.05),
    Latency("lognormal", mean_s=0.04, cv=0.3),
    Latency("mixture", parts=((0.95, Latency("constant", mean_s=0.02)), (0.05, Latency("constant", mean_s=0.2)))),
)
STEPS_NS = (10 * MS, 16_742_706, 7)
COUNTS = (1, 2, 3, 7)


class SchedulerConformance(PartConformance):
    """Checks a scheduler with `params` under constant, uniform, lognormal and mixed inference times.

    `steps` is how long each timeline is, `patience` how many rounds of the longest inference and a step for every
    process may go by until a process must have started again.
    """

    kind = "schedulers"
    steps: ClassVar[int] = 300
    patience: ClassVar[int] = 8

    def make(self, processes: int, step_ns: int = 10 * MS, execution: str = "sequential") -> SchedulerState:
        """A fresh state."""
        state: SchedulerState = self.build().make(processes, step_ns, execution)
        return state

    @once
    def offered(self) -> list[tuple[int, str]]:
        """(processes, execution) that it says it can schedule; AssertionError if there is none."""
        use, part = self.use, self.part_class

        def reason(processes: int, execution: str) -> str | None:
            met = interaction(execution, 1.0, scheduler=use, processes=processes)
            answer: str | None = part.supports(cell(interaction=met))
            return answer

        found = [(n, how) for how in ("sequential", "pipelined") for n in COUNTS if reason(n, how) is None]
        require(found, f"it supports none of {COUNTS} processes, sequential or pipelined")
        return found

    def _cases(self) -> Iterator[tuple[int, int, Latency, int]]:
        """(processes, step, inference time, seed): every count of processes with every inference time."""
        counts = sorted({processes for processes, _ in self.offered()})
        for seed, processes in enumerate(counts):
            for number, latency in enumerate(LATENCIES):
                yield processes, STEPS_NS[(seed + number) % 2], latency, seed

    def _execution(self, processes: int) -> str:
        return next(how for count, how in self.offered() if count == processes)

    def _fresh(self, processes: int, step_ns: int) -> SchedulerState:
        return self.make(processes, step_ns, self._execution(processes))

    def run(self, state: SchedulerState, latency: Latency, seed: int, steps: int = 0) -> list[Inference]:
        """The plain event loop with a scheduler's state."""
        took = Draws(LatencyModel(latency, seed, "took"), state.processes).take
        update = Draws(LatencyModel(Latency("constant", mean_s=0.013)), state.processes).take
        return simulated(state, took, (steps or self.steps) * state.step_ns, update)

    def timeline(self, latency: Latency, processes: int, step_ns: int, seed: int, pieces: int = 1) -> Timeline:
        """The virtual clock's; `pieces`: in how many it is asked for."""
        learning = LatencyModel(Latency("constant", mean_s=0.013))
        model = LatencyModel(latency, seed, "took")
        clock = VirtualClock(self._fresh(processes, step_ns), model, step_ns=step_ns, learning=learning)
        for piece in range(1, pieces):
            clock.extend(piece * self.steps // pieces)
        return clock.timeline(self.steps)

    # ---- what it offers --------------------------------------------------------------------------------------------

    def test_makes_what_it_supports(self) -> None:
        """Every number of processes and execution that `supports` accepts can be made, and every other is refused."""
        offered = self.offered()
        for execution in ("sequential", "pipelined"):
            for processes in COUNTS:
                try:
                    self.build().make(processes, 10 * MS, execution)
                    made = True
                except RtbenchError:
                    made = False
                words = "made although supports refuses" if made else "refused although supports accepts"
                require(made == ((processes, execution) in offered), f"{processes} processes, {execution}: {words}")

    def test_refuses_no_process_at_all(self) -> None:
        """Less than one process is an error a user can act on."""
        execution = self.offered()[0][1]
        try:
            self.build().make(0, 10 * MS, execution)
        except RtbenchError:
            return
        raise AssertionError("0 processes are accepted")

    def test_knows_its_processes_and_step(self) -> None:
        """A state knows for how many processes and for which step it was made, and how it learns."""
        for processes, execution in self.offered():
            state = self.make(processes, 16_742_706, execution)
            require((state.processes, state.step_ns) == (processes, 16_742_706), "processes or step_ns got lost")
            require(
                state.learns in ("", "before", "after"), f"learns must be '', 'before' or 'after', not {state.learns!r}"
            )
            require(state.chunk >= 1, f"a chunk has at least one action, not {state.chunk}")
            require(state.paced_by in ("longest", "mean"), f"paced_by is {state.paced_by!r}")

    def test_state_is_integers(self) -> None:
        """All it remembers is one sequence of whole numbers of fixed length that 64 bits hold."""
        for processes, step_ns, latency, seed in self._cases():
            state = self._fresh(processes, step_ns)
            length = len(state.state)
            self.run(state, latency, seed)
            require(len(state.state) == length, f"its state grows from {length} to {len(state.state)}")
            whole = all(isinstance(value, (int, np.integer)) for value in state.state)
            require(whole and all(abs(int(value)) < 2**63 for value in state.state), f"state: {list(state.state)}")

    def test_building_leaves_others_alone(self) -> None:
        """Two states share nothing: one that has run does not change a fresh one."""
        for processes, step_ns, latency, seed in self._cases():
            part = self.build()
            used, fresh = (part.make(processes, step_ns, self._execution(processes)) for _ in range(2))
            alone = self.run(self._fresh(processes, step_ns), latency, seed)
            self.run(used, latency, seed)
            require(self.run(fresh, latency, seed) == alone, "two states of one scheduler disturb each other")

    # ---- under random inference times ------------------------------------------------------------------------------

    def test_nothing_happens_in_the_past(self) -> None:
        """Starts and registrations are whole nanoseconds, never before the present."""
        for processes, step_ns, latency, seed in self._cases():
            for begun in self.run(_Whole(self._fresh(processes, step_ns)), latency, seed):
                require(begun.registered_ns is None or begun.registered_ns >= begun.finished_ns, f"too early: {begun}")

    def test_a_process_does_one_thing_at_a_time(self) -> None:
        """No process begins an inference before the action of its last one has been handed over."""
        for processes, step_ns, latency, seed in self._cases():
            last = [-1] * processes
            for begun in self.run(self._fresh(processes, step_ns), latency, seed):
                require(begun.started_ns >= last[begun.process], f"overlap: {begun}")
                last[begun.process] = 2**62 if begun.registered_ns is None else begun.registered_ns

    def test_no_process_starves(self) -> None:
        """Every process starts again and again, whatever the inference times."""
        for processes, step_ns, latency, seed in self._cases():
            longest = max(LatencyModel(latency).longest_ns(), step_ns) + 13 * MS
            most = self.patience * processes * (longest + step_ns)
            steps = max(self.steps, 4 * most // step_ns)
            last = [0] * processes
            for begun in self.run(self._fresh(processes, step_ns), latency, seed, steps):
                gap = begun.started_ns - last[begun.process]
                require(gap <= most, f"process {begun.process} of {processes} waits {gap} ns, at most {most} are fair")
                last[begun.process] = begun.started_ns
            require(min(last) > steps * step_ns - most, f"a process stops starting after {min(last)} ns")

    def test_same_draws_same_answers(self) -> None:
        """It has no randomness and no clock of its own."""
        for processes, step_ns, latency, seed in self._cases():
            one, other = (self.run(self._fresh(processes, step_ns), latency, seed) for _ in range(2))
            require(one == other, f"two runs with the same inference times differ, {processes} processes")

    def test_time_has_no_unit(self) -> None:
        """Steps and inference times of a few nanoseconds, and of minutes, are scheduled as well."""
        for processes, execution in self.offered():
            for step_ns, latency in ((7, 25), (60_000 * MS, 200_000 * MS)):
                begun = simulated(
                    self.make(processes, step_ns, execution), functools.partial(_constant, latency), 60 * step_ns
                )
                require(len(begun) >= 5, f"a step of {step_ns} ns: only {len(begun)} inferences in 60 steps")

    # ---- where its state lies --------------------------------------------------------------------------------------

    def test_state_may_lie_in_shared_memory(self) -> None:
        """Replaced by an array of the same numbers, as real processes share it, it answers the same."""
        for processes, step_ns, latency, seed in self._cases():
            plain, moved = self._fresh(processes, step_ns), self._fresh(processes, step_ns)
            moved.state = np.array(moved.state, dtype=np.int64)  # type: ignore[assignment]
            same = self.run(plain, latency, seed) == self.run(moved, latency, seed)
            require(same, "with its state in an array it answers otherwise: does it keep a copy, or remember more?")

    def test_state_is_all_it_remembers(self) -> None:
        """A fresh scheduler that is given the state of another goes on as that one would have."""
        for processes, step_ns, latency, seed in self._cases():
            one, other = self._fresh(processes, step_ns), self._fresh(processes, step_ns)
            self.run(one, latency, seed)
            other.state[:] = [int(value) for value in one.state]
            now = 10 * self.steps * step_ns
            for turn in range(4 * processes):
                process = turn % processes
                asked = [s.start(process, now) for s in (one, other)]
                told = [s.register(process, asked[0] + 5 * MS, 5 * MS) for s in (one, other)]
                require(asked[0] == asked[1] and told[0] == told[1], "it remembers something beside its state")
                now = told[0]

    def test_threads_do_not_disturb_each_other(self) -> None:
        """States in several threads answer as each alone."""
        cases = list(self._cases())
        alone = [self.run(self._fresh(n, step_ns), latency, seed) for n, step_ns, latency, seed in cases]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda case: self.run(self._fresh(case[0], case[1]), case[2], case[3]), cases))
        require(together == alone, "schedulers in several threads disturb each other")

    # ---- on the virtual clock --------------------------------------------------------------------------------------

    def test_the_virtual_clock_agrees(self) -> None:
        """Computed in blocks where it keeps a rhythm (`steady`, `caught_up`), a timeline is that of single events."""
        for processes, step_ns, latency, seed in self._cases():
            line = self.timeline(latency, processes, step_ns, seed)
            expected = self.run(self._fresh(processes, step_ns), latency, seed)
            horizon_ns = self.steps * step_ns
            for at, begun in enumerate(expected):
                row = Inference(
                    *(int(c[at]) for c in (line.started_ns, line.process, line.finished_ns, line.registered_ns))
                )
                late = begun.registered_ns is None or begun.registered_ns >= horizon_ns
                wanted = begun._replace(registered_ns=NEVER if late else begun.registered_ns)
                require(row == wanted, f"inference {at} of {processes} processes: {row}, one by one {wanted}")
            require(len(line.process) == len(expected), "the virtual clock sees another number of inferences")

    def test_a_timeline_may_be_asked_for_in_pieces(self) -> None:
        """Extended bit by bit it is the same as at once."""
        for processes, step_ns, latency, seed in self._cases():
            whole = self.timeline(latency, processes, step_ns, seed)
            pieces = self.timeline(latency, processes, step_ns, seed, pieces=9)
            same = all(np.array_equal(getattr(whole, c), getattr(pieces, c)) for c in ("started_ns", "registered_ns"))
            require(same, "a timeline in pieces is another one")

    def test_ages_are_possible(self) -> None:
        """What acts at a step has been observed, computed and registered before it."""
        for processes, step_ns, latency, seed in self._cases():
            line = self.timeline(latency, processes, step_ns, seed)
            steps = np.flatnonzero(line.source >= 0)
            by = line.source[steps]
            require((line.apply_step[by] <= steps).all(), "an action acts before it is registered")
            require((line.read_step[by] * step_ns <= line.started_ns[by]).all(), "an inference reads the future")
            newest, _ = line.ages(holds=True)
            shortest = int((line.finished_ns - line.started_ns).min())
            found = newest.compressed()
            require(
                not len(found) or found.min() * step_ns >= shortest - step_ns, "an age is shorter than an inference"
            )

    def test_it_acts(self) -> None:
        """After a while there are actions: whatever the inference times, some step has a new one."""
        for processes, step_ns, latency, seed in self._cases():
            line = self.timeline(latency, processes, step_ns, seed)
            require((line.source >= 0).any(), f"{processes} processes: no action in {self.steps} steps")


class _Whole(SchedulerState):
    """Passes everything on and insists on whole numbers."""

    def __init__(self, inner: SchedulerState) -> None:
        super().__init__(inner.processes, inner.step_ns, inner.state)
        self._inner, self.learns, self.chunk = inner, inner.learns, inner.chunk

    def start(self, process: int, now_ns: int) -> int:
        return _whole(self._inner.start, process, now_ns)

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        return _whole(self._inner.register, process, now_ns, took_ns)


def _constant(took_ns: int, process: int) -> int:
    return took_ns


def _whole(ask: Callable[..., int], *given: int) -> int:
    answer = ask(*given)
    words = f"{ask.__name__}{given} answers {answer!r}: nanoseconds are whole numbers"
    require(isinstance(answer, (int, np.integer)) and not isinstance(answer, bool), words)
    return answer
