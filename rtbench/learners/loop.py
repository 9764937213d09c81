"""One environment under one interaction, step by step: the same loop for training, evaluation and frozen policies.

At every environment step, in this order: the observation is out; actions that have arrived are applied, else what is
left of a chunk, else the default policy acts; inferences that start during the step read and compute; the environment
moves on.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.timing import graph_execution
from rtbench.learners.actions import Actions, Array
from rtbench.learners.backs import Backs
from rtbench.learners.observing import Observing
from rtbench.learners.recorder import Drawing, Recorder, Silence, Wanted
from rtbench.learners.schedule import Schedule
from rtbench.learners.tally import Counts, Tally, told_by
from rtbench.plugins import build
from rtbench.seeds import episode_seed, generator

if TYPE_CHECKING:
    from rtbench.backends.base import Acting
    from rtbench.cell import Cell
    from rtbench.graph import LayerGraph
    from rtbench.parts import EnvironmentSpec


class Loop:
    """Runs episodes; `decide` turns the head's output into an action vector, or a chunk of them [chunk, A].

    Actions are float32 vectors [A], in −1…1 if continuous, one-hot if discrete. `actings`: one per inference process,
    or one for all if the graph remembers nothing. `seed` and `phase` name every random stream; the episode's number
    gives its reset seed.
    """

    def __init__(
        self,
        cell: Cell,
        graph: LayerGraph,
        actings: Sequence[Acting],
        decide: Callable[[Array], Array],
        *,
        seed: int,
        phase: str,
        recorder: Recorder | None = None,
        env: Any = None,
        spec: EnvironmentSpec | None = None,
        start: str = "zero",
        first_action: bool = True,
        bootstraps: bool = True,
        epsilon: Callable[[int], float] | None = None,
    ) -> None:
        """`first_action`: whether `hold` gives an episode's first action; else the default policy does, as for `zero`.

        `bootstraps`: whether the recorder asks for the action after a time limit. `epsilon`: the share of random
        actions after so many environment steps of all episodes, in place of the interaction's.
        """
        environment = build(cell.environment)
        self.spec: EnvironmentSpec = spec or environment.spec()
        self.env = env or environment.make()
        self.actings, self._decide, self._recorder = list(actings), decide, Silence() if recorder is None else recorder
        self._apart = len(self.actings) > 1
        interaction = cell.interaction
        self._space = Actions(self.spec)
        observing = Observing(self.spec)
        self._kept, self.served = observing.kept, observing.served
        default = build(interaction.default_policy)
        self._default, self._holds = self._space.default(default.make(self.spec)), default.holds
        self._seed, self._phase = seed, phase
        self._rng = generator(seed, phase, "default policy")
        self._random_rng = generator(seed, phase, "random actions")
        self._at_once = graph_execution(interaction) == "instant"
        self._backs, self._bootstraps = Backs.of(graph, interaction, start), bootstraps
        self._held_start = first_action and not self._backs.blind
        self._schedule = Schedule(cell, len(graph.layers), self.spec, seed, phase, epsilon)
        self._chunk = self._schedule.chunk
        self.tally = Tally()
        self.episode = -1
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.default_returns: list[float] = []
        """Of every episode, the share of its return that came at steps of the default policy."""
        self.counts: list[Counts] = []
        """Of every episode that is over, what its world counted; nothing where worlds count nothing."""
        self._step = 0
        self._over = True

    # ---- an episode ------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the next step begins an episode."""
        return self._over

    def reset(self) -> NDArray[Any]:
        """Begin an episode: its first observation, flat and as the environment gives it; `begin` must follow."""
        self.episode += 1
        first = self._reset_world()
        self._recorder.begin_episode(first)
        return first

    def begin(self, head: Array) -> None:
        """The head's value by the start rule, which under `hold` gives the first action; under `zero` it is none."""
        self._initial: Array | None = self._first(self._decide(head)) if self._held_start else None

    def _reset_world(self) -> NDArray[Any]:
        observation, _ = self.env.reset(seed=episode_seed(self._seed, self._phase, self.episode))
        first = self._kept(observation)
        # An episode of images is too long to be kept: only what may still be read is.
        self._observations: deque[NDArray[Any]] = deque([first], maxlen=self._schedule.lookback_steps + 1)
        self._taken: list[Array] = []
        self._made: list[tuple[int, int]] = []
        self._reads: defaultdict[int, list[int]] = defaultdict(list)
        self._flying: dict[int, Array] = {}
        self._return, self._default_return, self._step, self._over = 0.0, 0.0, 0, False
        self._last: Array | None = None
        self._current: Array | None = None
        self._left, self._random, self._source, self._last_fresh = 0, False, -1, -1
        self._counted: Counts = {}
        if not self._schedule.trivial:
            self._schedule.begin(self.episode, self.tally.env_steps)
        return first

    def _first(self, actions: Array) -> Array:
        return actions if self._chunk == 1 else actions[0]

    def advance(self) -> bool:
        """One environment step; True if it ended an episode."""
        if self._over:
            first = self.served(self.reset())
            head, *_ = [acting.restart(first) for acting in self.actings]
            self.begin(head)
        for wanted in self.before():
            self._infer(wanted)
        found, reward, terminated, truncated, info = self.env.step(self.chosen())
        return self.after(found, float(reward), bool(terminated), bool(truncated), told_by(info))

    @property
    def decides_next(self) -> bool:
        """Whether the next step begins an episode or applies a new action."""
        return self._over or (self._at_once and self._schedule.trivial) or bool(self._schedule.arrived(self._step))

    def before(self) -> list[Wanted]:
        """The first half of a step: actions arrive; which inferences start, each to be told to `deliver`."""
        step = self._step
        if self._at_once:
            return self._now(step)
        self._action: Array | None = self._arrive(step)
        started = self._schedule.started(step)
        # An action stands beside the observation it was applied on.
        return [self._want(m, r, self._action if r == step else self._taken[r], x) for m, r, x in started]

    def chosen(self) -> Any:
        """This step's action, as the environment takes it."""
        if self._action is None:
            self._action = self._take(len(self._made) - 1)
        return self._space.to_environment(self._action)

    def after(self, found: Any, reward: float, terminated: bool, truncated: bool, counts: Counts | None = None) -> bool:
        """The second half of a step: what the environment answered; True if it ended an episode.

        `counts`: what it says that it has counted since its reset (`rtbench.learners.tally.told_by`).
        """
        action, observation = self._action, self._kept(found)
        assert action is not None
        self._observations.append(observation)
        self._taken.append(action)
        self._recorder.end_step(action, reward, observation)
        self._return += reward
        if self._last_fresh != self._step:
            self._default_return += reward
        self._step += 1
        self.tally.env_steps += 1
        if counts is not None:
            self.tally.count(self._counted, counts)
            self._counted = dict(counts)
        if not (terminated or truncated):
            return False
        wanted = self._bootstraps and not terminated
        self._recorder.end_episode(terminated, self._bootstrap() if wanted else None)
        self.returns.append(self._return)
        self.lengths.append(self._step)
        self.default_returns.append(self._default_return)
        if self._counted:
            self.counts.append(self._counted)
        self._over = True
        return True

    def _want(self, process: int, read_step: int, action: Array, random: bool) -> Wanted:
        """One more inference: whose, and its place among its process's."""
        observation = self._observations[read_step - self._step - 1]
        wanted = Wanted(len(self._made), process, read_step, observation, action, random)
        self._note(process, read_step)
        return wanted

    def _infer(self, wanted: Wanted) -> None:
        """An inference by the loop's own acting: it uses the parameters of now, whenever its action arrives."""
        acting = self.actings[wanted.process if self._apart else 0]
        self.deliver(wanted, acting.tick(self.served(wanted.observation), wanted.action))

    def deliver(self, wanted: Wanted, output: Array) -> None:
        """What the head gave for an inference.

        A random action takes nothing from the network, whose memory goes on all the same.
        """
        actions = self._space.random(self._random_rng, self._chunk) if wanted.random else self._decide(output)
        self._flying[wanted.inference] = actions
        self.tally.ticks += 1
        self._recorder.begin_inference(wanted.read_step, wanted.process)

    @property
    def flying(self) -> Collection[int]:
        """Inferences whose action has not been applied yet."""
        return self._flying.keys()

    def redecide(self, inference: int, output: Array) -> None:
        """Another action of an inference under way, from an output computed anew."""
        self._flying[inference] = self._decide(output)

    def _note(self, process: int, read_step: int) -> None:
        reads = self._reads[process]
        self._made.append((process, len(reads)))
        reads.append(read_step)

    def _now(self, step: int) -> list[Wanted]:
        """The inference of this step on its own observation, if there is a new action at all."""
        if not self._schedule.trivial:
            arrived = self._schedule.arrived(step)
            if arrived:
                self._left, self._random = self._chunk, self._schedule.is_random(arrived[-1])
            if not self._left:
                self._action = self._fill_in()
                return []
            self._left -= 1
        # The tick before learns what was done with what it decided.
        before = self._taken[self._reads[0][-1]] if self._made else self._space.nothing
        self.tally.arrived += 1
        self._action = None
        return [self._want(0, step, before, self._random)]

    def _arrive(self, step: int) -> Array:
        """The action of this step: the last one to arrive, else the next of its chunk, else the default policy's."""
        arrived = self._schedule.arrived(step)
        if arrived:
            self.tally.arrived += len(arrived)
            for overwritten in arrived[:-1]:
                self._flying.pop(overwritten)
            return self._take(arrived[-1])
        if self._left:
            assert self._current is not None
            self._last = self._current[-self._left]
            self._left -= 1
            self.tally.continued += 1
            return self._act(self._last)
        return self._fill_in()

    def _take(self, inference: int) -> Array:
        """Apply an inference's action, or the first of its chunk, at this step."""
        actions = self._flying.pop(inference)
        self._last = self._first(actions)
        if self._chunk > 1 and not self._at_once:
            self._current, self._left = actions, self._chunk - 1
        self._source = inference
        self._recorder.apply(inference)
        return self._act(self._last)

    def _act(self, action: Array) -> Array:
        """Count a step with a new action."""
        self.tally.fresh += 1
        if self._last_fresh >= 0:
            self.tally.intervals[self._step - self._last_fresh] += 1
        self._last_fresh = self._step
        self._age()
        return action

    def _fill_in(self) -> Array:
        """The default policy's action at a step without a new one."""
        if self._source < 0:
            self.tally.startup += 1
            return self._default(None, self._rng) if self._initial is None else self._initial
        self.tally.inaction += 1
        if self._holds:
            self._age()
        return self._default(self._last, self._rng)

    def _age(self) -> None:
        """Count how old the newest and the oldest observation behind the current action are.

        After a `zero` start the first actions of a deep graph rest on no observation at all and have no age; after
        `hold` they rest on the first.
        """
        process, tick = self._made[self._source]
        if self._backs.blind and tick < self._backs.newest:
            return
        reads = self._reads[process]
        for back, counts in ((self._backs.newest, self.tally.newest), (self._backs.oldest, self.tally.oldest)):
            counts[self._step - reads[max(0, tick - back)]] += 1

    def _bootstrap(self) -> int:
        """The inference whose action the step after a time limit would have used; it decides the bootstrap's action.

        Where none is under way (it would have been computed at once, or every process waits or learns), one that reads
        the last observation stands in: looked at for its value, not a decision of the run.
        """
        if not self._at_once:
            arrived = self._schedule.arrived(self._step)
            found = arrived[-1] if arrived else self._schedule.soonest(self._flying)
            if found is not None:
                return found
        inference = len(self._made)
        process = 0 if self._at_once else self._schedule.process(inference)
        seen = self._taken[self._reads[0][-1]] if self._at_once and self._made else self._space.nothing
        self._infer(self._want(process, self._step, seen, random=False))
        self.tally.ticks -= 1
        return inference

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
            "default_returns": list(self.default_returns),
            "counts": [dict(counts) for counts in self.counts],
            "rng": self._rng.bit_generator.state,
            "random_rng": self._random_rng.bit_generator.state,
            # Also between episodes: random layers go on drawing.
            "actings": [acting.state() for acting in self.actings],
            **({"decide": self._decide.state()} if isinstance(self._decide, Drawing) else {}),
        }
        if self._over:
            return state
        made = [(process, self._reads[process][tick]) for process, tick in self._made]
        return state | {
            "taken": np.asarray(self._taken, np.float32).reshape(len(self._taken), -1),
            "made": np.asarray(made, np.int64).reshape(-1, 2),
            "flying": [[m, actions] for m, actions in self._flying.items()],
            "last": self._last,
            "initial": self._initial,
            "chunk": [self._current, self._left, self._random],
            "source": self._source,
            "last_fresh": self._last_fresh,
            "default_return": self._default_return,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state: the episode is reset and its actions are replayed, which is exact."""
        self.episode = state["episode"]
        self.tally = Tally.restored(state["tally"])
        for name in ("returns", "lengths", "default_returns", "counts"):
            setattr(self, name, list(state.get(name, [])))
        self._rng.bit_generator.state = state["rng"]
        self._random_rng.bit_generator.state = state["random_rng"]
        for acting, saved in zip(self.actings, state["actings"], strict=True):
            acting.restore(saved)
        if isinstance(self._decide, Drawing):
            self._decide.restore(state["decide"])
        self._over = True
        if not state["over"]:
            self._replay(state)

    def _replay(self, state: dict[str, Any]) -> None:
        """The episode under way, up to where it was."""
        taken = [np.asarray(action, np.float32) for action in np.asarray(state["taken"])]
        total = self.tally.env_steps
        self.tally.env_steps = total - len(taken)
        self._reset_world()
        self.tally.env_steps = total
        for action in taken:
            observation, reward, *_, info = self.env.step(self._space.to_environment(action))
            self._counted = dict(told_by(info) or self._counted)
            self._observations.append(self._kept(observation))
            self._return += float(reward)
        self._taken, self._step = taken, len(taken)
        for process, read_step in np.asarray(state["made"]).tolist():
            self._note(process, read_step)
        self._flying = {int(m): np.asarray(actions, np.float32) for m, actions in state["flying"]}
        current, self._left, self._random = state["chunk"]
        self._last, self._initial, self._current = (
            None if kept is None else np.asarray(kept, np.float32)
            for kept in (state["last"], state["initial"], current)
        )
        self._source, self._last_fresh = state["source"], state["last_fresh"]
        self._default_return = state["default_return"]
