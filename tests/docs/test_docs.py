"""The pages that are written from the code say what the code says, and leave nothing public undocumented."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rtbench import hookspecs, parts, plugins, testing
from rtbench.cli import plugin_new

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "plugins" / "rtbench-example"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader  # noqa: PT018 - one fact
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["reference.md", "plugins.md"])
def test_page_is_what_the_code_gives(generate: ModuleType, name: str) -> None:
    """If this fails: python docs/generate.py."""
    assert generate.PAGES[name]() == (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_hook_and_interface_is_in_the_reference(generate: ModuleType) -> None:
    page = generate.reference()
    kinds = [
        f"rtbench.parts.{name}" for name, found in vars(parts).items() if getattr(found, "kind", "") in plugins.KINDS
    ]
    assert len(kinds) == len(plugins.KINDS) - 2  # suites and commands are no classes
    classes = [f"rtbench.testing.{name}" for name in testing.__all__ if name.endswith("Conformance")]
    hooks = [name for name in vars(hookspecs) if name.startswith("rtbench_")]
    for wanted in (*kinds, *classes, *hooks):
        assert f"### `{wanted}" in page, wanted


def test_what_is_undocumented_is_named(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.Environment.spec, "__doc__", None)
    monkeypatch.setattr(hookspecs.rtbench_metrics, "__doc__", None)
    with pytest.raises(generate.Undocumented, match=r"rtbench_metrics, rtbench\.parts\.Environment\.spec"):
        generate.reference()


def test_the_tutorial_shows_whole_files(generate: ModuleType) -> None:
    page = generate.tutorial()
    shown = {found["path"] for found in generate.BLOCK.finditer(page)}
    ours = {
        path.relative_to(EXAMPLE).as_posix() for path in (EXAMPLE / "src").rglob("*") if path.suffix in (".py", ".toml")
    }
    assert ours - shown == {"src/rtbench_example/__init__.py"}
    broken = page.replace("revision = 1", "revision = 2")
    assert broken != page
    assert generate.BLOCK.sub("", broken) == generate.BLOCK.sub("", page)


@pytest.mark.parametrize(("kind", "part"), [("architectures", "wavefront"), ("schedulers", "turns")])
def test_the_example_is_what_new_writes(kind: str, part: str, tmp_path: Path) -> None:
    written = Path(plugin_new.write(kind, f"example/{part}", tmp_path)["folder"])
    for place in (f"src/{{}}/{part}.py", f"tests/test_{part}.py"):
        own = (written / place.format(f"example_{part}")).read_text(encoding="utf-8")
        example = (EXAMPLE / place.format("rtbench_example")).read_text(encoding="utf-8")
        assert own.replace(f"example_{part}", "rtbench_example") == example


def test_the_examples_parts_conform(distributions: Any) -> None:
    """As installed from its files; its entry points are those of its pyproject.toml."""
    import tomllib

    from rtbench.testing.discovery import own_classes
    from rtbench.testing.report import run

    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = (EXAMPLE / "src" / "rtbench_example").iterdir()
    points = {group: dict(named) for group, named in project["entry-points"].items()}
    distributions.add("rtbench-example", points)
    package = distributions.folder / "rtbench_example"
    package.mkdir()
    for path in sources:
        if path.is_file():
            (package / path.name).write_bytes(path.read_bytes())
    distributions.refresh()
    done = [run(found) for found in own_classes("rtbench-example")]
    assert len(done) == 4
    assert [check for each in done for check in each.failed] == []


def test_interfaces_are_where_the_reference_says(generate: ModuleType) -> None:
    for _, modules in generate.SECTIONS.values():
        for module, names in modules.items():
            found = importlib.import_module(module)
            assert all(inspect.isclass(getattr(found, name)) or callable(getattr(found, name)) for name in names)
