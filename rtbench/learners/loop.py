"""One environment under one interaction, step by step: the same loop for training, evaluation and frozen policies.

At every environment step, in this order: the observation is out; actions that have arrived are applied, else the
default policy acts; inferences that start during the step read and compute; the environment moves on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.timing import clock_of, timing
from rtbench.learners.tally import Tally
from rtbench.plugins import build
from rtbench.seeds import episode_seed, generator

if TYPE_CHECKING:
    from rtbench.backends.base import Acting
    from rtbench.cell import Cell
    from rtbench.graph import LayerGraph
    from rtbench.interaction.timeline import Timeline
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]
_MARGIN_STEPS = 64
"""Steps simulated past a time limit, so that the inference under way at an episode's end has a known arrival."""


class Recorder(Protocol):
    """Who wants to know what happened (a replay buffer)."""

    def begin_episode(self, observation: Array) -> None: ...
    def begin_inference(self, read_step: int) -> None: ...
    def apply(self, inference: int) -> None: ...
    def end_step(self, action: Array, reward: float, observation: Array) -> None: ...
    def end_episode(self, terminated: bool, bootstrap: int | None) -> None: ...


class Silence:
    """A recorder that keeps nothing."""

    def begin_episode(self, observation: Array) -> None: ...
    def begin_inference(self, read_step: int) -> None: ...
    def apply(self, inference: int) -> None: ...
    def end_step(self, action: Array, reward: float, observation: Array) -> None: ...
    def end_episode(self, terminated: bool, bootstrap: int | None) -> None: ...


class Schedule:
    """The timelines of one loop: one per episode (`restart`), shared where no time is drawn, or one for good."""

    def __init__(self, cell: Cell, layers: int, spec: EnvironmentSpec, seed: int, phase: str) -> None:
        self._cell, self._layers, self._seed, self._phase = cell, layers, seed, phase
        self._step_s = spec.step_s
        self._continues = cell.interaction.on_reset == "continue"
        self._horizon = (spec.max_episode_steps or 1000) + _MARGIN_STEPS
        self._timeline: Timeline | None = None
        self._clock: Any = None
        self._base = 0
        self._first = 0

    def begin(self, episode: int, env_steps: int) -> None:
        """An episode starts after `env_steps` steps of all episodes before it."""
        constant = isinstance(timing(self._cell.interaction, self._layers, self._step_s).source, int)
        if self._continues:
            self._base = env_steps
            self._clock = self._clock or self._new_clock()
            self._reach(env_steps + self._horizon)
            assert self._timeline is not None
            # Inferences of earlier episodes are dropped on arrival; this episode's are counted from its first.
            self._first = int(np.searchsorted(self._timeline.started_ns, self._base * self._timeline.step_ns))
        elif not (constant and self._timeline is not None):
            self._clock = self._new_clock() if constant else self._new_clock(episode)
            self._timeline = self._clock.timeline(self._horizon)

    def _new_clock(self, *path: int) -> Any:
        return clock_of(self._cell.interaction, self._layers, self._step_s, self._seed, self._phase, *path)

    def _reach(self, steps: int) -> Timeline:
        if self._timeline is None or self._timeline.steps < steps:
            self._timeline = self._clock.timeline(2 * steps)
        return self._timeline

    def arrived(self, step: int) -> list[int]:
        """This episode's inferences whose action becomes usable for `step`, the last one counts."""
        found = self._reach(self._base + step + 1).arrived(self._base + step)
        return [index - self._first for index in found if index >= self._first]

    def started(self, step: int) -> list[tuple[int, int]]:
        """(inference, episode step it reads) of the inferences that start during `step`.

        The observation of a reset is known at once, whatever the sensor's latency.
        """
        timeline = self._reach(self._base + step + 1)
        found = timeline.started(self._base + step)
        return [(m - self._first, max(0, int(timeline.read_step[m]) - self._base)) for m in found]

    def soonest(self, under_way: list[int]) -> int | None:
        """Of these inferences the one whose action will be usable first."""
        assert self._timeline is not None
        registered = self._timeline.registered_ns
        return min(under_way, key=lambda m: (int(registered[m + self._first]), m), default=None)


class Loop:
    """Runs episodes; `decide` turns the head's output into an action in −1…1 (or an integer).

    `seed` and `phase` name every random stream; the episode's number gives its reset seed.
    """

    def __init__(
        self,
        cell: Cell,
        graph: LayerGraph,
        acting: Acting,
        decide: Callable[[Array], Array],
        *,
        seed: int,
        phase: str,
        recorder: Recorder | None = None,
        env: Any = None,
        spec: EnvironmentSpec | None = None,
        start: str = "zero",
    ) -> None:
        environment = build(cell.environment)
        self.spec: EnvironmentSpec = spec or environment.spec()
        self.env = env or environment.make()
        self.acting, self._decide, self._recorder = acting, decide, recorder or Silence()
        interaction = cell.interaction
        default = build(interaction.default_policy)
        self._default, self._holds = default.make(self.spec), default.holds
        self._seed, self._phase = seed, phase
        self._rng = generator(seed, phase, "default policy")
        self._instant = interaction.execution == "instant"
        lags = graph.lags(interaction.execution, interaction.delta or 1)
        ages = [age - lags.head for age, _ in graph.ages(interaction.execution, interaction.delta or 1)]
        self._newest_back, self._oldest_back = min(ages), max(ages)
        self._blind_start = start == "zero"
        self._schedule = Schedule(cell, len(graph.layers), self.spec, seed, phase)
        self._low = np.asarray(self.spec.action_low, np.float32)
        self._span = (np.asarray(self.spec.action_high, np.float32) - self._low) / 2
        self.tally = Tally()
        self.episode = -1
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self._step = 0
        self._over = True

    # ---- an episode ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.episode += 1
        self._reset_world()
        self._recorder.begin_episode(self._observations[0])
        start = self.acting.restart(self._observations[0])
        self._initial: Array | None = self._decide(start) if np.any(start) else None

    def _reset_world(self) -> None:
        observation, _ = self.env.reset(seed=episode_seed(self._seed, self._phase, self.episode))
        self._observations: list[Array] = [np.array(observation, np.float32)]
        self._actions: list[Array] = []
        self._reads: list[int] = []
        self._flying: dict[int, Array] = {}
        self._return, self._step, self._over = 0.0, 0, False
        self._last: Array | None = None
        self._source = -1
        self._last_fresh = -1
        if not self._instant:
            self._schedule.begin(self.episode, self.tally.env_steps)

    def advance(self) -> bool:
        """One environment step; True if it ended an episode."""
        if self._over:
            self._begin()
        step = self._step
        if self._instant:
            self._infer(step, self._actions[-1] if self._actions else self._nothing())
            self._take(len(self._reads) - 1)
            action = self._last
            assert action is not None
        else:
            action = self._arrive(step)
            for _, read_step in self._schedule.started(step):
                # An action stands beside the observation it was applied on.
                seen = action if read_step == step else self._actions[read_step]
                self._infer(read_step, seen)
        return self._move(action)

    def _nothing(self) -> Array:
        return np.zeros(self.spec.action_size, np.float32)

    def _infer(self, read_step: int, action: Array) -> None:
        """One inference: it uses the parameters of now, whenever its action arrives."""
        output = self.acting.tick(self._observations[read_step], action)
        self._flying[len(self._reads)] = self._decide(output)
        self._reads.append(read_step)
        self.tally.ticks += 1
        self._recorder.begin_inference(read_step)

    def _arrive(self, step: int) -> Array:
        """The action of this step: the last one to arrive, else the default policy's."""
        arrived = self._schedule.arrived(step)
        self.tally.arrived += len(arrived)
        for overwritten in arrived[:-1]:
            self._flying.pop(overwritten)
        if arrived:
            self._take(arrived[-1])
            assert self._last is not None
            return self._last
        if self._source < 0:
            self.tally.startup += 1
            if self._initial is not None:
                return self._initial
            return np.asarray(self._default(None, self._rng), np.float32)
        self.tally.inaction += 1
        if self._holds:
            self._age()
        return np.asarray(self._default(self._last, self._rng), np.float32)

    def _take(self, inference: int) -> None:
        """Apply an inference's action at this step."""
        self._last = self._flying.pop(inference)
        self._source = inference
        self._recorder.apply(inference)
        if self._instant:
            self.tally.arrived += 1
        self.tally.fresh += 1
        if self._last_fresh >= 0:
            self.tally.intervals[self._step - self._last_fresh] += 1
        self._last_fresh = self._step
        self._age()

    def _age(self) -> None:
        """Count how old the newest and the oldest observation behind the current action are.

        After a `zero` start the first actions of a deep graph rest on no observation at all and have no age; after
        `hold` they rest on the first.
        """
        if self._blind_start and self._source < self._newest_back:
            return
        for back, counts in ((self._newest_back, self.tally.newest), (self._oldest_back, self.tally.oldest)):
            counts[self._step - self._reads[max(0, self._source - back)]] += 1

    def _move(self, action: Array) -> bool:
        observation, reward, terminated, truncated, _ = self.env.step(self._low + (action + 1) * self._span)
        self._observations.append(np.array(observation, np.float32))
        self._actions.append(action)
        self._recorder.end_step(action, float(reward), self._observations[-1])
        self._return += float(reward)
        self._step += 1
        self.tally.env_steps += 1
        if not (terminated or truncated):
            return False
        self._recorder.end_episode(bool(terminated), None if terminated else self._bootstrap())
        self.returns.append(self._return)
        self.lengths.append(self._step)
        self._over = True
        return True

    def _bootstrap(self) -> int | None:
        """The inference whose action the step after a time limit would have used; it decides the bootstrap's action."""
        if self._instant:
            self._infer(self._step, self._actions[-1])
            self.tally.ticks -= 1  # looked at for its value, not a decision of the run
            return len(self._reads) - 1
        arrived = self._schedule.arrived(self._step)
        return arrived[-1] if arrived else self._schedule.soonest(list(self._flying))

    def run_episode(self) -> float:
        """A whole episode; its return."""
        while not self.advance():
            pass
        return self.returns[-1]

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything but the environment, which is the episode's number and the actions since its reset."""
        state: dict[str, Any] = {
            "episode": self.episode,
            "over": self._over,
            "tally": self.tally.state(),
            "returns": list(self.returns),
            "lengths": list(self.lengths),
            "rng": self._rng.bit_generator.state,
            "acting": self.acting.state(),  # also between episodes: random layers go on drawing
        }
        if self._over:
            return state
        return state | {
            "actions": np.asarray(self._actions, np.float32).reshape(len(self._actions), -1),
            "reads": list(self._reads),
            "flying": [[m, action] for m, action in self._flying.items()],
            "last": self._last,
            "initial": self._initial,
            "source": self._source,
            "last_fresh": self._last_fresh,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state: the episode is reset and its actions are replayed, which is exact."""
        self.episode = state["episode"]
        self.tally = Tally.restored(state["tally"])
        self.returns, self.lengths = list(state["returns"]), list(state["lengths"])
        self._rng.bit_generator.state = state["rng"]
        self.acting.restore(state["acting"])
        self._over = True
        if state["over"]:
            return
        actions = [np.asarray(action, np.float32) for action in np.asarray(state["actions"])]
        total = self.tally.env_steps
        self.tally.env_steps = total - len(actions)
        self._reset_world()
        self.tally.env_steps = total
        for action in actions:
            observation, reward, *_ = self.env.step(self._low + (action + 1) * self._span)
            self._observations.append(np.array(observation, np.float32))
            self._return += float(reward)
        self._actions, self._step = actions, len(actions)
        self._reads = list(state["reads"])
        self._flying = {int(m): np.asarray(action, np.float32) for m, action in state["flying"]}
        self._last = None if state["last"] is None else np.asarray(state["last"], np.float32)
        self._initial = None if state["initial"] is None else np.asarray(state["initial"], np.float32)
        self._source, self._last_fresh = state["source"], state["last_fresh"]
