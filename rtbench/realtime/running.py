"""`rtbench.realtime.run`: a policy on the wall clock, in a Gymnasium environment or on hardware."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.cell import Latency
from rtbench.errors import RtbenchError, SuiteError
from rtbench.interaction.latency import LatencyModel, parse_latency
from rtbench.parts import Scheduler
from rtbench.plugins import build, use
from rtbench.realtime.engine import Engine, Limits
from rtbench.realtime.inference import Actor, Inference
from rtbench.realtime.parameters import Learning
from rtbench.realtime.recording import Recording
from rtbench.schedulers.base import SchedulerState
from rtbench.seeds import episode_seed
from rtbench.units import seconds_to_ns

if TYPE_CHECKING:
    import gymnasium

Policy = Callable[..., Any]
"""From an observation to an action; with learning, from an observation and the parameters."""
Callbacks = tuple[Callable[[], Any], Callable[[Any], Any]]
"""Hardware: `observe() -> observation` and `act(action)`, both of which return at once."""
Beta = Callable[[Any], Any]
_PLACE = "rtbench.realtime.run"


@dataclass(frozen=True)
class PerProcess:
    """A policy that every inference process makes for itself: `make(process) -> policy`.

    For models that do not survive a fork (an accelerator's, or with threads of their own), for random generators of a
    policy's own (a fork copies one that a closure refers to, and every process then draws the same), and for policies
    with memory: `make` may also answer an object with `restart(observation)` and `act(observation, applied_action)`.
    """

    make: Callable[[int], Any]


def run(
    policy: Policy | PerProcess,
    env: gymnasium.Env[Any, Any] | Callbacks,
    scheduler: str | Scheduler | SchedulerState = "staggered-max",
    *,
    step_s: float,
    processes: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    episodes: int | None = None,
    latency: str | float | Mapping[str, Any] | Latency | None = None,
    first_action: Any = None,
    default_policy: Literal["repeat-last", "first-action"] | Beta = "repeat-last",
    on_reset: Literal["continue", "restart"] = "continue",
    learning: Learning | None = None,
    seed: int = 0,
    tolerance_s: float | None = None,
    most_missed: float = 0.02,
    priority: int = 0,
    warm_up: int = 2,
) -> Recording:
    """Drive an environment or hardware in real time; the world takes a step every `step_s`, ready or not.

    `policy` runs in `processes` inference processes (1) that `scheduler` (a name of `rtbench list schedulers`, a part,
    or a state machine, of which a copy is used) coordinates. Each calls it `warm_up` times before the run begins, on an
    observation that is like the others (0 for policies that must not be; a cold first inference then counts like any
    other). The environment, or the callbacks, stay in this process. The run ends after `steps`, `seconds` (rounded to
    steps) or `episodes`, whichever comes first; callbacks know no episodes. The first Ctrl-C ends it as well: what was
    recorded is returned, with `interrupted`. `latency` ("70ms", a distribution)
    makes inference take at least that long. Until there is an action `first_action` is applied (needed for callbacks;
    else nought, or as near as the space allows), then `default_policy` wherever no new one has come: the last action
    again, the first, or a function of the last (of None before there is one). `on_reset`: the clock runs on through
    the resets of an environment, or rests in them. `learning`: parameters that change meanwhile; the policy is then
    called with (observation, parameters). `tolerance_s` (a tenth of the step) and `most_missed`: see
    `Recording.spoiled`. `priority` 1 … 99 puts all of it before everything that has no real-time priority (Linux's
    SCHED_FIFO; the user must be allowed to). `seed`: of the episodes, of drawn latencies, and, with its number, of each
    process's global random states (NumPy's, `random`'s, torch's).

    Where a callback blocks for longer than a step, the steps missed are skipped (`Stretch.skipped`), and the newest
    action is applied once at the next instant. An environment must take every step: those missed follow at once.

    A robot that is given a command every 20 ms by a network that takes 70 ms:

        >>> import time
        >>> from rtbench.realtime import run
        >>> arm = {"angle": 0.0}
        >>> def observe():
        ...     return [arm["angle"]]
        >>> def act(torque):
        ...     arm["angle"] += 0.02 * float(torque[0])
        >>> def policy(observation):
        ...     time.sleep(0.07)  # your network
        ...     return [-observation[0]]
        >>> recording = run(policy, (observe, act), "staggered-max", processes=4, step_s=0.02, first_action=[0.0],
        ...                 seconds=1.0)
        >>> recording.timeline.steps
        50
        >>> print(recording.summary().inaction_share)  # doctest: +SKIP
        0.0
        >>> recording.save("run.parquet")  # doctest: +SKIP

    The policy is forked, so it may be anything callable; see `PerProcess` for models that must be loaded in each
    process. Whatever becomes of the run, no process and no shared memory outlives it; what a robot does when commands
    end is for its driver. Raises ProcessFailed, with the traceback as a note and what was recorded as `recording`, when
    a policy raises or its process dies; RtbenchError for what does not go together.
    """
    step_ns = seconds_to_ns(step_s)
    if step_ns < 1 or (processes is not None and processes < 1) or warm_up < 0:
        raise SuiteError(
            "needs a positive step, at least one process and no negative warm_up, "
            f"not {step_s} s, {processes} and {warm_up}",
            place=_PLACE,
        )
    limits = _limits(steps, seconds, episodes, step_ns, _is_pair(env))
    world = _world(env, first_action, default_policy, seed)
    state = _state(scheduler, processes, step_ns)
    inference = Inference(
        scheduler=state,
        step_ns=step_ns,
        make_actor=_maker(policy, learning is not None),
        latency=None if latency is None else LatencyModel(parse_latency(latency), seed, "wall"),
        warm_up=warm_up,
    )
    return Engine(
        world,
        world.sample,
        world.first_action,
        inference,
        state.processes,
        limits,
        restart=on_reset == "restart",
        holds=default_policy == "repeat-last",
        learning=learning,
        tolerance_ns=None if tolerance_s is None else seconds_to_ns(tolerance_s),
        most_missed=most_missed,
        priority=priority,
        skips=isinstance(world, _Hardware),
        seed=seed,
    ).run()


def _limits(steps: int | None, seconds: float | None, episodes: int | None, step_ns: int, endless: bool) -> Limits:
    for name, value in (("steps", steps), ("seconds", seconds), ("episodes", episodes)):
        if value is not None and not value > 0:
            raise SuiteError(f"{name} must be positive, not {value}", place=_PLACE)
    if endless and episodes is not None:
        raise SuiteError("callbacks know no episodes", place=_PLACE, hint="give steps or seconds")
    if steps is None and seconds is None and episodes is None:
        raise SuiteError("nothing says when the run is over", place=_PLACE, allowed=("steps", "seconds", "episodes"))
    if seconds is not None:
        in_time = max(1, round(seconds_to_ns(seconds) / step_ns))
        steps = in_time if steps is None else min(steps, in_time)
    return Limits(steps, episodes)


def _state(scheduler: str | Scheduler | SchedulerState, processes: int | None, step_ns: int) -> SchedulerState:
    """A state machine of this run's own; one that was given is copied, so that it can be given again."""
    if isinstance(scheduler, str):
        part: Scheduler = build(use("schedulers", scheduler, place=_PLACE))
        scheduler = part
    if isinstance(scheduler, SchedulerState):
        if scheduler.step_ns != step_ns:
            raise SuiteError(
                f"the scheduler's step is {scheduler.step_ns} ns, the environment's {step_ns} ns", place=_PLACE
            )
        if processes not in (None, scheduler.processes):
            raise SuiteError(f"the scheduler is for {scheduler.processes} processes, not {processes}", place=_PLACE)
        if isinstance(scheduler.state, memoryview):
            raise SuiteError("an engine has used this scheduler's state: make another one", place=_PLACE)
        return copy.deepcopy(scheduler)
    made: SchedulerState = scheduler.make(processes or 1, step_ns, "sequential")
    return made


# ---- policies --------------------------------------------------------------------------------------------------------


class _Function:
    """A function of the observation (and the parameters) as an actor."""

    def __init__(self, function: Policy, parameters: Any) -> None:
        self._function, self._more = function, () if parameters is None else (parameters,)

    def restart(self, observation: Any) -> None:
        """It remembers nothing."""

    def act(self, observation: Any, applied: Any) -> Any:
        """Its action."""
        return self._function(observation, *self._more)


def _maker(policy: Policy | PerProcess, learns: bool) -> Callable[[int, Any], Actor]:
    def make(process: int, parameters: Any) -> Actor:
        found = policy.make(process) if isinstance(policy, PerProcess) else policy
        if hasattr(found, "act") and hasattr(found, "restart"):
            actor: Actor = found
            return actor
        return _Function(found, parameters if learns else None)

    return make


# ---- worlds ----------------------------------------------------------------------------------------------------------


def _is_pair(env: Any) -> bool:
    return isinstance(env, tuple) and len(env) == 2 and all(callable(each) for each in env)


class _Given:
    """What both worlds have: the first action, β."""

    def __init__(self, first_action: Any, default_policy: str | Beta) -> None:
        self.first_action = first_action
        if not callable(default_policy) and default_policy not in ("repeat-last", "first-action"):
            raise SuiteError(
                "no such default policy",
                place=_PLACE,
                given=default_policy,
                allowed=("repeat-last", "first-action"),
                hint="or a function from the last action to this one",
            )
        self._beta = default_policy

    def default(self, last: Any) -> Any:
        """β."""
        if callable(self._beta):
            return self._beta(last)
        return self.first_action if last is None or self._beta == "first-action" else last


class _Hardware(_Given):
    """A pair of callbacks: no rewards, no episodes."""

    def __init__(self, callbacks: Callbacks, first_action: Any, default_policy: str | Beta) -> None:
        if first_action is None:
            raise SuiteError(
                "callbacks need a first_action: what is applied until the policy has answered", place=_PLACE
            )
        super().__init__(first_action, default_policy)
        self._observe, self._act = callbacks
        self.sample = self._observe()

    def reset(self, episode: int) -> Any:
        """What there is."""
        return self._observe()

    def observe(self) -> Any:
        """The newest."""
        return self._observe()

    def step(self, action: Any) -> tuple[float, bool]:
        """Act."""
        self._act(action)
        return 0.0, False


class _Environment(_Given):
    """A Gymnasium environment; episodes are reset with seeds of their own."""

    def __init__(self, env: Any, first_action: Any, default_policy: str | Beta, seed: int) -> None:
        super().__init__(_nought(env.action_space) if first_action is None else first_action, default_policy)
        self._env, self._seed = env, seed
        self.sample = env.observation_space.sample()
        self._observation: Any = None

    def reset(self, episode: int) -> Any:
        """The next episode's first observation."""
        self._observation, _ = self._env.reset(seed=episode_seed(self._seed, "wall", episode))
        return self._observation

    def observe(self) -> Any:
        """What the last step led to."""
        return self._observation

    def step(self, action: Any) -> tuple[float, bool]:
        """A step, computed at once; its observation is published when its time is over."""
        self._observation, reward, terminated, truncated, _ = self._env.step(action)
        return float(reward), bool(terminated or truncated)


def _world(env: Any, first_action: Any, default_policy: str | Beta, seed: int) -> _Hardware | _Environment:
    if _is_pair(env):
        return _Hardware(env, first_action, default_policy)
    if not all(hasattr(env, name) for name in ("reset", "step", "observation_space", "action_space")):
        raise SuiteError(
            f"neither a Gymnasium environment nor a pair of callbacks: {type(env).__name__}",
            place=_PLACE,
            hint="give an environment, or (observe, act)",
        )
    return _Environment(env, first_action, default_policy, seed)


def _nought(space: Any) -> Any:
    """The action nearest to nothing: nought within the box, or the first of those that are counted."""
    import gymnasium
    import numpy as np

    if isinstance(space, gymnasium.spaces.Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    if isinstance(space, gymnasium.spaces.Discrete):
        return space.start
    if isinstance(space, (gymnasium.spaces.MultiDiscrete, gymnasium.spaces.MultiBinary)):
        return np.zeros(space.shape, space.dtype)
    raise RtbenchError(f"nothing says what to do at first in {type(space).__name__}", place=_PLACE, hint="first_action")
