"""`rtbench list` and `plugins`: what there is, where it comes from, which plugin is broken. Listing imports no part."""

from __future__ import annotations

import os
from collections import defaultdict
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
