"""Plugins add cells; a plugin that fails is named and stops nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from helpers.samples import install_parts, write_suite

from rtbench import plugins
from rtbench.cell import Cell
from rtbench.hookspecs import hookimpl
from rtbench.suites.added import expand_with_plugins
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite


class Doubler:
    @hookimpl
    def rtbench_modify_cells(self, suite: str, cells: list[Cell]) -> list[Cell]:
        first = cells.pop()  # what a plugin does to its list changes nothing for others
        twice = dataclasses.replace(first.interaction, execution="pipelined", delta=8.0)
        return [first, dataclasses.replace(first, interaction=twice)]


class Broken:
    @hookimpl
    def rtbench_modify_cells(self, suite: str) -> list[Cell]:
        raise ValueError(f"no cells for {suite}")


def test_plugins_add_cells_and_failing_ones_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_parts(tmp_path / "site", monkeypatch)
    suite = load_suite(write_suite(tmp_path))
    original = plugins.hooks

    def hooks() -> Any:
        return original([("doubler", Doubler()), ("broken", Broken())])

    monkeypatch.setattr(plugins, "hooks", hooks)
    cells, problems = expand_with_plugins(suite)
    assert [cell.cell_id for cell in cells[:-1]] == [cell.cell_id for cell in expand(suite)]
    assert cells[-1].cell.interaction.delta == 8.0
    assert cells[-1].seeds == suite.seeds
    assert problems == ["plugin broken: rtbench_modify_cells failed: ValueError: no cells for tiny"]
