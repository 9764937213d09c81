"""`rtbench list` and `plugins`: what there is, where it comes from, which is broken or breaks its contract.

Listing imports no part.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rtbench import plugins as registry
from rtbench.cli import facts, output
from rtbench.cli.facts import HOOKS, LISTED, plural
from rtbench.errors import PluginError

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


# --- plugins

plugins = typer.Typer(help="List every plugin, check one against its contract, begin a new one.", no_args_is_help=True)


@plugins.command("list")
def plugins_list(json: output.JsonOption = False) -> None:
    """Every distribution with its parts, each loaded once; exit code 3 if any is broken."""
    distributions = inspected(None)
    output.emit(distributions, json=json, render=lambda: _listed(distributions))
    if any(part["status"] == BROKEN for one in distributions for part in one["parts"]):
        raise typer.Exit(PluginError.exit_code)


@plugins.command("check")
def plugins_check(
    distribution: Annotated[str, typer.Argument(metavar="NAME", help="An installed distribution.")],
    part: Annotated[str | None, typer.Option(help="One of its parts only, e.g. architectures/acme/net.")] = None,
    json: output.JsonOption = False,
) -> None:
    """Run every conformance check of a distribution's parts; exit code 3 if a part is broken or a check fails."""
    from rtbench.cli.plugin_check import report, show, sound

    (loaded,) = inspected(distribution)
    found = report(loaded, part)
    output.emit(found, json=json, render=lambda: show(found))
    if not sound(found):
        raise typer.Exit(PluginError.exit_code)


@plugins.command("new")
def plugins_new(
    kind: Annotated[str, typer.Argument(help="What it brings: an architecture, a scheduler, a suite …")],
    name: Annotated[str, typer.Argument(help="What it is called: yourname/wavefront.")],
    folder: Annotated[Path, typer.Option("--output", "-o", help="Where its folder is made.")] = Path(),
    json: output.JsonOption = False,
) -> None:
    """Write a distribution with one part that works: code, conformance test, README, tox, workflow, licence."""
    from rtbench.cli.plugin_new import steps, write

    written = write(plural(kind), name, folder)
    output.emit(written, json=json, render=lambda: output.line("\n".join(steps(written))))


# --- loading

BROKEN = "broken"


def inspected(only: str | None) -> list[dict[str, Any]]:
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
        return data | {"status": BROKEN, "error": error.message, "hint": error.hint, "traceback": detail}
    return data | {"status": "ok", "error": "", "hint": "", "traceback": ""}


def _listed(distributions: list[dict[str, Any]]) -> None:
    switched_off = os.environ.get(registry.DISABLE_VARIABLE, "")
    if switched_off:
        output.line(f"switched off: {registry.DISABLE_VARIABLE}={switched_off}")
    rows = [
        [
            f"{one['distribution']} {one['version']}",
            part["kind"],
            part["name"],
            part["status"].replace(BROKEN, BROKEN.upper()),
        ]
        for one in distributions
        for part in one["parts"]
    ]
    output.table(["distribution", "kind", "name", "status"], rows)
    for part in (part for one in distributions for part in one["parts"]):
        show_broken(part)


def show_broken(part: dict[str, Any]) -> None:
    """Why a part cannot be loaded, if it cannot: the last lines of its traceback without Python's own frames."""
    if part["status"] != BROKEN:
        return
    output.line(f"\n{part['error']}")
    lines = part["traceback"].rstrip().splitlines()
    for text in lines if output.debugging() else [text for text in lines if "<frozen importlib" not in text][-4:]:
        output.line(f"    {text}")
    output.line(f"  next: {part['hint']}")
