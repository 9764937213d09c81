"""The examples of CONTRIBUTING.md are real: the architecture and the suite are taken out of it and run."""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path

import pytest
from helpers.distribution import write_distribution

from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite

ROOT = Path(__file__).resolve().parents[1]


def block(first: str, last: str) -> str:
    """An indented block of CONTRIBUTING.md, from a line that begins with `first` up to the line before `last`."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    begin = text.index(f"    {first}")
    return textwrap.dedent(text[begin : text.index(last, begin)])


def test_the_tutorials_plugin_and_suite_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads(block("# pyproject.toml of your package", "That is all"))
    points = project["project"]["entry-points"]["rtbench.architectures"]
    listed = "\n".join(f"{name} = {target}" for name, target in points.items())
    source = block("# your_package/wavefront.py", "    # pyproject.toml of your package")
    site = write_distribution(
        tmp_path / "site",
        "yourname-wavefront",
        f"[rtbench.architectures]\n{listed}\n",
        {"your_package/wavefront.py": source},
    )
    monkeypatch.syspath_prepend(str(site))

    path = tmp_path / "mine.toml"
    path.write_text(block("schema_version = 1", "- `Params` is frozen"))
    cells = expand(load_suite(str(path)))
    assert len(cells) == 6
    assert {cell.unsupported for cell in cells} == {None}

    from rtbench import plugins
    from rtbench.parts import PolicyShape

    graph = plugins.build(plugins.use("architectures", "yourname/wavefront")).make(PolicyShape(4, 1, 2))
    assert graph.violations(2) == []
    assert {age for age, _ in graph.ages("pipelined", 2)} == {1, 2, 3}
