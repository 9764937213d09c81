"""`rtbench list`, `describe` and `plugins`: what there is, what each part takes, which plugin is broken.

Listing imports no part; describing imports that part only, and no part imports torch or an environment when imported.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Annotated, Any

import typer

from rtbench import plugins as registry
from rtbench.cli import facts, output
from rtbench.cli.facts import HOOKS
from rtbench.errors import PluginError, SuiteError

LISTED = (*registry.KINDS, HOOKS)


def plural(kind: str) -> str:
    """'architecture', 'architectures' or 'default-policy' as the kind they mean; SuiteError otherwise."""
    given = kind.strip().lower().replace("-", "_").replace(" ", "_")
    for known in LISTED:
        if given in {known, registry.singular(known).replace(" ", "_")}:
            return known
    raise SuiteError(f"unknown kind {kind!r}", given=given, allowed=LISTED, hint="rtbench list")


# --- list


def list_parts(
    kind: Annotated[str | None, typer.Argument(help="One kind only, e.g. architectures.")] = None,
    json: output.JsonOption = False,
) -> None:
    """List every part by kind, and where each comes from."""
    kinds = [plural(kind)] if kind else list(LISTED)
    data = {one: _registered(one) for one in kinds}

    def render() -> None:
        rows = [
            [one, part["name"], f"{part['distribution']} {part['version']}", _remark(part)]
            for one, parts in data.items()
            for part in parts
        ]
        output.table(["kind", "name", "from", ""], rows)

    output.emit(data, json=json, render=render)


def _registered(kind: str) -> list[dict[str, Any]]:
    if kind == HOOKS:
        import rtbench

        return [
            {
                "name": name,
                "distribution": "rtbench",
                "version": rtbench.__version__,
                "third_party": False,
                "problem": "",
            }
            for name in facts.hook_specs()
        ]
    return [
        {
            "name": found.name,
            "distribution": found.distribution,
            "version": found.version,
            "third_party": found.third_party,
            "problem": found.problem,
        }
        for found in registry.entries(kind).values()
    ]


def _remark(part: dict[str, Any]) -> str:
    if part["problem"]:
        return f"ERROR: {part['problem']}"
    return "third party" if part["third_party"] else ""


# --- describe


def describe(
    kind: Annotated[str, typer.Argument(help="A kind as `rtbench list` shows it, singular or plural.")],
    name: Annotated[str, typer.Argument(help="A name as `rtbench list` shows it.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Of an architecture: a parameter as key=value; may be repeated.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Of an architecture: time per layer, in steps; shows its layers and ages.")
    ] = None,
    json: output.JsonOption = False,
) -> None:
    """Say what one part is and what it takes.

    Its parameters with types, defaults and units, its revision, its distribution and what must be installed; for a
    suite its budget and axes, for a hook its signature.
    """
    known = plural(kind)
    data = facts.hook(name) if known == HOOKS else facts.registered(known, name)
    if delta is not None or settings:
        if known != "architectures":
            raise SuiteError("--delta and --set are for architectures", place=f"rtbench describe {kind} {name}")
        data["graph"] = facts.graph(name, output.given_parameters({}, settings or []), 1.0 if delta is None else delta)
    output.emit(data, json=json, render=lambda: _render(data))


def _render(data: dict[str, Any]) -> None:
    output.line(f"{registry.singular(data['kind'])} {data['name']}")
    if data.get("doc"):
        output.line(f"\n{data['doc']}")
    output.line()
    if "distribution" in data:
        stranger = ", third party" if data["third_party"] else ""
        output.line(f"from: {data['distribution']} {data['version']} ({data['target']}{stranger})")
    for key in (
        "revision",
        "title",
        "source",
        "file",
        "seeds",
        "product",
        "cells",
        "excludes",
        "published",
        "signature",
    ):
        if data.get(key) not in (None, ""):
            output.line(f"{key}: {data[key]}")
    for key in ("register", "help"):
        if data.get(key):
            output.line(f"{key}: {data[key]}")
    _render_requirements(data)
    for key in ("axes", "budget"):
        if data.get(key):
            output.line(f"\n{key}")
            output.table(["name", "value"], [[name, _shown(value)] for name, value in data[key].items()])
    for name, budget in data.get("profiles", {}).items():
        output.line(f"\nprofile {name}: " + ", ".join(f"{key} = {_shown(value)}" for key, value in budget.items()))
    if "parameters" in data:
        _render_parameters(data["parameters"])
    if "graph" in data:
        _render_graph(data["graph"])


def _render_graph(graph: dict[str, Any]) -> None:
    """Layers with their lags, then how old the action's observations are."""
    output.line(f"\npipelined, delta = {graph['delta']:g} (17 observations, 6 actions)")
    layers = [[found["layer"], found["op"], found["width"], ", ".join(found["reads"])] for found in graph["layers"]]
    output.table(["layer", "op", "width", "reads"], layers)
    ages = graph["observation_ages_steps"]
    paths = ", ".join(f"{path['age_ticks']} ({path['layers']} layers)" for path in graph["paths"])
    output.line(f"the action rests on observations {ages['newest']} to {ages['oldest']} steps old; ticks: {paths}")
    output.line(f"{graph['parameters']:,} parameters, {graph['flops']:,} FLOPs for an action")
    for violation in graph["violations"]:
        output.line(f"breaks L(s, a) ≤ ⌊k/δ⌋: {violation}")


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
            "(required)" if each["required"] else _shown(each["default"]),
            each["unit"],
            each["doc"],
        ]
        for each in parameters
    ]
    output.table(["parameter", "type", "default", "unit", "meaning"], rows)


def _shown(value: Any) -> str:
    """A value as a suite file would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_shown(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return f"({len(value)} entries)"
    return f"{value:_}" if isinstance(value, int) else str(value)


# --- plugins

plugins = typer.Typer(help="Load every plugin and name the broken ones.", no_args_is_help=True)


@plugins.command("list")
def plugins_list(json: output.JsonOption = False) -> None:
    """Every distribution with its parts, each loaded once; exit code 3 if any is broken."""
    _report(_inspected(None), json)


@plugins.command("check")
def plugins_check(
    distribution: Annotated[str | None, typer.Argument(metavar="[DIST]", help="One distribution only.")] = None,
    json: output.JsonOption = False,
) -> None:
    """The same for one distribution."""
    _report(_inspected(distribution), json)


def _inspected(only: str | None) -> list[dict[str, Any]]:
    """Distributions with their parts, each loaded behind a guard: one that breaks stops none of the others."""
    found = [each for kind in (*registry.KINDS, registry.HOOK_GROUP) for each in registry.registrations(kind)]
    names = sorted({each.distribution for each in found})
    wanted = only.lower().replace("_", "-").replace(".", "-") if only else None
    if wanted is not None and wanted not in names:
        raise PluginError(f"no distribution {only!r} brings any part", given=wanted, allowed=names)
    by_distribution: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for each in found:
        if wanted in (None, each.distribution):
            by_distribution[each.distribution, each.version].append(_loaded(each))
    core_first = sorted(by_distribution.items(), key=lambda item: (item[0][0] != registry.CORE, item[0]))
    return [
        {"distribution": name, "version": version, "third_party": name != registry.CORE, "parts": parts}
        for (name, version), parts in core_first
    ]


def _loaded(found: registry.Entry) -> dict[str, Any]:
    data = {
        "kind": HOOKS if found.kind == registry.HOOK_GROUP else found.kind,
        "name": found.name,
        "target": found.target,
    }
    try:
        registry.verify(found)
    except PluginError as error:
        detail = error.detail if isinstance(error, registry.BrokenPlugin) else ""
        return data | {"status": "broken", "error": error.message, "hint": error.hint, "traceback": detail}
    return data | {"status": "ok", "error": "", "hint": "", "traceback": ""}


def _report(distributions: list[dict[str, Any]], json: bool) -> None:
    broken = [part for one in distributions for part in one["parts"] if part["status"] == "broken"]

    def render() -> None:
        switched_off = os.environ.get(registry.DISABLE_VARIABLE, "")
        if switched_off:
            output.line(f"switched off: {registry.DISABLE_VARIABLE}={switched_off}")
        rows = [
            [
                f"{one['distribution']} {one['version']}",
                part["kind"],
                part["name"],
                part["status"].replace("broken", "BROKEN"),
            ]
            for one in distributions
            for part in one["parts"]
        ]
        output.table(["distribution", "kind", "name", "status"], rows)
        for part in broken:
            output.line(f"\n{part['error']}")
            for text in _traceback_lines(part["traceback"]):
                output.line(f"    {text}")
            output.line(f"  next: {part['hint']}")

    output.emit(distributions, json=json, render=render)
    if broken:
        raise typer.Exit(PluginError.exit_code)


def _traceback_lines(detail: str) -> list[str]:
    """The last lines of a plugin's traceback without Python's own frames, all of them with --debug."""
    lines = detail.rstrip().splitlines()
    return lines if output.debugging() else [text for text in lines if "<frozen importlib" not in text][-4:]
