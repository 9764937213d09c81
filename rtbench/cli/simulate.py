"""`rtbench simulate`: what a latency does to a robot or a game, answered without training anything."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from rtbench.cli.output import JsonOption, emit, line, table
from rtbench.errors import SuiteError
from rtbench.interaction.enough import Enough, Row
from rtbench.interaction.forecast import MOST_PROCESSES, Forecast, Question, duration, forecast, forecast_data
from rtbench.interaction.latency import parse_latency
from rtbench.units import parse_duration_ns

if TYPE_CHECKING:
    from rtbench.interaction.timeline import AgeSummary

_FREQUENCY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*hz\s*", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)(?:\.\.(\d+))?")


def simulate(
    latency: Annotated[
        str,
        typer.Option(
            help="Time of one inference: 40ms, uniform:30ms:50ms, lognormal:40ms:0.1 (mean, cv), "
            "mixture:0.9:40ms:0.1:1ms (shares) or profile:FILE (a shipped one: profile:rtbench:NAME)."
        ),
    ],
    step: Annotated[str, typer.Option(help="Duration of one environment step, 20ms, or its frequency, 50hz.")],
    processes: Annotated[str, typer.Option(help="Numbers of inference processes: 1..4, or 1,2,8.")] = "1..4",
    scheduler: Annotated[
        list[str] | None, typer.Option(help="Only this scheduler; may be given several times.")
    ] = None,
    layers: Annotated[int, typer.Option(help="Layers of the network; above 1 also shows pipelined execution.")] = 1,
    steps: Annotated[int | None, typer.Option(help="Environment steps to simulate; the first half settles.")] = None,
    default_policy: Annotated[str, typer.Option(help="What acts when no new action is ready.")] = "repeat-last",
    epsilon: Annotated[float, typer.Option(help="Share of inferences that give a random action, at no cost.")] = 0.0,
    learning: Annotated[
        str | None, typer.Option(help="Time of one update, where a scheduler learns between inferences.")
    ] = None,
    lateness: Annotated[str | None, typer.Option(help="How much too late a process wakes from a sleep.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the latency draws.")] = 0,
    json: JsonOption = False,
) -> None:
    """How often an agent acts, on how old observations, and how many processes would be enough."""
    question = Question(
        latency=parse_latency(latency, "--latency"),
        step_ns=parse_step_ns(step, "--step"),
        processes=parse_processes(processes),
        schedulers=tuple(dict.fromkeys(scheduler or ())),
        layers=layers,
        steps=steps,
        default_policy=default_policy,
        seed=seed,
        epsilon=epsilon,
        learning=None if learning is None else parse_latency(learning, "--learning"),
        lateness=None if lateness is None else parse_latency(lateness, "--lateness"),
    )
    result = forecast(question)
    emit(forecast_data(result), json=json, render=lambda: _print(result))


def parse_step_ns(text: str, place: str = "step") -> int:
    """'20ms' or '50hz' as nanoseconds per environment step."""
    match = _FREQUENCY.fullmatch(text)
    if match is None:
        try:
            return parse_duration_ns(text, place=place)
        except SuiteError as error:
            raise SuiteError(
                error.message, place=place, allowed=("20ms", "50hz"), hint="a duration or a frequency"
            ) from None
    frequency = Fraction(match.group(1))
    if not 0 < frequency <= 10**9:
        raise SuiteError(f"a frequency must be positive and at most 1e9 hz: {text!r}", place=place)
    return round(10**9 / frequency)


def parse_processes(text: str, place: str = "--processes") -> tuple[int, ...]:
    """'1..4' or '1,2,8' as increasing numbers; SuiteError for anything else, or beyond what is simulated."""
    counts: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        first = int(match.group(1)) if match else 0
        last = int(match.group(2) or first) if match else 0
        if match is None:
            raise SuiteError(f"not a number of processes: {part!r}", place=place, allowed=("3", "1..4", "1,2,8"))
        if not 1 <= first <= last <= MOST_PROCESSES:
            raise SuiteError(
                f"not a range of processes: {part!r}",
                place=place,
                hint=f"from low to high, between 1 and {MOST_PROCESSES}",
            )
        counts.update(range(first, last + 1))
    return tuple(sorted(counts))


def _print(result: Forecast) -> None:
    counted = result.steps - result.settling_steps
    table(
        ("", "actions/s", "inaction", "overwritten", "newest age", "oldest age"),
        [_cells(row, result.step_ns) for row in result.rows],
        title=f"{counted} steps of {duration(result.step_ns)} after settling; age: p50 / p95 / max in steps (ms)",
    )
    line()
    for one in result.enough:
        line(
            f"Enough processes, {one.scheduler}: {one.formula} by {one.paced_by} inference / step; simulated, "
            f"{_least(one, one.by_interval)} for an action per step on average, {_least(one, one.simulated)} for one "
            "at every step."
        )
    line(result.answer)


def _least(one: Enough, found: int | None) -> str:
    if found:
        return str(found)
    return f"none up to {one.tried}" if one.tried else "too many"


def _cells(row: Row, step_ns: int) -> tuple[str, ...]:
    summary = row.summary
    return (
        row.label,
        f"{summary.actions_per_s:.4g}",
        "–" if summary.inaction_share is None else f"{summary.inaction_share:.1%}",
        f"{summary.overwritten_share:.1%}",
        _age(summary.newest_age, step_ns),
        _age(summary.oldest_age, step_ns),
    )


def _age(age: AgeSummary | None, step_ns: int) -> str:
    if age is None:
        return "–"
    steps = (age.p50_steps, age.p95_steps, age.max_steps)
    return f"{' / '.join(map(str, steps))} ({' / '.join(f'{count * step_ns / 1e6:.3g}' for count in steps)})"
