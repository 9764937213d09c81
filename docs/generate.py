"""Writes docs/reference.md from docstrings, and the files of plugins/rtbench-example into docs/plugins.md.

python docs/generate.py            # write both
python docs/generate.py --check    # exit code 1 if one of them is not what it would be
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
EXAMPLE = DOCS.parent / "plugins" / "rtbench-example"
SECTIONS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "Parts": (
        "What a plugin registers: a class of one of these kinds, in the entry-point group `rtbench.` + kind.",
        {
            "rtbench.parts": [
                *("Part", "Environment", "EnvironmentSpec", "Architecture", "PolicyShape", "Scheduler", "Learner"),
                *("Backend", "DefaultPolicy", "Executor", "param", "PartUse"),
            ]
        },
    ),
    "What parts make": (
        "The objects that `make` answers with, and what they are told.",
        {
            "rtbench.graph": [
                "GraphBuilder",
                "LayerGraph",
                "ActingSpec",
                "Read",
                "Term",
                "Convolution",
                "Layer",
                "Lags",
                "Plan",
            ],
            "rtbench.schedulers.base": ["SchedulerState", "Steady"],
            "rtbench.backends.base": ["Acting", "Refreshable", "ActingMany"],
            "rtbench.learners.base": ["Program", "Outcome"],
            "rtbench.many": ["Many"],
            "rtbench.executors.jobs": ["Job"],
        },
    ),
    "What is run": (
        "Values that parts are asked about.",
        {"rtbench.cell": ["Cell", "Interaction", "Latency", "Budget", "RunBatch"]},
    ),
    "Errors": (
        "What a plugin raises where a user can mend something.",
        {"rtbench.errors": ["RtbenchError", "SuiteError", "PluginError"]},
    ),
    "From outside": (
        "For learners and control loops that are not plugins.",
        {
            "rtbench.gym": ["RealTime", "ActionHistory", "LayerParallelObservation", "Inaction"],
            "rtbench.realtime": ["run", "Recording", "PerProcess", "Learning"],
            "rtbench.results": ["to_pandas", "query"],
        },
    ),
    "Conformance": (
        "Classes to subclass in a plugin's tests; every check with what it promises.",
        {
            "rtbench.testing": [
                *("Conformance", "RegisteredConformance", "PartConformance"),
                *("EnvironmentConformance", "ArchitectureConformance"),
                *("SchedulerConformance", "LearnerConformance", "BackendConformance", "ExecutorConformance"),
                *("DefaultPolicyConformance", "SuiteConformance", "CommandConformance", "HookConformance"),
                "LatencyConformance",
            ]
        },
    ),
}


class Undocumented(Exception):
    """Something public has no docstring."""


def reference() -> str:
    """The page; Undocumented naming everything that lacks a docstring."""
    missing: list[str] = []
    lines = [
        "# Reference",
        "",
        "Written by `python docs/generate.py` from the docstrings; do not edit. `rtbench describe KIND NAME` shows a "
        "registered part, `rtbench schema row` every column of a row.",
        "",
        "## Hooks",
        "",
        "A module or object registered in the entry-point group `rtbench`, its functions marked with "
        "`rtbench.hookspecs.hookimpl`. A hook may ask for fewer arguments than are told.",
        "",
    ]
    for name, found in vars(importlib.import_module("rtbench.hookspecs")).items():
        if name.startswith("rtbench_"):
            lines += _entry(f"### `{name}{_signature(found)}`", found, name, missing)
    for title, (about, modules) in SECTIONS.items():
        lines += [f"## {title}", "", about, ""]
        for module, names in modules.items():
            for name in names:
                lines += _public(module, name, missing)
    if missing:
        raise Undocumented(f"no docstring: {', '.join(missing)}")
    return "\n".join(lines).rstrip() + "\n"


def _public(module: str, name: str, missing: list[str]) -> list[str]:
    found = getattr(importlib.import_module(module), name)
    label = f"{module}.{name}"
    if not inspect.isclass(found):
        return _entry(f"### `{label}{_signature(found)}`", found, label, missing)
    lines = _entry(f"### `{label}`", found, label, missing)
    for attribute, told, about in _attributes(found):
        lines.append(f"- `{attribute}{told}`" + (f": {about}" if about else ""))
    lines += [""] if lines[-1] else []
    for method, function in _methods(found):
        about = inspect.getdoc(function)
        if not about:
            missing.append(f"{label}.{method}")
            continue
        signature = "" if method.startswith("test_") else _signature(function)
        lines.append(f"- `{method}{signature}`: " + " ".join(about.split()))
    return [*lines, ""] if lines[-1] else lines


def _entry(heading: str, found: Any, label: str, missing: list[str]) -> list[str]:
    about = inspect.getdoc(found)
    if not about or (inspect.isclass(found) and not vars(found).get("__doc__")):
        missing.append(label)
    return [heading, "", about or "", ""]


def _methods(found: type[Any]) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class defines itself, in the order of its source."""
    for name, value in vars(found).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        function = getattr(function, "func", function) if type(function).__name__ == "cached_property" else function
        public = not name.startswith("_") and (inspect.isfunction(function) or isinstance(function, property))
        if public and getattr(function, "__module__", found.__module__) == found.__module__:
            yield name, function


def _attributes(found: type[Any]) -> Iterator[tuple[str, str, str]]:
    """(name, type and default, documentation) of the attributes a class declares in its own source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    assert isinstance(body, ast.ClassDef)
    for node, after in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.target.id[0] == "_":
            continue
        told = f": {ast.unparse(node.annotation)}" + (f" = {ast.unparse(node.value)}" if node.value else "")
        text = after.value if isinstance(after, ast.Expr) else None
        about = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
        yield node.target.id, told, " ".join(about.split())


def _signature(found: Any) -> str:
    """As its source has it, so that no version of Python and no address shows through; nothing for what has none."""
    if not inspect.isfunction(found):
        return ""
    node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(found)))).body[0]
    assert isinstance(node, ast.FunctionDef)
    return f"({ast.unparse(node.args)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


BLOCK = re.compile(
    r"(?P<head>\*\*`(?P<path>[^`]+)`\*\*\n\n```(?P<language>\w*)\n)(?P<content>.*?)(?P<tail>```\n)", re.S
)


def tutorial() -> str:
    """docs/plugins.md with every block under a file's name as the example has that file."""

    def filled(found: re.Match[str]) -> str:
        return found["head"] + (EXAMPLE / found["path"]).read_text(encoding="utf-8") + found["tail"]

    return BLOCK.sub(filled, (DOCS / "plugins.md").read_text(encoding="utf-8"))


PAGES = {"reference.md": reference, "plugins.md": tutorial}


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are stale."""
    stale = []
    for name, make in PAGES.items():
        path, content = DOCS / name, make()
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(content, encoding="utf-8")
    if stale:
        sys.stdout.write(f"{'stale' if '--check' in arguments else 'written'}: {', '.join(stale)}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
