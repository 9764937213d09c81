"""The wall clock: an environment at absolute deadlines, inference and learner processes beside it.

Step k of a stretch begins at its zero + k · step on the monotonic clock, whatever came before. At that instant: the
newest action that has arrived is taken, else the default policy acts; the observation that the environment has ready
is published, with that action beside it; the environment moves on. Inference processes are driven by the scheduler's
state machine as under the virtual clock, its state in shared memory under a lock. Nothing here waits for an inference.

A world that is held up is late. What is simulated must be stepped all the same, so the steps it missed follow as fast
as they can. Hardware (`Engine.skips`) must not be fired at in a burst: steps whose time is over are given up, and at
the next instant the newest action is applied, once.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, Protocol

import numpy as np

from rtbench.realtime.arrivals import Arrivals
from rtbench.realtime.board import Board
from rtbench.realtime.crew import Crew, ProcessFailed, Tell
from rtbench.realtime.happened import Seen, as_seen, stretch_of
from rtbench.realtime.inference import Inference, InferenceProcess
from rtbench.realtime.interruption import Interruption
from rtbench.realtime.learners import learn_in_turns
from rtbench.realtime.parameters import Learning, Made, Parameters, Updates
from rtbench.realtime.recording import Recording, Stretch
from rtbench.realtime.shared import integers
from rtbench.realtime.values import Buffer
from rtbench.realtime.waking import SPIN_NS, at_priority, cores, sleep_until, wake_precisely

LEAD_NS = 20_000_000
"""From the beginning of a stretch's preparation to its first step: every process is awake by then."""
READY_S = 600.0
"""How long processes may take to load and warm up their policies."""
PATIENCE_S, PATIENCE_INFERENCES = 10.0, 3.0
"""How long processes may take to come back at the end: so long, and so many of the longest inferences seen."""


class World(Protocol):
    """What is acted upon: an environment, or hardware."""

    def reset(self, episode: int) -> Any:
        """Begin an episode; its first observation."""
        ...

    def observe(self) -> Any:
        """The observation of this instant, asked for when a step begins; soon, as the step's action waits for it."""
        ...

    def step(self, action: Any) -> tuple[float, bool]:
        """Apply an action for a step: its reward, and whether the episode is over. May return at once."""
        ...

    def default(self, last: Any) -> Any:
        """β: the action of a step for which there is no new one, given the last applied (None before the first)."""
        ...


@dataclass(frozen=True)
class Limits:
    """When a run is over: after so many steps or finished episodes, whichever comes first."""

    steps: int | None = None
    episodes: int | None = None


@dataclass(frozen=True)
class Engine:
    """A run on the wall clock; `run` carries it out in this process and forks the others.

    `action` is a sample of what `world.step` takes, `observation` of what it gives. `restart`: every episode is a
    stretch of its own, begun when all processes are idle; else the clock runs on through resets. `tolerance_ns` and
    `most_missed`: see `Recording`. `spin_ns`: None spins where there is a core for every process. `priority`: see
    `waking.at_priority`. `skips`: a step whose time is over before it begins is given up (`Stretch.skipped`), and the
    observation of step 0 is asked for when that begins. `seed`: for the global random states of the processes.
    """

    world: World
    observation: Any
    action: Any
    inference: Inference
    processes: int
    limits: Limits
    restart: bool = False
    holds: bool = True
    learning: Learning | None = None
    tolerance_ns: int | None = None
    most_missed: float = 0.02
    spin_ns: int | None = None
    priority: int = 0
    skips: bool = False
    seed: int = 0

    def run(self) -> Recording:
        """Until a limit is reached, or the first SIGINT, where that would be a KeyboardInterrupt.

        ProcessFailed, with the traceback and what was recorded until then, if a process raises or dies.
        """
        # Without it a collection through all that is loaded would cost tens of milliseconds in some step.
        gc.freeze()
        try:
            with at_priority(self.priority), Crew(self.seed) as crew:
                return _Run(self, crew).run()
        finally:
            gc.unfreeze()


def chunk_of(action: Any, chunk: int) -> Any:
    """A sample of what an inference gives: one action, or a tuple of `chunk`."""
    return action if chunk == 1 else (action,) * chunk


@dataclass
class _Now:
    """The episode under way: its first step and observation, and what is being applied."""

    episode: int
    begun: int
    first: Any
    last: Any = None
    source: list[Any] = field(default_factory=list)
    offset: int = 0


class _Run:
    """One run of an engine."""

    def __init__(self, engine: Engine, crew: Crew) -> None:
        self._e, self._crew, how = engine, crew, engine.inference
        self._chunk = how.scheduler.chunk
        self._observation = Buffer(engine.observation, "the observation")
        self._action = Buffer(engine.action, "the action")
        sample = chunk_of(engine.action, self._chunk)
        expected = f"{self._chunk} actions: a tuple of them, or an array of shape ({self._chunk}, …)"
        chunk = Buffer(sample, "the policy's action", expected if self._chunk > 1 else "")
        self._board = Board(engine.processes, self._observation, self._action, chunk)
        self._arrivals = Arrivals(self._board, sample, how.step_ns)
        lock = get_context("fork").Lock()
        own_learners = engine.learning.processes if engine.learning and not how.scheduler.learns else 0
        parameters = None
        if engine.learning:
            parameters = Parameters(engine.learning.parameters, own_learners, get_context("fork").Lock())
        self._initial = list(how.scheduler.state)
        shared = integers(len(self._initial))
        for place, value in enumerate(self._initial):
            shared[place] = value
        how.scheduler.state = shared  # type: ignore[assignment]  # a memoryview of integers is such a sequence
        spins = cores() > engine.processes + own_learners
        self._spin_ns = engine.spin_ns if engine.spin_ns is not None else SPIN_NS if spins else 0
        self._tolerance_ns = engine.tolerance_ns if engine.tolerance_ns is not None else how.step_ns // 10
        self._how = dataclasses.replace(how, lock=lock, parameters=parameters, spin_ns=self._spin_ns)
        if engine.learning and how.scheduler.learns:
            self._how = dataclasses.replace(self._how, update=engine.learning.update)
        self._learners = own_learners
        self._seen: list[Seen] = []
        self._steps = 0
        self._episodes = 0
        self._interruption = Interruption()
        self._packed = np.zeros(self._observation.raw.size + self._action.raw.size, np.uint8)

    def run(self) -> Recording:
        wake_precisely()
        try:
            self._start_processes()
            self._crew.await_all("ready", READY_S)
            with self._interruption:
                return self._act()
        except ProcessFailed as error:
            error.recording = self._partial()
            raise
        finally:
            wake_precisely(slack_ns=0)  # the system's default again

    def _act(self) -> Recording:
        episode = self._stretch(0)
        while not self._enough():
            episode = self._stretch(episode)
        self._board.end(run=True)
        self._crew.await_all("has_result", self._patience_s)
        return self._recording(self._crew.results())

    def _start_processes(self) -> None:
        parent, how, board, learning = os.getpid(), self._how, self._board, self._e.learning
        for process in range(self._e.processes):

            def infer(tell: Tell, process: int = process) -> Any:
                return InferenceProcess(how, board, process, parent).run(tell)

            self._crew.start(f"inference process {process}", infer)
        for process in range(self._learners):

            def learn(tell: Tell, process: int = process) -> Any:
                assert how.parameters is not None
                assert learning is not None
                return learn_in_turns(tell, how.parameters, learning, board, process, parent)

            self._crew.start(f"learner process {process}", learn)

    # ---- stretches -------------------------------------------------------------------------------------------------

    def _enough(self) -> bool:
        limits = self._e.limits
        return (
            self._interruption.came
            or (limits.steps is not None and self._steps >= limits.steps)
            or (limits.episodes is not None and self._episodes >= limits.episodes)
        )

    def _settle(self) -> None:
        """Wait until every process is idle, so that the next stretch finds them all."""
        until = time.monotonic() + self._patience_s
        while busy := self._board.busy:
            if time.monotonic() > until:
                raise ProcessFailed(
                    f"inference process {busy[0]} did not come back from its inference",
                    place=f"inference process {busy[0]}",
                    hint="does the policy ever return?",
                )
            self._crew.check(0.001)

    @property
    def _patience_s(self) -> float:
        return PATIENCE_S + PATIENCE_INFERENCES * self._arrivals.longest_ns / 1e9

    def _stretch(self, episode: int) -> int:
        """A stretch, after which all processes are idle; the number of the next episode."""
        following = self._step_on(episode)
        self._board.end()
        self._settle()
        return following

    def _step_on(self, episode: int) -> int:
        """Steps until the stretch is over; the number of the next episode."""
        self._seen.append(Seen())
        now = _Now(episode, 0, self._e.world.reset(episode))
        self._rewind()
        opening = self._e.world.default(None)
        # What is there before the first step of hardware is none of its steps' observations.
        self._publish(-1 if self._e.skips else 0, now.episode, now.first, opening)
        self._begin(now)
        zero = time.monotonic_ns() + LEAD_NS
        self._board.begin(zero)
        step = 0
        while True:
            step, late = self._await_step(step, zero, now)
            if late is None:
                return now.episode + 1
            action = self._choose(step, now) if step else self._nothing_yet(opening)
            over = self._step(step, now, action, late)
            step += 1
            self._steps += 1
            if over:
                self._episodes += 1
                self._seen[-1].lengths.append(step - now.begun)
            if self._enough() or (over and self._e.restart):
                self._wait(zero + step * self._how.step_ns)
                return now.episode + 1
            if over:
                now = _Now(now.episode + 1, step, self._e.world.reset(now.episode + 1))
                self._begin(now)
                self._seen[-1].resets.append(step)

    def _await_step(self, step: int, zero_ns: int, now: _Now) -> tuple[int, int | None]:
        """Wait for a step; the one that begins and how late it does (None: the stretch ends instead)."""
        step_ns = self._how.step_ns
        late = self._wait(zero_ns + step * step_ns)
        if not self._e.skips or late < step_ns:
            return step, late
        while late > 0:
            self._seen[-1].skip(step, late)
            now.offset += 1  # a chunk's actions are for the steps they were computed for
            step, late = step + 1, late - step_ns
            self._steps += 1
            if self._enough():
                return step, None
        return step, self._wait(zero_ns + step * step_ns)

    def _rewind(self) -> None:
        """Put the scheduler back to its beginning and ask it when each process starts."""
        how = self._how
        for place, value in enumerate(self._initial):
            how.scheduler.state[place] = value
        for process in range(self._e.processes):
            self._board.first[process] = how.scheduler.start(process, 0)
        self._arrivals.rewind()

    def _begin(self, now: _Now) -> None:
        self._board.beginnings.write(self._observation.put(now.first), (now.episode,))

    def _wait(self, instant_ns: int) -> int:
        """Until an instant, hearing meanwhile of processes that die; how late."""
        while (late := sleep_until(instant_ns, self._spin_ns, self._all_well)) is None:
            pass
        return late

    def _all_well(self) -> bool:
        self._crew.check()
        return True

    # ---- a step ----------------------------------------------------------------------------------------------------

    def _step(self, step: int, now: _Now, action: Any, late_ns: int) -> bool:
        """One environment step; whether it ended the episode."""
        self._crew.check()
        if self._e.skips or step > now.begun:
            observation = self._e.world.observe()
            if step == now.begun:
                now.first = observation
                self._begin(now)
            self._publish(step, now.episode, observation, action)
        elif step:
            self._publish(step, now.episode, now.first, action)
        reward, over = self._e.world.step(action)
        self._seen[-1].took(reward, late_ns)
        return over

    def _nothing_yet(self, opening: Any) -> Any:
        """A stretch's first action has been published already: nothing can have arrived."""
        self._seen[-1].take((-1, -1))
        return opening

    def _choose(self, step: int, now: _Now) -> Any:
        """The newest action that has arrived, the next one of its chunk, or the default policy's."""
        seen = self._seen[-1]
        found = self._arrivals.newest(step, now.begun, seen)
        if found is not None:
            value = found.buffer.get()
            now.source, now.offset = [value] if self._chunk == 1 else list(value), 0
            seen.take((found.process, found.number))
        else:
            seen.take((-1, -1))
            now.offset += 1
        if now.offset < len(now.source):
            now.last = now.source[now.offset]
            return now.last
        return self._e.world.default(now.last)

    def _publish(self, step: int, episode: int, observation: Any, action: Any) -> None:
        """Make an observation known, with the action applied on it."""
        size = self._observation.raw.size
        self._packed[:size] = self._observation.put(observation)
        self._packed[size:] = self._action.put(action)
        self._board.observations.write(self._packed, (step, episode))

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _recording(self, results: list[Any]) -> Recording:
        inferring = results[: self._e.processes]
        made = [update for _, updates in inferring for update in updates]
        made += [update for updates in results[self._e.processes :] for update in updates]
        columns = np.array(sorted(made), np.int64).reshape(len(made), len(Made._fields))
        stretches = tuple(
            stretch_of(seen, [logs[index] for logs, _ in inferring], self._how.step_ns, self._chunk)
            for index, seen in enumerate(self._seen)
        )
        return self._told(stretches, updates=Updates(*columns[:, 1:].T))

    def _partial(self) -> Recording | None:
        """What the environment's side saw of a run that failed, None if that is nothing."""
        how, chunk, processes = self._how, self._chunk, self._e.processes
        stretches = tuple(as_seen(seen, processes, how.step_ns, chunk) for seen in self._seen if seen.rewards)
        return self._told(stretches) if stretches else None

    def _told(self, stretches: tuple[Stretch, ...], **more: Any) -> Recording:
        return Recording(
            stretches,
            self._e.processes,
            self._e.holds,
            self._tolerance_ns,
            self._e.most_missed,
            self._how.scheduler.learns == "before",
            interrupted=self._interruption.came,
            **more,
        )
