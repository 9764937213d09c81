"""Policies that are evaluated on the wall clock, as a program: one set of real processes per run, one run at a time.

A run is carried out in a process of its own, from which the inference processes are forked, so that the program can
answer a signal meanwhile. A run that was interrupted begins anew. Runs of one machine wait for each other, whichever
runner they belong to.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import RtbenchError
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import nearest_rank
from rtbench.interaction.timing import exploration_of, timing
from rtbench.learners.actions import Actions
from rtbench.learners.backs import Backs
from rtbench.learners.base import Outcome
from rtbench.learners.episodes import Episodes
from rtbench.learners.tally import Counts, Tally
from rtbench.learners.wall_tally import Counted, count, take
from rtbench.plugins import build
from rtbench.realtime.alone import alone
from rtbench.realtime.crew import Crew, Tell
from rtbench.realtime.engine import Engine, Limits
from rtbench.realtime.inference import Inference
from rtbench.realtime.recording import Recording
from rtbench.seeds import episode_seed, generator

if TYPE_CHECKING:
    from rtbench.backends.base import Acting
    from rtbench.cell import Cell
    from rtbench.graph import LayerGraph
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]
PHASE = "evaluate"
PRIORITY = "RTBENCH_REALTIME_PRIORITY"
"""The variable that asks for a real-time priority (1 … 99); rows say what they had."""
LISTEN_S = 0.3
"""How long one `advance` listens to the run under way."""
_KEPT = ("returns", "lengths", "default_returns", "counts", "extras", "times")


class Spoiled(RtbenchError):
    """A run on the wall clock that lateness spoilt; what it measured is not used."""

    exit_code = 1


@dataclass(frozen=True)
class WallPolicy:
    """A policy for inference processes: its graph; made in each process, what acts and what the head's output means."""

    graph: LayerGraph
    make: Callable[[int], Acting]
    decider: Callable[[int], Callable[[Array], Array]]
    start: str = "zero"


def own(made: Sequence[Acting], process: int) -> Acting:
    """A process's acting of those made before the fork, after which each has its own copy, also of a shared one."""
    return made[process % len(made)]


class WallRun:
    """One run: carried out beside this process, once; then what `rtbench.learners.loop.Loop` would have counted."""

    def __init__(self, cell: Cell, spec: EnvironmentSpec, policy: WallPolicy, seed: int) -> None:
        self._cell, self._policy, self._seed = cell, policy, seed
        self.spec, self.tally, self.extras = spec, Tally(), dict[str, float]()
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.default_returns: list[float] = []
        self.counts: list[Counts] = []
        self.kept = b""
        """The recording, once the run is over."""
        self.times: dict[str, float] = {}
        self._crew: Crew | None = None

    def run_episode(self) -> None:
        """Go on for a moment; the run's episodes all appear when it is over. Spoiled if lateness spoilt it."""
        if self._crew is None:
            self._crew = Crew(self._seed)
            self._crew.start("the run on the wall clock", self._carry_out)
        try:
            self._crew.check(LISTEN_S)
            if self._crew.done:
                (found,) = self._crew.results()
                self._take(*found)
        except BaseException:
            self.stop()
            raise
        if self.returns:
            self.stop()

    def stop(self) -> None:
        """End the processes, if there are any."""
        if self._crew is not None:
            self._crew.end()

    def _carry_out(self, tell: Tell) -> tuple[Any, ...]:
        """What `_take` is given, and runs beside this process."""
        tell()
        budget = self._cell.budget
        limits = Limits(episodes=budget.eval_episodes + budget.final_eval_episodes)
        counted = Counted()
        with alone():
            return engine_of(self._cell, self.spec, self._policy, self._seed, limits, counted).run(), counted.episodes

    def _take(self, recording: Recording, counted: list[dict[str, float]]) -> None:
        if recording.spoiled:
            raise Spoiled(
                recording.spoiled,
                place="clock = 'wall'",
                hint=f"run it again on a machine with less to do, or with {PRIORITY}=10 where that is allowed",
            )
        self.kept = recording.to_bytes()
        default = build(self._cell.interaction.default_policy)
        backs = Backs.of(self._policy.graph, self._cell.interaction, self._policy.start)
        for stretch in recording.stretches:
            self.default_returns += count(self.tally, stretch, backs, holds=default.holds)
        self.returns, self.lengths = list(recording.returns), list(recording.lengths)
        self.counts = take(self.tally, counted, len(self.returns))
        self.extras, self.times = _extras(recording), _times(recording)

    def state(self) -> dict[str, Any]:
        """What a run that is over has to say; of one under way nothing."""
        return {"tally": self.tally.state(), **{name: getattr(self, name) for name in _KEPT}, "kept": self.kept.hex()}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.tally = Tally.restored(state["tally"])
        for name in _KEPT:
            setattr(self, name, type(getattr(self, name))(state.get(name, ())))
        self.kept = bytes.fromhex(state.get("kept", ""))


class WallEpisodes(Episodes):
    """Runs of a batch, one after the other: side by side they would take each other's time."""

    def __init__(
        self, cell: Cell, spec: EnvironmentSpec, policies: Mapping[int, WallPolicy], graph_columns: dict[str, Any]
    ) -> None:
        """`policies` by seed."""
        self.runs = [WallRun(cell, spec, policy, seed) for seed, policy in policies.items()]
        super().__init__(cell, self.runs, graph_columns)  # type: ignore[arg-type]  # what Episodes asks of a loop

    def outcomes(self) -> list[Outcome]:
        """Also what really happened."""
        found = zip(super().outcomes(), self.runs, strict=True)
        return [dataclasses.replace(outcome, recording=run.kept) for outcome, run in found]

    def extras(self, run: int) -> dict[str, float]:
        """Also how late steps and processes were."""
        return super().extras(run) | self.runs[run].extras

    def _columns(self, loop: Any) -> dict[str, Any]:
        return {**super()._columns(loop), **loop.times}


def engine_of(
    cell: Cell, spec: EnvironmentSpec, policy: WallPolicy, seed: int, limits: Limits, counted: Counted | None = None
) -> Engine:
    """The engine of a cell's run; the environment is made here, and what it counts goes to `counted`."""
    interaction = cell.interaction
    times = timing(interaction, len(policy.graph.layers), spec.step_s)
    space = Actions(spec)
    scheduler = build(interaction.scheduler).make(interaction.processes, times.step_ns, interaction.execution)
    inference = Inference(
        scheduler=scheduler,
        step_ns=times.step_ns,
        make_actor=lambda process, _: _Actor(policy.make(process), policy.decider(process), spec),
        latency=times.model(seed, PHASE, "wall"),
        exploration=exploration_of(interaction, seed, PHASE, "wall"),
        explore=lambda rng: _chunked(space.random(rng, scheduler.chunk), scheduler.chunk),
        explore_rng=lambda process: generator(seed, PHASE, "random actions", process),
        learning=LatencyModel(interaction.learning, seed, PHASE, "learning") if interaction.learning else None,
    )
    world = _World(cell, spec, space, seed, counted or Counted())
    return Engine(
        world,
        world.sample,
        space.nothing,
        inference,
        interaction.processes,
        limits,
        restart=interaction.on_reset == "restart",
        holds=build(interaction.default_policy).holds,
        priority=_priority(),
        seed=seed,
    )


def _priority() -> int:
    given = os.environ.get(PRIORITY, "") or "0"
    if not given.isdigit():
        raise RtbenchError("not a priority", place=PRIORITY, given=given, hint="a number from 1 to 99, or nothing")
    return int(given)


class _World:
    """A cell's environment; actions are vectors, as inside a loop."""

    def __init__(self, cell: Cell, spec: EnvironmentSpec, space: Actions, seed: int, counted: Counted) -> None:
        self._env, self._space, self._seed, self._counted = build(cell.environment).make(), space, seed, counted
        self._default = space.default(build(cell.interaction.default_policy).make(spec))
        self._rng = generator(seed, PHASE, "default policy")
        self._dtype = np.dtype(spec.observation_dtype)
        self.sample = np.zeros(spec.observation_size, self._dtype)
        self._observation = self.sample

    def reset(self, episode: int) -> NDArray[Any]:
        """As a loop resets it."""
        self._counted.begin()
        self._observation = self._flat(self._env.reset(seed=episode_seed(self._seed, PHASE, episode))[0])
        return self._observation

    def observe(self) -> NDArray[Any]:
        """What the last step led to."""
        return self._observation

    def step(self, action: Array) -> tuple[float, bool]:
        """A step."""
        found, reward, terminated, truncated, info = self._env.step(self._space.to_environment(action))
        self._counted.note(info)
        self._observation = self._flat(found)
        return float(reward), bool(terminated or truncated)

    def default(self, last: Array | None) -> Array:
        """β."""
        return self._default(last, self._rng)

    def _flat(self, observation: Any) -> NDArray[Any]:
        return np.asarray(observation, self._dtype).reshape(-1)


class _Actor:
    """An acting as an inference process asks it."""

    def __init__(self, acting: Acting, decide: Callable[[Array], Array], spec: EnvironmentSpec) -> None:
        self._acting, self._decide = acting, decide
        self._scale = np.float32(spec.observation_scale)

    def restart(self, observation: NDArray[Any]) -> None:
        """What the start rule holds before the first tick is no action here: it would have to be there at once."""
        self._acting.restart(self._served(observation))

    def act(self, observation: NDArray[Any], applied: Array) -> Any:
        """A tick."""
        actions = self._decide(self._acting.tick(self._served(observation), applied))
        return _chunked(actions, len(actions) if actions.ndim > 1 else 1)

    def _served(self, observation: NDArray[Any]) -> Array:
        return observation.astype(np.float32) * self._scale


def _chunked(actions: Array, chunk: int) -> Any:
    """A chunk [chunk, A] as a tuple of actions; one action as it is."""
    return actions if chunk == 1 else tuple(actions)


def _extras(recording: Recording) -> dict[str, float]:
    """Lateness of steps and of processes' wake-ups."""
    late, wake = recording.lateness, np.sort(recording.wake_lateness_ns)
    found = {f"lateness_{name}_us": getattr(late, f"{name}_ns") / 1e3 for name in ("p50", "p95", "p99", "max")}
    found |= {"missed_share": late.missed_share, "realtime_priority": _priority()}
    if len(wake):
        found |= {f"wake_lateness_p{rank}_us": nearest_rank(wake, rank) / 1e3 for rank in (50, 99)}
        found["wake_lateness_max_us"] = int(wake[-1]) / 1e3
    return {f"rtbench/{name}": float(value) for name, value in found.items()}


def _times(recording: Recording) -> dict[str, float]:
    """The row's columns of inference time and lateness."""
    took = np.sort(recording.inference_ns)
    found = {"lateness_p99_s": recording.lateness.p99_ns / 1e9}
    if len(took):
        ranks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
        found |= {f"inference_time_{name}_s": nearest_rank(took, rank) / 1e9 for name, rank in ranks.items()}
    return found
