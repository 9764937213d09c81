"""What can be said of a part, a hook, a command or a suite without running anything: plain JSON data."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import math
import tomllib
from pathlib import Path
from typing import Any

import typer

from rtbench import plugins as registry
from rtbench.errors import PluginError, SuiteError

HOOKS = "hooks"


def registered(kind: str, name: str) -> dict[str, Any]:
    """Everything about one registered name; SuiteError with the nearest name if there is none."""
    found = registry.entry(kind, name, place="rtbench describe")
    about = {
        "kind": kind,
        "name": name,
        "distribution": found.distribution,
        "version": found.version,
        "third_party": found.third_party,
        "target": found.target,
    }
    if kind == "suites":
        return about | suite(found)
    if kind == "commands":
        return about | {"doc": _doc_of_command(found.load()), "help": f"rtbench {name} --help"}
    return about | part(kind, name)


def part(kind: str, name: str) -> dict[str, Any]:
    """A part's own words, its revision, its parameters and what it needs."""
    found = registry.part_class(kind, name, place="rtbench describe")
    return {
        "doc": inspect.getdoc(found) or "",
        "revision": found.revision,
        "parameters": [_parameter(field) for field in dataclasses.fields(found.Params)],
        "requires": [
            {"module": module, "installed": importlib.util.find_spec(module) is not None} for module in found.requires
        ],
        "extra": found.extra,
        "usable": registry.missing_requirement(found) is None,
    }


def _parameter(field: dataclasses.Field[Any]) -> dict[str, Any]:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    default = None
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return {
        "name": field.name,
        "type": field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type)),
        "default": default,
        "required": required,
        "unit": field.metadata.get("unit", ""),
        "doc": field.metadata.get("doc", ""),
    }


def hook_specs() -> dict[str, Any]:
    """The hooks by name, in the order in which a run meets them."""
    from rtbench import hookspecs

    return {name: spec for name, spec in vars(hookspecs).items() if name.startswith("rtbench_")}


def hook(name: str) -> dict[str, Any]:
    """A hook's signature and documentation; SuiteError with the nearest name if there is none."""
    specs = hook_specs()
    if name not in specs:
        raise SuiteError(f"unknown hook {name!r}", given=name, allowed=list(specs), hint="rtbench list hooks")
    return {
        "kind": HOOKS,
        "name": name,
        "signature": f"{name}{inspect.signature(specs[name])}".replace("'", ""),
        "doc": inspect.getdoc(specs[name]) or "",
        "register": f'[project.entry-points."{registry.HOOK_GROUP}"]',
    }


def _doc_of_command(loaded: Any) -> str:
    if isinstance(loaded, typer.Typer):
        return str(loaded.info.help or "")
    return inspect.getdoc(loaded) or ""


def suite(found: registry.Entry) -> dict[str, Any]:
    """What a suite's file says of itself, read as TOML and not expanded: `product` counts cells before excludes."""
    locate = found.load()
    if not callable(locate):
        raise PluginError(
            f"suite {found.name!r} of {found.distribution} is {locate!r}, not a function from its name to its file",
            place=found.target,
        )
    path = Path(locate(found.name))
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SuiteError(f"suite {found.name!r} cannot be read: {error}", place=str(path)) from None
    head = _table(document, "suite")
    axes = {axis: len(values) if isinstance(values, list) else 1 for axis, values in _table(document, "axes").items()}
    return {
        "title": str(head.get("title", "")),
        "source": str(head.get("source", "")),
        "revision": head.get("revision"),
        "requires": [str(each) for each in head.get("requires", [])],
        "file": path.name,
        "budget": _table(document, "budget"),
        "profiles": _table(document, "profiles"),
        "seeds": _table(document, "seeds").get("count"),
        "axes": axes,
        "product": math.prod(axes.values()) if axes else 0,
        "cells": len(document.get("cells", [])),
        "excludes": len(document.get("exclude", [])),
        "published": _table(document, "published").get("table", ""),
    }


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    return value if isinstance(value, dict) else {}


EXAMPLE_SIZES = (17, 6)
"""Observation and action of HalfCheetah, for numbers that need some."""


def graph(name: str, settings: dict[str, Any], delta: float) -> dict[str, Any]:
    """An architecture's graph when pipelined at `delta`: layers, what each reads and how old it is, the whole's ages.

    Sizes are HalfCheetah's (17 observations, 6 actions); ages are of the applied action, in environment steps at ticks
    of max(1, δ) steps.
    """
    from math import ceil, isfinite

    from rtbench.parts import PolicyShape

    if not (isfinite(delta) and delta > 0):
        raise SuiteError(f"delta must be positive, got {delta}", place="--delta")
    observations, actions = EXAMPLE_SIZES
    use = registry.use("architectures", name, settings, place="rtbench describe --set")
    built = registry.build(use).make(PolicyShape(observations, actions, 2 * actions))
    lags = built.lags("pipelined", delta)
    layers = []
    for layer in built.layers:
        reads = [f"{read.source} {lags.edges[layer.name, i]} ticks ago" for i, read in enumerate(layer.reads)]
        layers.append({"layer": layer.name, "op": layer.op, "width": layer.width, "reads": reads})
    ages = sorted(built.ages("pipelined", delta))
    tick = max(1.0, delta)
    return {
        "delta": delta,
        "settings": dict(use.params),
        "layers": layers,
        "observation_ages_steps": {"newest": ceil(ages[0][0] * tick), "oldest": ceil(ages[-1][0] * tick)},
        "paths": [{"age_ticks": age, "layers": passed} for age, passed in ages],
        "violations": built.violations(delta),
        "parameters": built.parameter_count(),
        "flops": built.flops(),
    }
