"""What can be said of a part, a hook, a command or an architecture's graph without running anything: plain data."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rtbench import plugins as registry
from rtbench.cli import suite_facts
from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from rtbench.graph import LayerGraph

HOOKS = "hooks"
LISTED = (*registry.KINDS, HOOKS)


def plural(kind: str) -> str:
    """'architecture', 'architectures' or 'default-policy' as the kind they mean; SuiteError otherwise."""
    given = kind.strip().lower().replace("-", "_").replace(" ", "_")
    for known in LISTED:
        if given in {known, registry.singular(known).replace(" ", "_")}:
            return known
    raise SuiteError(f"unknown kind {kind!r}", given=given, allowed=LISTED, hint="rtbench list")


def registered(kind: str, name: str) -> dict[str, Any]:
    """Everything about one registered name; SuiteError with the nearest name if there is none."""
    found = _entry(kind, name)
    about = {
        "kind": kind,
        "name": found.name,
        "distribution": found.distribution,
        "version": found.version,
        "third_party": found.third_party,
        "target": found.target,
    }
    if kind == "suites":
        return about | suite_facts.suite(found)
    if kind == "commands":
        return about | {"doc": _doc_of_command(found.load()), "help": f"rtbench {name} --help"}
    return about | part(kind, name)


def _entry(kind: str, name: str) -> registry.Entry:
    if kind != "suites":
        return registry.entry(kind, name, place="rtbench describe")
    from rtbench.suites.model import suite_entry

    return suite_entry(name, place="rtbench describe")


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


def graph(name: str, settings: dict[str, Any], execution: str, delta: float, svg: Path | None = None) -> dict[str, Any]:
    """An architecture's graph under an execution: layers, what each reads and how old it is, the whole's ages.

    Sizes are the architecture's example; ages are of an action as it is first applied, in environment steps. With `svg`
    the drawing is written there, too. `drawing` is the picture as data, None if there is too much to draw; `text` its
    lines, or why there is none.
    """
    from rtbench import files
    from rtbench.drawing import picture as drawing
    from rtbench.drawing.svg import svg as svg_of
    from rtbench.drawing.text import text

    use = registry.use("architectures", name, settings, place="rtbench describe --set")
    part = registry.build(use)
    built = part.make(part.example)
    newest, oldest = drawing.ages_when_applied(built, execution, delta)
    rule = delta or 1
    try:
        drawn = drawing.picture(built, execution, delta)
        lines = text(drawn)
    except SuiteError as error:
        if svg is not None:
            raise
        drawn, lines = None, [f"no drawing: {error.message}"]
    if svg is not None and drawn is not None:
        files.write(svg, svg_of(drawn, _title(name, settings)).encode(), kind="drawing")
    return {
        "execution": execution,
        "delta": delta,
        "observation": part.example.observation_shape or (part.example.observation_size,),
        "actions": part.example.action_size,
        "settings": dict(use.params),
        "layers": _layers(built, execution, rule),
        "observation_ages_steps": {"newest": newest, "oldest": oldest},
        "paths": [{"age_ticks": age, "layers": passed} for age, passed in sorted(built.ages(execution, rule))],
        "violations": built.violations(delta) if execution == "pipelined" else [],
        "parameters": built.parameter_count(),
        "flops": built.flops(),
        "drawing": dataclasses.asdict(drawn) if drawn else None,
        "text": lines,
        "svg": str(svg) if svg else "",
    }


def _layers(built: LayerGraph, execution: str, delta: float) -> list[dict[str, Any]]:
    lags = built.lags(execution, delta)
    return [
        {
            "layer": layer.name,
            "op": layer.op,
            "width": layer.width,
            "shape": layer.shape,
            "reads": [f"{read.source} {lags.edges[layer.name, i]} ticks ago" for i, read in enumerate(layer.reads)],
        }
        for layer in built.layers
    ]


def _title(name: str, settings: dict[str, Any]) -> str:
    return ", ".join([name, *(f"{key} = {shown(value)}" for key, value in settings.items())])


def shown(value: Any) -> str:
    """A value as a suite file would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {shown(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return f"({len(value)} entries)"
    return f"{value:_}" if isinstance(value, int) else str(value)
