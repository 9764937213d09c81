"""From a cell's interaction to time: how long a tick takes, and the timeline that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from rtbench.cell import Interaction, Latency
from rtbench.errors import SuiteError
from rtbench.interaction.exploration import Exploration
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import Timeline, instant_timeline
from rtbench.interaction.virtual import VirtualClock
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
    if interaction.clock != "virtual":
        return f"clock = {interaction.clock!r} is not available yet; this version has clock = 'virtual' only"
    if interaction.execution == "instant":
        return _instant_contradiction(interaction)
    if delta > 0 and latency is not None:
        return f"execution = {interaction.execution!r} takes delta or latency, and both are given"
    if delta == 0 and latency is None:
        return f"execution = {interaction.execution!r} needs delta > 0 or a latency, and neither is given"
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
    return None


@dataclass(frozen=True)
class Timing:
    """Durations in nanoseconds of one interaction with a network of known depth.

    `source` gives the time of an inference (sequential) or a tick (pipelined): nanoseconds, a distribution, or None
    under `instant`; a draw is a multiple of `grain_ns` and at least `at_least_ns`.
    """

    step_ns: int
    execution: str
    source: Latency | int | None
    at_least_ns: int = 1
    grain_ns: int = 1
    sensor_ns: int = 0
    actuator_ns: int = 0

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
        seconds_to_ns(interaction.actuator_latency_s),
    )


def clock_of(
    interaction: Interaction,
    layers: int,
    step_s: float,
    seed: int,
    *path: str | int,
    exploration: Exploration | None = None,
) -> VirtualClock:
    """The virtual clock of an interaction that takes time, with random streams named by `path`."""
    times = timing(interaction, layers, step_s)
    model = times.model(seed, *path)
    if model is None:
        raise SuiteError("execution = 'instant' has no clock: no time passes", place="interaction.execution")
    scheduler = build(interaction.scheduler).make(interaction.processes, times.step_ns, interaction.execution)
    return VirtualClock(
        scheduler,
        model,
        step_ns=times.step_ns,
        sensor_ns=times.sensor_ns,
        actuator_ns=times.actuator_ns,
        exploration=exploration,
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
    share one where the latency is constant); with "continue" one timeline runs on, see `Timeline.with_resets`.
    """
    if interaction.execution == "instant":
        return instant_timeline(steps, timing(interaction, layers, step_s).step_ns)
    return clock_of(interaction, layers, step_s, seed, *path, exploration=exploration).timeline(steps)
