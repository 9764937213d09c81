"""`rtbench describe`: what one part, hook, command or suite is; an architecture's graph in numbers and drawings.

Describing imports the one part only, and no part imports torch or an environment when imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rtbench import plugins as registry
from rtbench.cli import facts, output
from rtbench.cli.facts import HOOKS, plural, shown
from rtbench.cli.results import RESULTS, STATE, ResultsOption, StateOption
from rtbench.cli.timelines import KINDS, describe_timeline
from rtbench.errors import SuiteError


def describe(
    kind: Annotated[str, typer.Argument(help="A kind as `rtbench list` shows it, singular or plural; or timeline.")],
    name: Annotated[
        str, typer.Argument(help="A name as `rtbench list` shows it; of a timeline a run's id, shortened.")
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Of an architecture: a parameter as key=value; may be repeated.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Of an architecture: time per layer, in steps; draws its layers against time.")
    ] = None,
    execution: Annotated[
        str | None, typer.Option(help="Of an architecture: pipelined (default), sequential or instant.")
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of an architecture or a timeline: write the drawing to this file."),
    ] = None,
    bibtex: Annotated[
        bool, typer.Option("--bibtex", help="Of a suite: entries of the suite and its papers, and nothing else.")
    ] = False,
    begin: Annotated[
        float | None, typer.Option("--from", metavar="S", help="Of a timeline: where the drawing begins, in seconds.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="Of a timeline: how much of it is drawn.")] = None,
    state: StateOption = STATE,
    results: ResultsOption = RESULTS,
    json: output.JsonOption = False,
) -> None:
    """Say what one part is and what it takes; of a run's timeline, who computed what when.

    Its parameters with types, defaults and units, its revision, its distribution and what must be installed; for a
    suite what it answers to, its profiles and axes, for a hook its signature.
    """
    if kind in KINDS:
        describe_timeline(name, begin or 0.0, seconds, svg, state, results, json=json)
        return
    known = plural(kind)
    if begin is not None or seconds is not None:
        raise SuiteError("--from and --seconds are for timelines", place=f"rtbench describe {kind} {name}")
    if bibtex:
        _bibtex(known, name, json)
        return
    data = facts.hook(name) if known == HOOKS else facts.registered(known, name)
    if settings or any(given is not None for given in (delta, execution, svg)):
        if known != "architectures":
            raise SuiteError(
                "--delta, --execution, --set and --svg are for architectures", place=f"rtbench describe {kind} {name}"
            )
        execution = execution or "pipelined"
        if execution == "instant" and delta:
            raise SuiteError("under instant no time passes: --delta must be 0 or left out", place="--delta")
        time = (0.0 if execution == "instant" else 1.0) if delta is None else delta
        data["graph"] = facts.graph(name, output.given_parameters({}, settings or []), execution, time, svg)
    output.emit(data, json=json, render=lambda: _render(data))
    if svg is not None:
        output.note(f"written: {svg}")


def _bibtex(kind: str, name: str, json: bool) -> None:
    import rtbench
    from rtbench.results.bibtex import bibtex
    from rtbench.suites.model import load_suite

    if kind != "suites":
        raise SuiteError("--bibtex is for suites", place=f"rtbench describe {kind} {name}")
    text = bibtex(load_suite(name), rtbench.__version__)
    data = {"schema_version": 1, "kind": kind, "name": name, "bibtex": text}
    output.emit(data, json=json, render=lambda: output.line(text.rstrip()))


def _render(data: dict[str, Any]) -> None:
    output.line(f"{registry.singular(data['kind'])} {data['name']}")
    if data.get("doc"):
        output.line(f"\n{data['doc']}")
    output.line()
    if "distribution" in data:
        stranger = ", third party" if data["third_party"] else ""
        output.line(f"from: {data['distribution']} {data['version']} ({data['target']}{stranger})")
    words = {"source": "answers to"}
    for key in ("revision", "title", "source", "file", "signature", "register", "help"):
        if data.get(key) not in (None, ""):
            output.line(f"{words.get(key, key)}: {data[key]}")
    _render_requirements(data)
    if data["kind"] == "suites":
        _render_suite(data)
    if "parameters" in data:
        _render_parameters(data["parameters"])
    if "graph" in data:
        _render_graph(data["graph"])


def _render_suite(data: dict[str, Any]) -> None:
    """Profiles with what they cost, axes, excludes, the published figures it is compared with."""
    if data["problem"]:
        output.line(f"cannot be expanded here: {data['problem']}")
        for name, budget in {"paper": data["budget"], **data["profiles"]}.items():
            output.line(f"profile {name}: " + ", ".join(f"{key} = {shown(value)}" for key, value in budget.items()))
    else:
        output.line()
        names = ("steps", "unit", "cells", "seeds", "runs", "eval_every", "eval_episodes", "final_eval_episodes")
        rows = [
            [name, *(shown(each.get(key, "")).strip('"') for key in names)] for name, each in data["profiles"].items()
        ]
        output.table(["profile", *names], rows)
    output.line()
    output.table(["axis", "", "values"], [[axis, len(named), "; ".join(named)] for axis, named in data["axes"].items()])
    if data["includes"]:
        output.line(f"with all cells of: {', '.join(data['includes'])}")
    output.line(f"product: {data['product']} cells; entries of [[cells]] beside it: {data['cells']}")
    for exclude in data["excludes"]:
        output.line(f"not run: {exclude.get('why')} ({shown(exclude.get('match'))})")
    if data["leaderboard"]:
        output.line(f"leaderboard: {shown(data['leaderboard'])}")
    _render_published(data["published"])


def _render_published(published: dict[str, Any]) -> None:
    if not published["table"]:
        output.line("\nno published figures")
        return
    output.line(f"\npublished: {published['table']}")
    for figures in published.get("figures", []):
        output.line(f"  {figures['count']} figures beside its cells: {figures['source']} ({figures['metric']})")
    for also in published.get("also", []):
        output.line(f"  {also['method']} also stands for: {'; '.join(also['stands_for'])}")
    for left in published.get("ignored", []):
        output.line(f"  {left['count']} left out: {left['why']} ({'; '.join(left['methods'])})")


def _render_graph(graph: dict[str, Any]) -> None:
    """Layers with their lags, how old the action's observations are, the drawing."""
    observed = _sized(graph["observation"])
    output.line(
        f"\n{graph['execution']}, delta = {graph['delta']:g} ({observed} observations, {graph['actions']} actions)"
    )
    layers = [
        [found["layer"], found["op"], _sized(found["shape"] or [found["width"]]), ", ".join(found["reads"])]
        for found in graph["layers"]
    ]
    output.table(["layer", "op", "width", "reads"], layers)
    ages = graph["observation_ages_steps"]
    paths = ", ".join(f"{path['age_ticks']} ({path['layers']} layers)" for path in graph["paths"])
    output.line(f"the action rests on observations {ages['newest']} to {ages['oldest']} steps old; ticks: {paths}")
    output.line(f"{graph['parameters']:,} parameters, {graph['flops']:,} FLOPs for an action")
    for violation in graph["violations"]:
        output.line(f"breaks L(s, a) ≤ ⌊k/δ⌋: {violation}")
    output.line()
    for text in graph["text"]:
        output.line(text)


def _sized(shape: Sequence[int]) -> str:
    return "×".join(str(length) for length in shape)


def _render_requirements(data: dict[str, Any]) -> None:
    for need in data.get("requires", []):
        if isinstance(need, str):
            output.line(f"needs: {need}")
        elif need["installed"]:
            output.line(f"needs: {need['module']} (installed)")
        else:
            output.line(f"needs: {need['module']} (not installed: pip install '{data['extra'] or need['module']}')")


def _render_parameters(parameters: list[dict[str, Any]]) -> None:
    output.line()
    if not parameters:
        output.line("no parameters")
        return
    rows = [
        [
            each["name"],
            each["type"],
            "(required)" if each["required"] else shown(each["default"]),
            each["unit"],
            each["doc"],
        ]
        for each in parameters
    ]
    output.table(["parameter", "type", "default", "unit", "meaning"], rows)
