"""`rtbench plugins new`: a complete distribution with one part that works, from the templates beside this module."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rtbench
from rtbench import files, plugins
from rtbench.cli.facts import HOOKS
from rtbench.errors import SuiteError

TEMPLATES = Path(__file__).with_name("plugin_templates")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*")
_COMMON = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "tox.ini": "tox.ini",
    "LICENSE": "LICENSE",
    "gitignore": ".gitignore",
    "workflow.yml": ".github/workflows/tests.yml",
    "init.py": "src/{package}/__init__.py",
    "conformance.py": "src/{package}/conformance.py",
    "test_conformance.py": "tests/test_conformance.py",
}
_OWN = {"part.py": "src/{package}/{module}.py", "test_part.py": "tests/test_{module}.py"}


@dataclass(frozen=True)
class Kind:
    """What is particular about a distribution of one kind: its title, what to try it with, further files.

    `target` is what in the part's module is registered, `registered` how it is called; `attributes` is what its
    conformance class says beside the name.
    """

    title: str
    conformance: str
    try_it: str
    target: str = ":{Class}"
    registered: str = "{name}"
    attributes: str = ""
    more: dict[str, str] = field(default_factory=dict)


_DESCRIBED = "rtbench describe {singular} {name}"
KINDS: dict[str, Kind] = {
    "architectures": Kind("An architecture", "ArchitectureConformance", f"{_DESCRIBED} --delta 2"),
    "schedulers": Kind(
        "A scheduler",
        "SchedulerConformance",
        "rtbench simulate --latency 40ms --step 20ms --processes 1..4 --scheduler {name}",
    ),
    "environments": Kind(
        "An environment", "EnvironmentConformance", _DESCRIBED, more={"world.py": "src/{package}/world.py"}
    ),
    "learners": Kind("A learner", "LearnerConformance", _DESCRIBED, more={"program.py": "src/{package}/program.py"}),
    "backends": Kind(
        "A backend",
        "BackendConformance",
        "rtbench profile mlp --backend {name}",
        attributes="tolerance = 1e-2  # half precision keeps three digits",
    ),
    "executors": Kind("An executor", "ExecutorConformance", "rtbench run quickstart --executor {name}"),
    "suites": Kind(
        "A suite",
        "SuiteConformance",
        "rtbench run {name} --profile smoke",
        target=":locate",
        more={"suite.toml": "src/{package}/{part}.toml"},
    ),
    "default_policies": Kind("A default policy", "DefaultPolicyConformance", "rtbench describe default-policy {name}"),
    "commands": Kind(
        "A command", "CommandConformance", "rtbench {name} mlp --delta 2", ":{function}", "{namespace}-{part}"
    ),
    HOOKS: Kind("Lifecycle hooks", "HookConformance", "rtbench plugins list", "", "{namespace}-{part}"),
}


def write(kind: str, name: str, folder: Path) -> dict[str, Any]:
    """Write a distribution of one kind for `namespace/name` into a new folder; what was written, as plain data.

    SuiteError if the name is none, or the folder is there already.
    """
    words = _words(kind, name)
    root = folder / words["distribution"]
    if root.exists():
        raise SuiteError("there is something of that name already", place=str(root), hint="choose another with -o")
    for target, content in rendered(kind, words).items():
        files.write(root / target, content.encode(), kind="plugin")
    written = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {
        "kind": kind,
        "name": words["name"],
        "distribution": words["distribution"],
        "folder": str(root),
        "files": written,
    }


def rendered(kind: str, words: dict[str, str]) -> dict[str, str]:
    """The files of a distribution by path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATES)
    templates = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    places = {f"common/{source}": target for source, target in _COMMON.items()}
    places |= {f"{kind}/{source}": target for source, target in {**_OWN, **KINDS[kind].more}.items()}
    return {
        target.format(**words): templates.get_template(f"{source}.jinja").render(words)
        for source, target in places.items()
    }


def steps(written: dict[str, Any]) -> list[str]:
    """What was written, and what to type next."""
    root, distribution = written["folder"], written["distribution"]
    return [
        f"{root}: {len(written['files'])} files, {written['kind']} {written['name']}",
        "next:",
        f"  cd {root}",
        "  pip install -e '.[test]'",
        "  pytest",
        f"  rtbench plugins check {distribution}",
    ]


def _words(kind: str, name: str) -> dict[str, str]:
    """Everything that templates are filled with."""
    if not _NAME.fullmatch(name):
        raise SuiteError(
            f"not a name for a plugin: {name!r}",
            place="rtbench plugins new",
            given=name,
            hint="write namespace/name in small letters, digits and hyphens: yourname/wavefront",
        )
    namespace, _, part = name.partition("/")
    about = KINDS[kind]
    words = {
        "namespace": namespace,
        "part": part,
        "name": name,
        "distribution": f"{namespace}-{part}",
        "package": f"{namespace}_{part}".replace("-", "_"),
        "module": "suites" if kind == "suites" else part.replace("-", "_"),
        "function": part.replace("-", "_"),
        "Class": "".join(word.capitalize() for word in part.split("-")),
        "singular": plugins.singular(kind),
        "title": about.title,
        "group": plugins.HOOK_GROUP if kind == HOOKS else f"rtbench.{kind}",
        "conformance": about.conformance,
        "attributes": about.attributes,
        "rtbench_version": rtbench.__version__,
    }
    words["name"] = about.registered.format(**words)
    words["target"] = f"{words['package']}.{words['module']}{about.target.format(**words)}"
    words["try_it"] = about.try_it.format(**words)
    return words
