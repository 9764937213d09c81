"""What can be said of a suite without running it: what it answers to, its profiles, axes and published figures."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench import plugins as registry
from rtbench.errors import PluginError, RtbenchError, SuiteError

if TYPE_CHECKING:
    from rtbench.suites.model import Suite


def suite(found: registry.Entry) -> dict[str, Any]:
    """A suite by its file, as TOML; what its profiles come to and what is published where the file is sound.

    `product` counts the cells of the axes before excludes. Where the suite cannot be expanded here, `problem` says why,
    the profiles are as written and `published` is without figures.
    """
    path = _file(found)
    document = _document(found.name, path)
    head = _table(document, "suite")
    axes = {axis: [_named(value) for value in _list(values)] for axis, values in _table(document, "axes").items()}
    about = {
        "title": str(head.get("title", "")),
        "source": str(head.get("source", "")),
        "revision": head.get("revision"),
        "requires": [str(each) for each in head.get("requires", [])],
        "includes": [str(each) for each in head.get("includes", [])],
        "file": path.name,
        "budget": _table(document, "budget"),
        "seeds": _table(document, "seeds").get("count"),
        "axes": axes,
        "product": math.prod(len(values) for values in axes.values()) if axes else 0,
        "cells": len(document.get("cells", [])),
        "excludes": document.get("exclude", []),
        "leaderboard": _table(document, "leaderboard"),
    }
    written = {
        "profiles": _table(document, "profiles"),
        "published": {"table": _table(document, "published").get("table", "")},
        "problem": "",
    }
    try:
        return about | written | _expanded(found.name)
    except RtbenchError as error:
        return about | written | {"problem": error.message}


def _file(found: registry.Entry) -> Path:
    locate = found.load()
    if not callable(locate):
        raise PluginError(
            f"suite {found.name!r} of {found.distribution} is {locate!r}, not a function from its name to its file",
            place=found.target,
        )
    return Path(locate(found.name))


def _document(name: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SuiteError(f"suite {name!r} cannot be read: {error}", place=str(path)) from None


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(value: Any) -> str:
    """An axis's value as a table would name it: its label, its id, its part; an interaction by what it says."""
    if not isinstance(value, dict):
        return str(value)
    if "execution" in value:
        rest = [f"{key} {_named(inner)}" for key, inner in value.items() if key not in ("execution", *_USUAL)]
        return ", ".join([str(value["execution"]), *rest])
    return str(value.get("label") or value.get("id") or value.get("use") or value)


_USUAL = ("default_policy", "scheduler", "clock")
"""Keys of an interaction that its name leaves out."""


def _expanded(name: str) -> dict[str, Any]:
    """Every profile as it would be planned, no matter what this machine supports; the published figures."""
    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    whole = load_suite(name)
    profiles: dict[str, Any] = {}
    for profile in whole.profiles:
        chosen = load_suite(name, profile)
        cells = [cell for cell in expand(chosen, support=False) if cell.excluded is None]
        profiles[profile] = (chosen.budget.data() if chosen.budget else {}) | {
            "wall_limit_s": chosen.wall_limit_s,
            "cells": len(cells),
            "seeds": len(chosen.seeds),
            "runs": sum(len(cell.seeds) for cell in cells),
        }
    return {"profiles": profiles, "published": _published(whole)}


def _published(whole: Suite) -> dict[str, Any]:
    """The table; figures that cells answer to, by source and metric; those that are left out, and why."""
    if whole.document.published is None:
        return {"table": ""}
    kept = Counter((row.source, row.metric) for row in whole.published)
    left = Counter((why, row.method) for row, why in whole.ignored)
    return {
        "table": whole.document.published.table,
        "figures": [{"source": source, "metric": metric, "count": n} for (source, metric), n in sorted(kept.items())],
        "also": [
            {
                "method": row.method,
                "stands_for": sorted({f"{method}, delta {delta}" for _, method, delta in row.others}),
            }
            for row in {row.method: row for row in whole.published if row.others}.values()
        ],
        "ignored": [
            {
                "why": why,
                "count": sum(n for (reason, _), n in left.items() if reason == why),
                "methods": sorted(method for reason, method in left if reason == why),
            }
            for why in dict.fromkeys(why for _, why in whole.ignored)
        ],
    }
