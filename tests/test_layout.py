"""The rules of the house that a machine can keep: layers, documentation, size, nothing registered by importing."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import rtbench
from rtbench import hookspecs, plugins

PACKAGE = Path(rtbench.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LARGEST_MODULE_LINES = 400
HEAVY = {"torch", "gymnasium", "mujoco", "pandas", "pyarrow", "scipy", "rich", "matplotlib"}


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_imports_point_one_way() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_layer_of_the_contract_exists() -> None:
    (contract,) = pyproject()["tool"]["importlinter"]["contracts"]
    modules = {module.strip() for layer in contract["layers"] for module in layer.split("|")}
    there = {f"rtbench.{path.stem}" for path in PACKAGE.glob("*.py")} | {
        f"rtbench.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")
    }
    assert modules <= there
    assert there - modules == {"rtbench.__init__"}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_module_has_a_docstring_and_a_readable_size(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)), "no module docstring"
    assert len(source.splitlines()) <= LARGEST_MODULE_LINES


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_public_classes_and_functions_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


def imported_on_import(tree: ast.Module) -> set[str]:
    """Top packages that importing the module imports: everything outside functions and TYPE_CHECKING blocks."""
    found: set[str] = set()
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef):
            pending.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
    return found


def test_imported_on_import_sees_what_it_should() -> None:
    source = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
        "try:\n    import pandas.core\nfinally:\n    pass\n"
        "class A:\n    import scipy\n    def f(self):\n        import rich\n"
    )
    assert imported_on_import(ast.parse(source)) == {"typing", "pandas", "scipy"}


ENTRY_MODULES = sorted(
    {
        found.target.split(":")[0]
        for kind in plugins.KINDS
        for found in plugins.registrations(kind)
        if found.distribution == plugins.CORE
    }
)


@pytest.mark.parametrize("module", ENTRY_MODULES)
def test_registered_modules_import_nothing_heavy(module: str) -> None:
    path = ROOT / (module.replace(".", "/") + ".py")
    assert imported_on_import(ast.parse(path.read_text(encoding="utf-8"))) & HEAVY == set()


def test_importing_all_registered_modules_stays_light() -> None:
    """What the parts' modules import in turn counts too; none registers anything with Gymnasium either."""
    code = (
        "import importlib, sys\n"
        f"for name in {ENTRY_MODULES!r}: importlib.import_module(name)\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


HOOKS = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("rtbench_")}


def test_there_are_hooks() -> None:
    contract = "configure fingerprint modify_cells run_started metrics columns run_finished report_section"
    assert set(HOOKS) == {f"rtbench_{name}" for name in contract.split()}


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_documented_and_typed(name: str) -> None:
    signature = inspect.signature(HOOKS[name])
    assert inspect.getdoc(HOOKS[name])
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(each.annotation is not inspect.Parameter.empty for each in signature.parameters.values())


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_called_somewhere(name: str) -> None:
    callers = [named(path) for path in MODULES if f"hook.{name}" in path.read_text(encoding="utf-8")]
    assert callers, f"{name} is specified but never called"


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines]
    return dict(pin.split("==") for pin in pins if pin)  # type: ignore[misc]


def test_every_dependency_is_pinned() -> None:
    project = pyproject()["project"]
    wanted = [*project["dependencies"], *pyproject()["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[^A-Za-z0-9._-]", each)[0].lower().replace("_", "-") for each in wanted} - {"rtbench"}
    pinned = {name.lower().replace("_", "-") for name in constraints()}
    assert names - pinned == set()


def test_pins_are_exact_and_without_a_machine() -> None:
    assert constraints()["torch"] == "2.13.0"
    for name, version in constraints().items():
        assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), f"{name}: {version}"


def test_continuous_integration_runs_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt tox && .venv/bin/tox"
    assert line in readme
    assert line in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_readme_names_every_command_and_kind() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for found in plugins.registrations("commands"):
        if not found.third_party:
            assert f"rtbench {found.name}" in readme, found.name


def test_versions_agree() -> None:
    assert pyproject()["project"]["version"] == rtbench.__version__
