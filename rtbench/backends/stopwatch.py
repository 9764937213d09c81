"""Timing: backends act with random weights in turn, every tick is timed, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rtbench.backends.cores import Arithmetic, available, chosen, cores_text
from rtbench.backends.limits import BYTES_PER_WEIGHT, Bandwidth, Peak
from rtbench.backends.machine import Conditions, MemoryTaken, conditions
from rtbench.backends.measure import (
    EXECUTIONS,
    INPUTS,
    Contender,
    Measurement,
    architecture_text,
    backend_text,
    dtype,
    inputs,
    random_parameters,
    refusal,
)
from rtbench.errors import RtbenchError, SuiteError
from rtbench.graph import ActingSpec
from rtbench.interaction.profile import ProfileGroup
from rtbench.parts import Backend, PartUse, PolicyShape
from rtbench.plugins import build

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtbench.backends.base import Acting
    from rtbench.graph import LayerGraph

    Array = NDArray[np.float32]


class Stopwatch:
    """Times contenders that execute the same network with the same weights, round by round.

    SuiteError if no contender can be made; those that cannot (or fail in their first ticks) are in `refused`, with the
    reason. `clock` gives
    nanoseconds.
    """

    def __init__(
        self,
        architecture: PartUse,
        contenders: Sequence[Contender],
        shape: PolicyShape,
        how: Measurement,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        how.check()
        for contender in contenders:
            if contender.threads < 1:
                raise SuiteError(f"threads must be at least 1, got {contender.threads}", place="--threads")
        self._architecture, self._shape, self._how, self._clock = architecture, shape, how, clock
        self.refused: list[tuple[Contender, str]] = []
        self._arithmetic = Arithmetic()
        kept = [contender for contender in contenders if not self._refuses(contender)]
        self._check_some(kept)
        self._graph: LayerGraph = build(architecture).make(shape)
        parameters = random_parameters(self._graph, how.seed)
        self._inputs = inputs(shape, how)
        self._rounds = 0
        self._turns = [turn for one in kept if (turn := self._made(one, parameters))]
        self._check_some(self._turns)
        self._limits = {key: self._limit(*key) for key in sorted({turn.limited for turn in self._turns})}
        self._before = {turn.contender.threads: conditions(chosen(turn.contender.threads)) for turn in self._turns}
        self._after: dict[int, Conditions] = {}

    # ---- before ----------------------------------------------------------------------------------------------------

    def _refuses(self, contender: Contender) -> bool:
        reason = refusal(self._architecture, contender)
        if reason:
            self.refused.append((contender, reason))
        return reason is not None

    def _check_some(self, left: Sequence[object]) -> None:
        """SuiteError with the first reason if nothing is left to be timed."""
        if not left:
            (contender, reason), *_ = self.refused
            raise SuiteError(reason, place=f"{self._architecture.title} on {contender.title}")

    def _made(self, contender: Contender, parameters: dict[str, dict[str, Array]]) -> _Turn | None:
        """A contender that has warmed up; None if its backend refuses this graph or cannot be made."""
        part: Backend = build(contender.backend)
        taken = MemoryTaken()
        try:
            with self._arithmetic.on(contender.threads, chosen(contender.threads)):
                reason = part.refuses(self._asked(contender))
                turn = None if reason else self._warm(part, contender, parameters)
        except RtbenchError as error:  # no compiler that works, no further thread
            reason, turn = str(error), None
        if turn is None:
            self.refused.append((contender, str(reason)))
            return None
        turn.memory_bytes = taken.bytes()
        return turn

    def _asked(self, contender: Contender) -> ActingSpec:
        return ActingSpec(self._graph, contender.execution, 1.0, batch=self._how.batch, fixed=True)

    def _warm(self, part: Backend, contender: Contender, parameters: dict[str, dict[str, Array]]) -> _Turn:
        how, acting = self._how, part.make(self._asked(contender), parameters)
        turn = _Turn(contender, acting, self._inputs, self._clock)
        acting.restart(self._inputs[0][0])
        turn.run(how.warmup, timed=False)
        turn.cores = available()  # a backend may have given the calling thread a core of its own
        return turn

    def _limit(self, threads: int, numbers: str) -> tuple[Bandwidth, Peak]:
        with self._arithmetic.on(threads, chosen(threads)):
            return Bandwidth(self._weights_bytes(numbers), threads), Peak(numbers)

    def _weights_bytes(self, numbers: str) -> int:
        return self._graph.parameter_count() * BYTES_PER_WEIGHT[numbers]

    # ---- measuring -------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether all rounds are over."""
        return self._rounds == self._how.rounds

    @property
    def samples(self) -> int:
        """Samples of each contender so far."""
        return self._rounds * self._how.samples // self._how.rounds

    def advance(self) -> None:
        """One round: every contender in turn, a few ticks untimed as others had the caches, then the limits."""
        how = self._how
        for turn in self._turns:
            with self._arithmetic.on(turn.contender.threads, turn.cores):
                turn.run(max(1, how.warmup // how.rounds), timed=False)
                turn.run(how.samples // how.rounds, timed=True)
        for (threads, _), limits in self._limits.items():
            with self._arithmetic.on(threads, chosen(threads)):
                for limit in limits:
                    limit.trial()
        self._rounds += 1
        if self.done:
            self._after = {turn.contender.threads: conditions(chosen(turn.contender.threads)) for turn in self._turns}

    def groups(self) -> list[tuple[Contender, ProfileGroup]]:
        """What was measured of every contender that was not refused, in their order, when done."""
        return [(turn.contender, self._group(turn)) for turn in self._turns]

    def _group(self, turn: _Turn) -> ProfileGroup:
        graph, how, shape, contender = self._graph, self._how, self._shape, turn.contender
        bandwidth, peak = self._limits[turn.limited]
        before, after = self._before[contender.threads], self._after[contender.threads]
        hidden = [layer.width for layer in graph.layers[:-1]]
        return ProfileGroup(
            architecture=f"{architecture_text(self._architecture)} {shape.observation_size}→{shape.output_size}",
            backend=backend_text(contender.backend),
            execution=contender.execution,
            layers=len(graph.layers),
            width=max(hidden, default=graph.head.width),
            batch=how.batch,
            threads=contender.threads,
            samples_ns=tuple(turn.samples_ns),
            weights_bytes=self._weights_bytes(turn.limited[1]),
            flops=graph.flops() * how.batch,
            memory_bytes=turn.memory_bytes,
            bandwidth_bytes_per_s=bandwidth.bytes_per_s,
            peak_flop_per_s=peak.flop_per_s,
            rounds=how.rounds,
            cores=cores_text(chosen(contender.threads)),
            governor=before.governor,
            clock_before_mhz=before.clock_mhz,
            clock_after_mhz=after.clock_mhz,
            temperature_before_c=before.temperature_c,
            temperature_after_c=after.temperature_c,
            load_before=before.load,
            load_after=after.load,
        )


class _Turn:
    """A contender's ticks: fed the same inputs in turn, nothing timed but the tick itself."""

    def __init__(
        self,
        contender: Contender,
        acting: Acting,
        inputs: tuple[Array, Array],
        clock: Callable[[], int],
    ) -> None:
        self.contender = contender
        self.cores: tuple[int, ...] = ()
        self.limited = (contender.threads, dtype(contender.backend))
        self.samples_ns: list[int] = []
        self.memory_bytes: int | None = None
        self._acting, self._inputs, self._clock, self._ticks = acting, inputs, clock, 0

    def run(self, ticks: int, *, timed: bool) -> None:
        """So many ticks; a sample is at least 1 ns."""
        observations, actions = self._inputs
        tick, clock, samples = self._acting.tick, self._clock, []
        for index in range(self._ticks, self._ticks + ticks):
            observation, action = observations[index % INPUTS], actions[index % INPUTS]
            began = clock()
            tick(observation, action)
            samples.append(max(1, clock() - began))
        self._ticks += ticks
        if timed:
            self.samples_ns += samples


def measure(
    architecture: PartUse, backend: PartUse, shape: PolicyShape, how: Measurement | None = None, threads: int = 1
) -> tuple[ProfileGroup, ...]:
    """One group per execution: a whole inference (sequential) and one tick (pipelined), nanoseconds.

    SuiteError if the parts do not go together or something was asked for that gives no honest profile.
    """
    contenders = [Contender(backend, execution, threads) for execution in EXECUTIONS]
    watch = Stopwatch(architecture, contenders, shape, how or Measurement())
    if watch.refused:
        (first, reason), *_ = watch.refused
        raise SuiteError(reason, place=f"{architecture.title} on {first.title}")
    while not watch.done:
        watch.advance()
    return tuple(group for _, group in watch.groups())
