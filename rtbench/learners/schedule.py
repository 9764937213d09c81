"""The timelines that a loop lives under, episode by episode: what arrives at a step, and what starts during it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from rtbench.interaction.exploration import Exploration
from rtbench.interaction.timeline import NEVER
from rtbench.interaction.timing import chunk_of, clock_of, draws, timeline_of, timing

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.interaction.timeline import Timeline
    from rtbench.interaction.virtual import VirtualClock
    from rtbench.parts import EnvironmentSpec

_EXPLORED_STEPS = 8192
_STRETCH_STEPS = 8192
"""How far a timeline for good is simulated ahead of what is asked for."""
_LOOKS = 16
_MARGIN_STEPS = 64
"""Steps simulated past a time limit, so that the inference under way at an episode's end has a known arrival."""


class Schedule:
    """The timelines of one loop: one per episode (`restart`), shared where nothing is drawn, or one for good.

    Inferences are counted from 0 in every episode, steps likewise. Of a counterfactual it is the timeline that it
    departs from: what it says of actions' ages is not what happens, and when they come is.
    """

    def __init__(
        self,
        cell: Cell,
        layers: int,
        spec: EnvironmentSpec,
        seed: int,
        phase: str,
        epsilon: Callable[[int], float] | None = None,
    ) -> None:
        """`epsilon`: the share of random actions by environment steps of all episodes (none: the interaction's)."""
        self._interaction = dataclasses.replace(cell.interaction, counterfactual="none")
        self._given = (layers, spec.step_s)
        self._seed, self._phase = seed, phase
        self._instant = cell.interaction.execution == "instant"
        self._continues = cell.interaction.on_reset == "continue" and not self._instant
        self._epsilon, self._earlier_steps = epsilon, 0
        self._draws = draws(self._interaction, *self._given) or epsilon is not None
        self._horizon = (spec.max_episode_steps or 1000) + _MARGIN_STEPS
        if epsilon is not None:  # every episode has coins of its own, and hardly any is as long as it may be
            self._horizon = min(self._horizon, _EXPLORED_STEPS)
        times = timing(self._interaction, *self._given)
        self._step_ns = times.step_ns
        self.lookback_steps = -(-times.sensor_ns // times.step_ns)
        """How much older than the newest an observation that is read can be."""
        self.chunk = chunk_of(self._interaction)
        """Actions per inference."""
        self.trivial = self._instant and not self._draws
        """Whether every step has an action of its own, none of them random: nobody needs to ask."""
        self._timeline: Timeline | None = None
        self._clock: VirtualClock | None = None
        self._base = self._origin = 0
        """Steps of earlier episodes on a clock that goes on, and the one of them at which the timeline begins."""
        self._first = 0
        self._path: tuple[int, ...] = ()

    def begin(self, episode: int, env_steps: int) -> None:
        """An episode starts after `env_steps` steps of all episodes before it."""
        self._earlier_steps = 0 if self._continues else env_steps
        if self._continues:
            self._base = env_steps
            timeline = self._reach(env_steps + self._horizon)
            # Inferences of earlier episodes are dropped on arrival; this episode's are counted from its first.
            self._first = int(np.searchsorted(timeline.started_ns, (self._base - self._origin) * timeline.step_ns))
        elif self._draws or self._timeline is None:
            self._path = (episode,) if self._draws else ()
            self._clock, self._timeline = None, None
            self._reach(self._horizon)

    def _simulated(self, steps: int) -> Timeline:
        """A timeline up to so many steps, ever the same further on; of one that goes on, from this episode on."""
        met, (layers, step_s), path = self._interaction, self._given, self._path
        named: tuple[str | int, ...] = (self._phase, *path)
        if self._instant:
            return timeline_of(met, layers, step_s, steps, self._seed, *named, exploration=self._coins(*path))
        if self._clock is None:
            self._clock = clock_of(met, layers, step_s, self._seed, *named, exploration=self._coins(*path))
        if not self._continues:
            return self._clock.timeline(steps)
        self._origin, self._first = self._base, 0
        return self._clock.window(self._base, steps)

    def _coins(self, *path: int) -> Exploration | None:
        """An exploration that is annealed, from its beginning; None where the interaction's own counts."""
        epsilon, earlier = self._epsilon, self._earlier_steps
        if epsilon is None:
            return None
        # Nothing is computed for a random action, yet no process reads one observation twice: where all actions are
        # random it would do so without end. A pipeline has to compute every tick for the next ones.
        # Published code takes a whole decision for it.
        met = self._interaction
        whole = met.execution == "pipelined" or met.latency_convention != "paper"
        took = None if whole else self._step_ns
        return Exploration(lambda step: epsilon(earlier + step), took, self._seed, self._phase, *path)

    def _adopt(self, timeline: Timeline) -> None:
        self._timeline = timeline
        columns = (timeline.process, timeline.read_step, timeline.random)
        self._process, self._read_step, self._random = (column.tolist() for column in columns)

    def _reach(self, steps: int) -> Timeline:
        """The timeline, as far as so many steps of the clock at least."""
        if self._timeline is None:
            self._adopt(self._simulated(steps))
        elif self._origin + self._timeline.steps < steps:
            self._adopt(self._simulated(steps + _STRETCH_STEPS if self._continues else 2 * steps))
        assert self._timeline is not None
        return self._timeline

    def arrived(self, step: int) -> list[int]:
        """This episode's inferences whose action becomes usable for `step`, the last one counts."""
        found = self._reach(self._base + step + 1).arrived(self._base - self._origin + step)
        return [index - self._first for index in found if index >= self._first]

    def started(self, step: int) -> list[tuple[int, int, bool]]:
        """Of every inference that starts during `step`: process, episode step it reads, whether its action is random.

        The observation of a reset is known at once, whatever the sensor's latency.
        """
        timeline = self._reach(self._base + step + 1)
        begun = self._base - self._origin
        found = timeline.started(begun + step)
        return [(self._process[m], max(0, self._read_step[m] - begun), self._random[m]) for m in found]

    def is_random(self, inference: int) -> bool:
        """Whether its action is random."""
        return bool(self._random[inference + self._first])

    def process(self, inference: int) -> int:
        """Whose it is, also of an inference that has not started yet; process 0 if it is beyond what is simulated."""
        self._look(lambda: inference + self._first < len(self._process))
        at = inference + self._first
        return self._process[at] if at < len(self._process) else 0

    def soonest(self, under_way: Iterable[int]) -> int | None:
        """Of these inferences the one whose action will be usable first."""
        assert self._timeline is not None
        these = list(under_way)
        self._look(lambda: not these or min(map(self._registered, these)) < NEVER)
        return min(these, key=lambda m: (self._registered(m), m), default=None)

    def _registered(self, inference: int) -> int:
        assert self._timeline is not None
        return int(self._timeline.registered_ns[inference + self._first])

    def _look(self, known: Callable[[], bool]) -> None:
        """Simulate a timeline that goes on further until something is known, within reason."""
        for _ in range(_LOOKS if self._continues else 0):
            if known():
                return
            assert self._timeline is not None
            self._reach(self._origin + self._timeline.steps + 1)
