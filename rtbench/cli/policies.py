"""`rtbench probe`: what each path to the action is worth; finding trained policies, and running them otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rtbench.cli.output import JsonOption, emit, line, table
from rtbench.cli.results import STATE, StateOption
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.cell import Interaction
    from rtbench.graph import LayerGraph
    from rtbench.learners.policy import Policy, PolicyScores
    from rtbench.results.places import State

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The first letters of a run's id, at least six, or an .npz of its policy.")
]
Way = Literal["instant", "sequential", "pipelined"]
WayOption = Annotated[Way | None, typer.Option("--execution", help="Another execution than it was trained under.")]
DeltaOption = Annotated[float | None, typer.Option(help="Another δ, environment steps per layer; 0 is instant.")]
LatencyOption = Annotated[str | None, typer.Option(help="An inference time instead of δ: 40ms, lognormal:40ms:0.1.")]
SHORTEST_PREFIX = 6
_SHOWN = 8


def probe(
    run: RunArgument,
    cut: Annotated[
        list[str] | None,
        typer.Option("--cut", metavar="A->B", help="An edge to cut, e.g. 'obs->policy'; default: each to the head."),
    ] = None,
    episodes: Annotated[int, typer.Option(help="Episodes of each evaluation; all begin alike.", min=1)] = 10,
    execution: WayOption = None,
    delta: DeltaOption = None,
    latency: LatencyOption = None,
    state: StateOption = STATE,
    json: JsonOption = False,
) -> None:
    """What each path to the action is worth: a trained policy evaluated whole and with edges cut."""
    from rtbench.learners.cuts import cut as without
    from rtbench.learners.cuts import cuttable
    from rtbench.learners.policy import evaluate as play

    policy = find_policy(run, state)
    interaction = changed(policy.cell.interaction, execution, delta, latency)
    graph = _graph(policy)
    parts: list[Any] = [without(graph, policy.parameters, edge) for edge in cut or ()]  # mistakes before any work
    edges = cut or cuttable(graph, graph.head.name)
    parts = parts or [without(graph, policy.parameters, edge) for edge in edges]
    found = [play(policy, episodes, interaction, parameters=one) for one in (None, *parts)]
    rows = [{"cut": name, **one.data()} for name, one in zip((None, *edges), found, strict=True)]
    data = {"schema_version": 1, **about(policy, interaction), "episodes": episodes, "rows": rows}

    def render() -> None:
        line(title(policy, interaction))
        cells = [
            [name or "(whole)", spread(one), f"{one.mean - found[0].mean:+.4g}" if name else "", length(one)]
            for name, one in zip(("", *edges), found, strict=True)
        ]
        table(["cut", f"return, mean ± SD of {episodes}", "difference", "steps"], cells)

    emit(data, json=json, render=render)


# ---- finding a policy ------------------------------------------------------------------------------------------------


def find_policy(run: str, state: State) -> Policy:
    """A policy by the first letters of its run's id, or from its file; SuiteError naming what there is."""
    from rtbench.learners.policy import SUFFIX, Policy

    return Policy.read(Path(run) if run.endswith(SUFFIX) else policy_path(run, state))


def policy_path(run: str, state: State) -> Path:
    """Where a run's policy lies, a copy of one in a bucket; SuiteError if none or several begin with these letters."""
    from rtbench.files import write
    from rtbench.learners.policy import POLICIES, SUFFIX
    from rtbench.results.places import local_folder, open_store

    store = open_store(state)
    keys = store.list(f"{POLICIES}/")
    known = {key.removeprefix(f"{POLICIES}/").removesuffix(SUFFIX): key for key in keys if key.endswith(SUFFIX)}
    fitting = sorted(name for name in known if name.startswith(run.lower()))
    if len(run) < SHORTEST_PREFIX:
        raise SuiteError(
            f"{run!r} is too short for the id of a run",
            place="RUN",
            allowed=[name[:12] for name in fitting[:_SHOWN]],
            hint=f"at least {SHORTEST_PREFIX} letters; rtbench plan SUITE --runs --json names them",
        )
    if not fitting:
        raise SuiteError(
            f"no trained policy of a run {run!r} is in {state}",
            place="RUN",
            given=run[:12],
            allowed=[name[:12] for name in sorted(known)[:_SHOWN]],
            hint="`rtbench run SUITE` keeps the policy of every run that ends well; --state names another folder",
        )
    if len(fitting) > 1:
        raise SuiteError(
            f"{len(fitting)} runs begin with {run!r}",
            place="RUN",
            allowed=[name[: max(12, len(run) + 4)] for name in fitting[:_SHOWN]],
            hint="give more letters",
        )
    key = known[fitting[0]]
    if isinstance(state, Path):
        return state / key
    copy = local_folder(state) / key
    write(copy, store.read(key), kind=POLICIES)
    return copy


# ---- another interaction ---------------------------------------------------------------------------------------------


def changed(base: Interaction, execution: Way | None, delta: float | None, latency: str | None) -> Interaction | None:
    """The interaction with what the command line says otherwise; None if it says nothing."""
    from rtbench.interaction.latency import parse_latency

    if execution is None and delta is None and latency is None:
        return None
    way = execution or ("pipelined" if base.execution == "instant" else base.execution)
    if delta == 0 or way == "instant":
        return dataclasses.replace(
            base,
            execution="instant",
            delta=delta or 0.0,
            delta_cv=0.0,
            latency=parse_latency(latency, "--latency") if latency else None,
            processes=1,
            sensor_latency_s=0.0,
            actuator_latency_s=0.0,
        )
    if latency is not None:
        drawn = parse_latency(latency, "--latency")
        return dataclasses.replace(base, execution=way, delta=delta or 0.0, delta_cv=0.0, latency=drawn)
    if delta is not None:
        return dataclasses.replace(base, execution=way, delta=delta, latency=None)
    return dataclasses.replace(base, execution=way)


def _graph(policy: Policy) -> LayerGraph:
    from rtbench.plugins import build

    return policy.graph(build(policy.cell.environment).spec())


# ---- words -----------------------------------------------------------------------------------------------------------


def about(policy: Policy, interaction: Interaction | None) -> dict[str, Any]:
    """A policy and how it is run, as data."""
    cell = policy.cell
    return {
        "run_id": policy.run_id,
        "seed": policy.seed,
        "environment": cell.environment.data(),
        "architecture": cell.architecture.data(),
        "interaction": (interaction or cell.interaction).data(),
    }


def title(policy: Policy, interaction: Interaction | None) -> str:
    """A policy and how it is run, in one line."""
    return f"{heading(policy, interaction)} · {policy.cell.architecture.title} · seed {policy.seed}"


def heading(policy: Policy, interaction: Interaction | None) -> str:
    """Where a policy acts and how it is run, in a few words."""
    cell, run = policy.cell, interaction or policy.cell.interaction
    speed = f" δ {run.delta:g}" if run.delta else ""
    world = cell.environment.params.get("id") or cell.environment.title
    return f"{world} · {run.execution}{speed}"


def spread(one: PolicyScores) -> str:
    """Mean ± standard deviation of the returns."""
    return f"{one.mean:.4g}" + (f" ± {one.sd:.4g}" if one.sd is not None else "")


def length(one: PolicyScores) -> str:
    """Mean length of the episodes, environment steps."""
    return f"{sum(one.lengths_steps) / len(one.lengths_steps):.4g}"
