"""What an inference process does: wait, read, compute, hand over, as its scheduler says; and the log of it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.timeline import NEVER
from rtbench.realtime.board import Board
from rtbench.realtime.crew import Tell, orphaned
from rtbench.realtime.parameters import Lock, Made, Own, Parameters, Update
from rtbench.realtime.waking import sleep_until

if TYPE_CHECKING:
    from rtbench.interaction.exploration import Exploration
    from rtbench.interaction.latency import LatencyModel
    from rtbench.schedulers.base import SchedulerState

LOG = (
    *("started_ns", "read_step", "finished_ns", "registered_ns", "random", "version"),
    *("learning_ns", "late_start_ns", "late_end_ns"),
)
"""What is kept of every inference: times in ns since the stretch began (`NEVER`: not within it), the environment step
whose observation was read, the ε coin, the version of the parameters, how long the process learnt before or after it,
and how late it woke to start and to hand over (−1: it did not sleep)."""
_UNKNOWN = {"finished_ns": NEVER, "registered_ns": NEVER, "late_start_ns": -1, "late_end_ns": -1}
GRACE_NS = 2_000_000
"""How long an inference that starts at an emission waits for an observation that comes late."""
_POLL_NS = 1_000_000
_DRAWN = 64


class Actor(Protocol):
    """A policy within one inference process, with a hidden state of its own if it has any."""

    def restart(self, observation: Any) -> None:
        """An episode begins with this observation."""
        ...

    def act(self, observation: Any, applied: Any) -> Any:
        """The action (or chunk of actions) on an observation; `applied` is the action of the step it was read at."""
        ...


MakeActor = Callable[[int, Any], Actor]
"""Makes the actor of a process, in that process; the second argument is its copy of the parameters, or None."""
Explore = Callable[[np.random.Generator], Any]
"""A random action (or chunk)."""


@dataclass(frozen=True)
class Inference:
    """How inference is done in a run; the same for all its processes.

    An inference lasts at least what `latency` draws (None: as long as it takes). Where the scheduler says that a
    process also learns (`learns`), an update lasts at least what `learning` draws. Before it says that it is ready,
    every process acts `warm_up` times on the sample observation: the first inference finds everything cold, and as the
    longest one ever it would slow a scheduler for good. The engine of the run gives `lock`, which the scheduler's state
    is changed under, `update`, `parameters` and `spin_ns`.
    """

    scheduler: SchedulerState
    step_ns: int
    make_actor: MakeActor
    latency: LatencyModel | None = None
    exploration: Exploration | None = None
    explore: Explore | None = None
    explore_rng: Callable[[int], np.random.Generator] = np.random.default_rng
    learning: LatencyModel | None = None
    lock: Lock = field(default_factory=nullcontext)
    update: Update | None = None
    parameters: Parameters | None = None
    spin_ns: int = 0
    warm_up: int = 2


@dataclass
class Log:
    """The inferences of one stretch in one process; a column each for `LOG`."""

    columns: dict[str, array[int]] = field(default_factory=lambda: {name: array("q") for name in LOG})

    def begin(self, **values: int) -> None:
        """A row whose other values are not known yet."""
        for name, column in self.columns.items():
            column.append(values.get(name, _UNKNOWN.get(name, 0)))

    def set(self, name: str, value: int) -> None:
        """A value of the last row."""
        self.columns[name][-1] = value

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """The columns as arrays."""
        return {name: np.array(column, np.int64) for name, column in self.columns.items()}


class _Draws:
    """One process's stream of a model, drawn ahead."""

    def __init__(self, stream: Any, process: int) -> None:
        self._stream, self._process = stream, process
        self._ahead: list[Any] = []

    def take(self) -> Any:
        if not self._ahead:
            self._ahead = self._stream.draw_block(self._process, _DRAWN).tolist()[::-1]
        return self._ahead.pop()


class InferenceProcess:
    """One inference process from its fork to its end; `run` answers its logs, one per stretch."""

    def __init__(self, how: Inference, board: Board, process: int, parent: int) -> None:
        self._how, self._board, self._process, self._parent = how, board, process, parent
        self._observation, self._action = board.observation_sample, board.action_sample
        self._seen = np.zeros(self._observation.raw.size + self._action.raw.size, np.uint8)
        self._chunk = board.chunk_sample
        self._own: Own | None = how.parameters.own() if how.parameters else None
        self._latency = _Draws(how.latency, process) if how.latency else None
        self._learning = _Draws(how.learning, process) if how.learning else None
        self._coins = _Draws(how.exploration, process) if how.exploration else None
        self._rng = how.explore_rng(process)
        self._episode = -1
        self._stretch = 0
        self._zero_ns = 0
        self.updates: list[Made] = []

    def run(self, tell: Tell) -> tuple[list[dict[str, NDArray[np.int64]]], list[Made]]:
        """Work until the run is over: the log of each stretch, and the updates made."""
        self._actor = self._how.make_actor(self._process, None if self._own is None else self._own.array)
        self._warm_up()
        tell()
        logs = []
        while self._next_stretch():
            self._log = Log()
            self._run_stretch()
            logs.append(self._log.arrays())
            self._board.rest(self._process, self._stretch)
        return logs, self.updates

    def _warm_up(self) -> None:
        """Act on the samples, each time anew; the first episode restarts the actor as any other does."""
        for _ in range(self._how.warm_up):
            self._actor.restart(self._observation.get())
            self._act()

    def _act(self) -> None:
        """The actor's action into the chunk's buffer; a chunk may also be one array [chunk, …]."""
        answer = self._actor.act(self._observation.get(), self._action.get())
        if self._how.scheduler.chunk > 1 and hasattr(answer, "__array__"):
            answer = tuple(np.atleast_1d(np.asarray(answer)))
        self._chunk.put(answer)

    def _next_stretch(self) -> bool:
        board = self._board
        while board.begun == self._stretch:
            if board.over or orphaned(self._parent):
                return False
            time.sleep(_POLL_NS / 1e9)
        self._stretch, self._zero_ns = board.begun, board.zero_ns
        return True

    def _wanted(self) -> bool:
        return self._board.ended < self._stretch and not orphaned(self._parent)

    def _now(self) -> int:
        return max(0, time.monotonic_ns() - self._zero_ns)

    def _sleep(self, until_ns: int, asked_ns: int | None = None) -> int | None:
        """Sleep until a time of the stretch; the lateness, None at the stretch's end.

        It is −1 where the scheduler, asked at `asked_ns`, wanted no wait at all. A wait that is over before it could
        begin is late like any other.
        """
        if asked_ns is not None and until_ns <= asked_ns:
            return -1 if self._wanted() else None
        late = sleep_until(self._zero_ns + until_ns, self._how.spin_ns, self._wanted)
        return late if self._wanted() else None

    def _run_stretch(self) -> None:
        planned: tuple[int, int] | None = None
        if self._sleep(0) is not None:
            planned = self._board.first[self._process], 0
        while planned is not None:
            late = self._sleep(*planned)
            planned = None if late is None else self._cycle(late)

    # ---- one inference ---------------------------------------------------------------------------------------------

    def _cycle(self, late_ns: int) -> tuple[int, int] | None:
        """Read, compute, hand over, be idle again; when to start next and when that was asked, None at the end."""
        how, process = self._how, self._process
        started = self._read()
        self._log.set("late_start_ns", late_ns)
        if how.scheduler.learns == "before" and not self._learn():
            return None
        begun = started if how.scheduler.learns != "before" else self._now()
        at_once = self._compute(started)
        if not self._last_until(begun, at_once):
            return None
        with how.lock:
            finished = max(self._now(), started + 1)
            at = how.scheduler.register(process, finished, finished - started)
        self._log.set("finished_ns", finished)
        late = self._sleep(at, finished)
        if late is None:
            return None
        self._hand_over(started, late)
        if how.scheduler.learns == "after" and not self._learn():
            return None
        with how.lock:
            now = self._now()
            return how.scheduler.start(process, now), now

    def _read(self) -> int:
        """Take the newest observation, waiting a little for one that was just to be emitted; when it was read.

        At one instant observations are emitted before inferences start. What hardware showed before its first step
        (−1) is no step's observation, however long the first one takes to come.
        """
        board, step_ns = self._board, self._how.step_ns
        now = self._now()
        due, until = now // step_ns, min(now // step_ns * step_ns + min(GRACE_NS, step_ns // 4), now + GRACE_NS)
        while True:
            found = board.observations.read(self._seen)
            assert found is not None  # the first one is published before the stretch begins
            step, episode = found[1]
            now = self._now()
            if step >= due or (now >= until and step >= 0) or not self._wanted():
                break
            time.sleep(20e-6)
        started = max(now, step * step_ns)
        size = self._observation.raw.size
        self._observation.raw[:] = self._seen[:size]
        self._action.raw[:] = self._seen[size:]
        if episode != self._episode:
            self._restart(episode)
        if self._own is not None and self._how.parameters is not None:
            self._how.parameters.refresh(self._own)
        self._read_step = max(step, 0)
        self._log.begin(started_ns=started, read_step=self._read_step, version=self._own.version if self._own else 0)
        return started

    def _restart(self, episode: int) -> None:
        """Begin an episode with its first observation, which may be older than the newest."""
        seen = self._observation.raw.copy()
        found = self._board.beginnings.read(self._observation.raw)
        if found is not None and found[1][0] == episode:
            self._actor.restart(self._observation.get())
        self._observation.raw[:] = seen
        if found is None or found[1][0] != episode:
            self._actor.restart(self._observation.get())
        self._episode = episode

    def _compute(self, started_ns: int) -> bool:
        """The action, into the chunk's buffer; whether it is a random one that takes no time."""
        how = self._how
        random = False
        if self._coins is not None and how.exploration is not None and how.explore is not None:
            random = how.exploration.is_random(self._coins.take(), started_ns // how.step_ns)
        at_once = random and how.exploration is not None and how.exploration.random_ns is not None
        if not at_once:  # a pipeline computes every tick for the next ones
            self._act()
        if random and how.explore is not None:
            self._log.set("random", 1)
            self._chunk.put(how.explore(self._rng))
        return at_once

    def _last_until(self, begun_ns: int, at_once: bool) -> bool:
        """Let the inference last as long as it is to; False at the end of the stretch."""
        least = self._latency.take() if self._latency is not None else 1
        return self._sleep(begun_ns + (1 if at_once else least)) is not None

    def _hand_over(self, started_ns: int, late_ns: int) -> None:
        registered = self._now()
        self._log.set("registered_ns", registered)
        self._log.set("late_end_ns", late_ns)
        self._board.actions[self._process].write(self._chunk.raw, (started_ns, self._read_step, registered))

    def _learn(self) -> bool:
        """One update in this process; False at the end of the stretch."""
        how, begin = self._how, self._now()
        if how.parameters is not None and how.update is not None and self._own is not None:
            read, made = how.parameters.learn(self._own, how.update, self._process)
            self.updates.append(Made(made, self._process, read, begin, self._own.applied_ns - self._zero_ns))
        if self._learning is not None and self._sleep(begin + self._learning.take()) is None:
            return False
        self._log.set("learning_ns", self._now() - begin)
        return True
