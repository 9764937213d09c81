"""`rtbench evaluate`: what a trained policy, from anywhere, earns when its actions come late."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.output import JsonOption, emit, given_parameters, line, table
from rtbench.cli.policies import Way, length, policy_path, spread
from rtbench.cli.results import STATE, StateOption
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.cell import Cell, Interaction
    from rtbench.learners.policy import Policy, PolicyScores
    from rtbench.results.places import State

_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def evaluate(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="POLICY",
            help="A .zip of Stable-Baselines3, an .onnx model, python:package.module:function, an .npz of rtbench, "
            "or the first letters of a run's id.",
        ),
    ],
    environment: Annotated[
        str | None, typer.Option(metavar="NAME:KEY=VALUE,…", help="mujoco:id=HalfCheetah-v4; runs know theirs.")
    ] = None,
    delta: Annotated[str, typer.Option(help="δ of each line: 0..4, or 0,0.5,2; 0 is instant.")] = "0..4",
    latency: Annotated[
        list[str] | None, typer.Option(help="Inference times instead of δ: 40ms, lognormal:40ms:0.1; repeatable.")
    ] = None,
    execution: Annotated[
        Way | None, typer.Option(help="sequential, or for policies of rtbench pipelined (as trained by default).")
    ] = None,
    processes: Annotated[int, typer.Option(help="Inference processes; more than one are staggered.", min=1)] = 1,
    default_policy: Annotated[str, typer.Option(help="What acts when no new action is ready.")] = "repeat-last",
    actions: Annotated[
        str | None, typer.Option(help="Scale of an .onnx model's or a function's actions: unit.")
    ] = None,
    algorithm: Annotated[str | None, typer.Option(help="What wrote a zip, if it does not say.")] = None,
    episodes: Annotated[int, typer.Option(help="Episodes per line; all lines begin alike.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the episodes and of drawn latencies.")] = 0,
    state: StateOption = STATE,
    json: JsonOption = False,
) -> None:
    """What a trained policy, from anywhere, earns when its actions come late; nothing is trained or stored."""
    from rtbench.plugins import use

    where, trained = _policy_file(policy, state)
    given = given_parameters({"policy": where, "actions": actions, "algorithm": algorithm}, ())
    learner = use("learners", "frozen", given, place="rtbench evaluate")
    world = _environment(environment, trained)
    way = execution or (trained.cell.interaction.execution if trained else "sequential")
    way = "sequential" if way == "instant" else way
    times: list[Any] = list(latency) if latency else list(parse_deltas(delta))
    cells = [_cell(world, learner, _interaction(way, time, processes, default_policy), episodes) for time in times]
    for cell in cells:
        _check(cell)
    found = [_played(cell, seed) for cell in cells]
    rows = [
        {"delta": cell.interaction.delta, "latency": _latency(cell), "execution": cell.interaction.execution}
        | one.data()
        for cell, one in zip(cells, found, strict=True)
    ]
    data = {"schema_version": 1, "policy": where, "environment": world.data(), "episodes": episodes, "rows": rows}

    def render() -> None:
        name = f"run {trained.run_id[:12]}" if trained else Path(where).name
        line(f"{name} in {world.params.get('id') or world.title}, {default_policy} while waiting")
        head = ["latency" if latency else "delta", "execution", f"return, mean ± SD of {episodes}", "steps"]
        lines = [
            [time if latency else f"{time:g}", cell.interaction.execution, spread(one), length(one), *_ages(one)]
            for time, cell, one in zip(times, cells, found, strict=True)
        ]
        table([*head, "newest age p50 / p95 / max", "inaction"], lines)

    emit(data, json=json, render=render)


def _policy_file(text: str, state: State) -> tuple[str, Policy | None]:
    """A policy's file or function; of rtbench's own also the policy, which knows its environment."""
    from rtbench.contents import PYTHON
    from rtbench.learners.foreign import kind_of
    from rtbench.learners.policy import Policy

    where = text if text.startswith(PYTHON) or Path(text).suffix else str(policy_path(text, state))
    own = kind_of(where) == "rtbench" and Path(where).exists()
    return where, Policy.read(Path(where)) if own else None


def parse_deltas(text: str, place: str = "--delta") -> list[float]:
    """'0..4' or '0,0.5,2' as numbers in the order given; SuiteError for anything else."""
    found: list[float] = []
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        try:
            values = range(int(match.group(1)), int(match.group(2)) + 1) if match else [float(part)]
        except ValueError:
            values = []
        if not values:
            raise SuiteError(f"not a δ: {part!r}", place=place, allowed=("2", "0..4", "0,0.5,2"))
        found += [float(value) for value in values]
    return list(dict.fromkeys(found))


def _interaction(way: Way, time: float | str, processes: int, default_policy: str) -> Interaction:
    from rtbench.cell import Interaction
    from rtbench.interaction.latency import parse_latency
    from rtbench.plugins import use

    instant = time == 0.0
    return Interaction(
        use("schedulers", "one-process" if instant or processes == 1 else "staggered-max"),
        "instant" if instant else way,
        0.0 if isinstance(time, str) else time,
        use("default_policies", default_policy, place="--default-policy"),
        processes=1 if instant else processes,
        latency=parse_latency(time, "--latency") if isinstance(time, str) else None,
    )


def _environment(text: str | None, trained: Policy | None) -> Any:
    from rtbench.plugins import use

    if text is None:
        if trained is None:
            raise SuiteError(
                "in which environment?", place="--environment", hint="--environment mujoco:id=HalfCheetah-v4"
            )
        return trained.cell.environment
    name, _, settings = text.partition(":")
    given = given_parameters({}, [one for one in settings.split(",") if one])
    return use("environments", name, given, place="--environment")


def _cell(world: Any, learner: Any, interaction: Interaction, episodes: int) -> Cell:
    from rtbench.cell import Budget, Cell
    from rtbench.plugins import use

    budget = Budget(steps=1, eval_every=1, eval_episodes=0, final_eval_episodes=episodes)
    return Cell(world, use("architectures", "whole"), interaction, learner, use("backends", "numpy"), budget)


def _check(cell: Cell) -> None:
    """SuiteError with the first reason why this cell cannot be evaluated here."""
    from rtbench import plugins
    from rtbench.interaction.timing import contradiction

    reason = contradiction(cell.interaction)
    for part in cell.parts.values():
        found = plugins.part_class(part.kind, part.name)
        reason = reason or plugins.missing_requirement(found) or found.supports(cell)
    if reason:
        raise SuiteError(reason, place="rtbench evaluate")


def _played(cell: Cell, seed: int) -> PolicyScores:
    from rtbench.cell import RunBatch
    from rtbench.learners.policy import evaluated
    from rtbench.plugins import build

    (loop,) = build(cell.learner).make(RunBatch(cell, (seed,))).loops
    return evaluated(loop, cell.budget.final_eval_episodes)


def _latency(cell: Cell) -> Any:
    latency = cell.interaction.latency
    return latency.data() if latency else None


def _ages(one: PolicyScores) -> Sequence[str]:
    ages = [one.columns[f"observation_age_{name}_steps"] for name in ("p50", "p95", "max")]
    inaction = one.columns["inaction_share"]
    return [
        " / ".join("–" if age is None else str(age) for age in ages),
        "–" if inaction is None else f"{inaction:.1%}",
    ]
