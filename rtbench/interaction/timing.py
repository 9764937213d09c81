"""From a cell's interaction to time: how long a tick takes, and the timeline that follows."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction

from rtbench.cell import Execution, Interaction, Latency
from rtbench.errors import SuiteError
from rtbench.interaction.exploration import Exploration
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import Timeline, instant_timeline
from rtbench.interaction.virtual import Draws, VirtualClock
from rtbench.parts import Scheduler
from rtbench.plugins import build
from rtbench.units import exact, seconds_to_ns

_FINEST_DENOMINATOR = 10**5


def contradiction(interaction: Interaction) -> str | None:
    """Why the values of an interaction cannot hold together, in one sentence, or None."""
    delta, latency = interaction.delta, interaction.latency
    if interaction.execution not in ("instant", "sequential", "pipelined"):
        return f"execution must be instant, sequential or pipelined, not {interaction.execution!r}"
    if not (math.isfinite(delta) and delta >= 0):
        return f"delta must be a finite number of environment steps, at least 0, not {delta!r}"
    if not (math.isfinite(interaction.delta_cv) and interaction.delta_cv >= 0):
        return f"delta_cv must be a finite number, at least 0, not {interaction.delta_cv!r}"
    if interaction.delta_cv and not delta:
        return "delta_cv is the spread of delta, and there is no delta"
    if interaction.processes < 1:
        return f"processes must be at least 1, not {interaction.processes}"
    for name in ("sensor_latency_s", "actuator_latency_s"):
        value = getattr(interaction, name)
        if not (math.isfinite(value) and value >= 0):
            return f"{name} must be a finite number of seconds, at least 0, not {value!r}"
    if not 0 <= interaction.epsilon <= 1:
        return f"epsilon must be a share between 0 and 1, not {interaction.epsilon!r}"
    if interaction.clock not in ("virtual", "wall"):
        return f"clock must be virtual or wall, not {interaction.clock!r}"
    if interaction.counterfactual not in ("none", "age-0"):
        return f"counterfactual must be none or age-0, not {interaction.counterfactual!r}"
    if interaction.latency_convention != "paper" and (reason := _convention_contradiction(interaction)):
        return reason
    if interaction.clock == "wall" and (reason := _wall_contradiction(interaction)):
        return reason
    if interaction.execution == "instant":
        return _instant_contradiction(interaction)
    if delta > 0 and latency is not None:
        return f"execution = {interaction.execution!r} takes delta or latency, and both are given"
    if delta == 0 and latency is None and interaction.clock == "virtual":
        return f"execution = {interaction.execution!r} needs delta > 0 or a latency, and neither is given"
    return None


def _convention_contradiction(interaction: Interaction) -> str | None:
    if interaction.latency_convention != "published-code":
        return f"latency_convention must be paper or published-code, not {interaction.latency_convention!r}"
    latency = interaction.latency
    if interaction.execution != "sequential" or interaction.processes > 1 or interaction.clock == "wall":
        return "latency_convention = 'published-code' is for one sequential process on the virtual clock"
    if latency is None or latency.distribution != "constant":
        return "latency_convention = 'published-code' needs a constant latency"
    return None


def _wall_contradiction(interaction: Interaction) -> str | None:
    if interaction.execution == "instant":
        return "under execution = 'instant' no time passes, so there is no wall clock to run on"
    if interaction.lateness is not None:
        return "on the wall clock lateness is what it is; `lateness` is for the virtual clock"
    if interaction.counterfactual != "none":
        return "a counterfactual cannot happen on the wall clock; it is computed on the virtual clock"
    return None


def _instant_contradiction(interaction: Interaction) -> str | None:
    if interaction.delta > 0:
        return f"under execution = 'instant' no time passes, so delta must be 0, not {interaction.delta}"
    if interaction.latency is not None:
        return "under execution = 'instant' no time passes, so there can be no latency"
    if interaction.processes > 1:
        return f"under execution = 'instant' one process is enough, so processes must be 1, not {interaction.processes}"
    if interaction.sensor_latency_s or interaction.actuator_latency_s:
        return "under execution = 'instant' no time passes, so sensor_latency_s and actuator_latency_s must be 0"
    for name in ("learning", "lateness"):
        if getattr(interaction, name) is not None:
            return f"under execution = 'instant' no time passes, so there can be no {name}"
    if interaction.counterfactual != "none":
        return "under execution = 'instant' every age is 0 already, so there is no counterfactual of age 0"
    return None


@dataclass(frozen=True)
class Timing:
    """Durations in nanoseconds of one interaction with a network of known depth.

    `source` gives the time of an inference (sequential) or a tick (pipelined): nanoseconds, a distribution, or None
    under `instant`; a draw is a multiple of `grain_ns` and at least `at_least_ns`. The network computes by
    `graph_execution`, which is "instant" under the counterfactual of age 0: each inference is then one instantaneous
    pass, whatever the execution that says when actions come.
    """

    step_ns: int
    execution: str
    source: Latency | int | None
    at_least_ns: int = 1
    grain_ns: int = 1
    sensor_ns: int = 0
    actuator_ns: int = 0
    graph_execution: str = ""

    def model(self, seed: int, *path: str | int) -> LatencyModel | None:
        """The random streams of this timing, named by `path` (a phase, an episode); None under `instant`."""
        if self.source is None:
            return None
        return LatencyModel(
            self.source,
            seed,
            *path,
            execution=self.execution,
            at_least_ns=self.at_least_ns,
            grain_ns=self.grain_ns,
        )


def timing(interaction: Interaction, layers: int, step_s: float) -> Timing:
    """The durations of an interaction; SuiteError if it contradicts itself or a number is not positive.

    With δ an inference takes layers · δ steps (sequential), a tick max(1, δ) steps (pipelined); the environment step is
    then rounded to a multiple of δ's denominator in nanoseconds, so that both are exact. With a latency instead, an
    inference takes the draw, a tick the draw but at least a step (Handling Delay, Section 3). A δ that is drawn
    (`delta_cv`) takes whole steps, at least one.
    """
    reason = contradiction(interaction)
    if reason:
        raise SuiteError(reason, place="interaction")
    if layers < 1 or not (math.isfinite(step_s) and seconds_to_ns(step_s) >= 1):
        raise SuiteError(f"needs at least one layer and a step of at least 1 ns, not {layers} and {step_s} s")
    step_ns = seconds_to_ns(step_s)
    source: Latency | int | None = interaction.latency
    at_least_ns, grain_ns = step_ns if interaction.execution == "pipelined" else 1, 1
    if interaction.delta_cv:
        whole = interaction.delta * (1 if interaction.execution == "pipelined" else layers)
        source = Latency("lognormal", mean_s=whole * step_ns / 1e9, cv=interaction.delta_cv)
        # In whole steps, as the paper's δ: off the grid every action would wait for the next step, whatever the spread.
        at_least_ns = grain_ns = step_ns
    elif interaction.execution != "instant" and source is None:
        delta = exact(interaction.delta)
        grain = delta.denominator if delta.denominator <= min(_FINEST_DENOMINATOR, step_ns) else 1
        step_ns = max(1, round(step_ns / grain)) * grain
        ticks = max(Fraction(1), delta) if interaction.execution == "pipelined" else layers * delta
        source, at_least_ns = max(1, round(ticks * step_ns)), 1
    return Timing(
        step_ns,
        interaction.execution,
        source,
        at_least_ns,
        grain_ns,
        seconds_to_ns(interaction.sensor_latency_s),
        seconds_to_ns(interaction.actuator_latency_s) + _queued_ns(interaction, step_ns),
        graph_execution(interaction),
    )


def _queued_ns(interaction: Interaction, step_ns: int) -> int:
    """How much longer an action waits by the published code's convention, once it is computed.

    Of n steps per decision the code lets n − 1 pass without an action and then applies what it decided n − 1 decisions
    before: n² − 1 steps after the observation, of which the inference took n.
    """
    if interaction.latency_convention == "paper" or interaction.latency is None:
        return 0
    n = -(-seconds_to_ns(interaction.latency.mean_s) // step_ns)
    return max(0, n * n - 1 - n) * step_ns


def graph_execution(interaction: Interaction) -> Execution:
    """How the network computes an action: by `execution`, or at once under the counterfactual of age 0."""
    return interaction.execution if interaction.counterfactual == "none" else "instant"


def chunk_of(interaction: Interaction) -> int:
    """How many actions one inference gives under this interaction's scheduler."""
    if interaction.execution == "instant":
        return 1
    scheduler: Scheduler = build(interaction.scheduler)
    return scheduler.make(interaction.processes, 10**9, interaction.execution).chunk


def exploration_of(interaction: Interaction, seed: int, *path: str | int) -> Exploration | None:
    """The ε coin of an interaction, or None without one.

    A random action takes 1 ns. A pipeline has to compute every tick for the next ones, so there it takes a whole tick.
    """
    if not interaction.epsilon:
        return None
    return Exploration(interaction.epsilon, None if interaction.execution == "pipelined" else 1, seed, *path)


def clock_of(
    interaction: Interaction,
    layers: int,
    step_s: float,
    seed: int,
    *path: str | int,
    exploration: Exploration | None = None,
) -> VirtualClock:
    """The virtual clock of an interaction that takes time, with random streams named by `path`.

    `exploration` replaces the ε coin of the interaction (an ε that is annealed). SuiteError under `instant`.
    """
    times = timing(interaction, layers, step_s)
    model = times.model(seed, *path)
    if model is None:
        raise SuiteError("execution = 'instant' has no clock: no time passes", place="interaction.execution")
    learning, lateness = (
        None if drawn is None else LatencyModel(drawn, seed, *path, name)
        for name, drawn in (("learning", interaction.learning), ("lateness", interaction.lateness))
    )
    return VirtualClock(
        build(interaction.scheduler).make(interaction.processes, times.step_ns, interaction.execution),
        model,
        step_ns=times.step_ns,
        sensor_ns=times.sensor_ns,
        actuator_ns=times.actuator_ns,
        late=None if lateness is None else Draws(lateness, interaction.processes).take,
        exploration=exploration or exploration_of(interaction, seed, *path),
        learning=learning,
        fresh=interaction.counterfactual == "age-0",
    )


def timeline_of(
    interaction: Interaction,
    layers: int,
    step_s: float,
    steps: int,
    seed: int,
    *path: str | int,
    exploration: Exploration | None = None,
) -> Timeline:
    """`steps` environment steps of an interaction, also under `instant`.

    With `on_reset = "restart"` every episode has a timeline of its own that begins at 0 (name the episode in `path`, or
    share one where nothing is drawn: `draws`); with "continue" one timeline runs on, see `Timeline.with_resets`.
    """
    if interaction.execution == "instant":
        step_ns = timing(interaction, layers, step_s).step_ns
        return _with_coins(instant_timeline(steps, step_ns), exploration or exploration_of(interaction, seed, *path))
    return clock_of(interaction, layers, step_s, seed, *path, exploration=exploration).timeline(steps)


def draws(interaction: Interaction, layers: int, step_s: float) -> bool:
    """Whether anything of this interaction's timing is drawn, so that episodes' timelines differ."""
    source = timing(interaction, layers, step_s).source
    varied = (source, interaction.learning, interaction.lateness)
    return bool(interaction.epsilon) or any(
        isinstance(value, Latency) and value.distribution != "constant" for value in varied
    )


def _with_coins(line: Timeline, exploration: Exploration | None) -> Timeline:
    """The ε coins of process 0, one per step."""
    if exploration is None:
        return line
    coins = exploration.draw_block(0, line.steps)
    return dataclasses.replace(line, random=exploration.are_random(coins, line.read_step))
