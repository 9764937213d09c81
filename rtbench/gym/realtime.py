"""`RealTime`: any Gymnasium environment as it is for an agent whose inference takes time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from rtbench.cell import Counterfactual, Execution, Interaction, Latency
from rtbench.errors import SuiteError
from rtbench.gym.actions import DefaultPolicy
from rtbench.gym.courses import Courses, EveryStep, Given, Simulated
from rtbench.gym.durations import step_s_of
from rtbench.gym.paced import Paced, Reward
from rtbench.interaction.latency import parse_latency
from rtbench.interaction.timeline import Timeline
from rtbench.plugins import use

LatencyLike = Latency | str | float | Mapping[str, Any]
"""What a suite file or a command line may say: "40ms", 0.04, "lognormal:40ms:0.1", {"profile": "file.parquet"}, …"""

Decision = Literal["inference", "step"]


def _latency(value: LatencyLike | None, place: str) -> Latency | None:
    return None if value is None else parse_latency(value, place)


def step_s_for(env: gymnasium.Env[Any, Any], step_s: float | None, interaction: Interaction) -> float:
    """τ_M as given, as the environment says, or 1 s where only multiples of it count; else SuiteError."""
    found = step_s or step_s_of(env)
    in_seconds = (interaction.latency, interaction.learning, interaction.lateness)
    if found or not (any(in_seconds) or interaction.sensor_latency_s or interaction.actuator_latency_s):
        return found or 1.0
    raise SuiteError(
        "the environment does not say how long one of its steps takes (dt or tau; render_fps is no clock)",
        place="step_s",
        hint="give step_s in seconds, frame skips included, or the delay as delta in steps",
    )


def interaction_of(
    *,
    scheduler: str | None = None,
    scheduler_params: Mapping[str, Any] | None = None,
    processes: int = 1,
    execution: Execution = "sequential",
    delta: float = 0.0,
    delta_cv: float = 0.0,
    latency: LatencyLike | None = None,
    on_reset: Literal["restart", "continue"] = "restart",
    epsilon: float = 0.0,
    learning: LatencyLike | None = None,
    lateness: LatencyLike | None = None,
    sensor_latency_s: float = 0.0,
    actuator_latency_s: float = 0.0,
    counterfactual: Counterfactual = "none",
) -> Interaction:
    """An interaction of a wrapper's arguments; SuiteError for a value that does not exist."""
    if not 0 <= epsilon < 1:
        raise SuiteError(
            f"epsilon is the share of random actions, at least 0 and below 1, not {epsilon}", place="epsilon"
        )
    if on_reset not in ("restart", "continue"):
        raise SuiteError("unknown on_reset", place="on_reset", given=on_reset, allowed=["restart", "continue"])
    name = scheduler or ("one-process" if processes == 1 else "staggered-max")
    return Interaction(
        use("schedulers", name, dict(scheduler_params or {})),
        execution,
        delta,
        use("default_policies", "zero"),  # the wrapper fills in itself
        processes=processes,
        on_reset=on_reset,
        latency=_latency(latency, "latency"),
        sensor_latency_s=sensor_latency_s,
        actuator_latency_s=actuator_latency_s,
        delta_cv=delta_cv,
        learning=_latency(learning, "learning"),
        epsilon=epsilon,
        lateness=_latency(lateness, "lateness"),
        counterfactual=counterfactual,
    )


class RealTime(Paced, RecordConstructorArgs):
    """An environment that goes on while its agent infers: delay, inaction and staggered processes of a scheduler.

    Observations and actions pass through unchanged (with a scheduler that gives `chunk` actions at once, an action is
    that many in a row). Every call of `step` is one *decision*: it takes the action of the inference whose observation
    was returned last. That action acts when the timeline says; where none arrives in time, `default_policy` acts.

    `decision`: "inference" asks for the actions of a scheduler's inferences; "step" begins an inference at every
    environment step, a plainly delayed environment. `reward`: "applied" (the default for inferences) gives the reward
    of the steps from the first that uses the action up to the next decision's first, as rtbench's own transitions;
    "elapsed" (the default for steps) gives the reward of the time between two observations. Discount between decisions
    with γ^`info["rtbench"]["env_steps"]` for an exact semi-MDP; `gamma` discounts within a decision.

    Time: `latency` of an inference ("40ms", a distribution, a profile measured by `rtbench profile`) or `delta` in
    environment steps, drawn with `delta_cv`; `step_s` (τ_M) is needed for seconds where the environment does not say
    it. `timeline` instead of all these replays one that exists (a recording), for every episode or as a function of the
    episode's number. `default_policy`: a name (repeat-last, zero, noop, random, a plugin's) or a
    function of the agent's last action (None before the first) and a generator, giving an action of the environment.
    A share `epsilon` of inferences is not asked for: they take no time and act at random. The counterfactual "age-0"
    keeps the pattern of steps that get a new action and lets each of these rest on that step's observation.

    `info["rtbench"]` has, since the last call: env_steps, default_policy_steps (startup included), startup_steps,
    random_steps, and per environment step rewards, actions, ages_steps and oldest_ages_steps (−1 where there is no
    age); at an episode's end also last_observation. SuiteError for values that contradict each other.

    Sources: Handling Delay, Section 3; Staggered Asynchronous Inference, Algorithms 1 and 2. Transitions: a delayed
    semi-MDP of (observation the policy saw, action, rewards until the next action acts, next observation it sees).
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        scheduler: str | None = None,
        scheduler_params: Mapping[str, Any] | None = None,
        processes: int = 1,
        execution: Execution = "sequential",
        delta: float = 0.0,
        delta_cv: float = 0.0,
        latency: LatencyLike | None = None,
        step_s: float | None = None,
        default_policy: DefaultPolicy = "repeat-last",
        noop: int | None = None,
        on_reset: Literal["restart", "continue"] = "restart",
        epsilon: float = 0.0,
        learning: LatencyLike | None = None,
        lateness: LatencyLike | None = None,
        sensor_latency_s: float = 0.0,
        actuator_latency_s: float = 0.0,
        counterfactual: Counterfactual = "none",
        timeline: Timeline | Callable[[int], Timeline] | None = None,
        decision: Decision = "inference",
        reward: Reward | None = None,
        gamma: float = 1.0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "env", "__class__")}
        RecordConstructorArgs.__init__(self, **given)
        own = ("step_s", "default_policy", "noop", "timeline", "decision", "reward", "gamma")
        time = {name: value for name, value in given.items() if name not in own}
        if decision not in ("inference", "step"):
            raise SuiteError("unknown decision", place="decision", given=decision, allowed=["inference", "step"])
        if reward not in (None, "applied", "elapsed"):
            raise SuiteError("unknown reward", place="reward", given=reward, allowed=["applied", "elapsed"])
        if timeline is not None:
            _refuse(time | {"decision": decision}, "timeline", "a timeline says when every inference begins and ends")
            courses: Courses = Given(timeline)
        elif decision == "step":
            delays = ("delta", "delta_cv", "latency", "sensor_latency_s", "actuator_latency_s")
            others = {name: value for name, value in time.items() if name not in delays}
            _refuse(others, "decision", 'with decision = "step" an inference begins at every environment step')
            interaction = interaction_of(**time)
            courses = EveryStep(interaction, step_s_for(env, step_s, interaction))
        else:
            interaction = interaction_of(**time)
            courses = Simulated(interaction, step_s_for(env, step_s, interaction))
        Paced.__init__(
            self,
            env,
            courses,
            default_policy,
            reward=reward or ("applied" if decision == "inference" else "elapsed"),
            gamma=gamma,
            noop=noop,
        )


def _refuse(values: Mapping[str, Any], place: str, reason: str) -> None:
    """SuiteError if any of these is not at its default."""
    defaults = inspect.signature(RealTime).parameters
    for name, value in values.items():
        if value != defaults[name].default:
            raise SuiteError(f"{reason}, so {name} cannot be {value!r}", place=place, hint=f"leave {name} away")
