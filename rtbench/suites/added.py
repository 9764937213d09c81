"""Cells that plugins add to a suite through the hook `rtbench_modify_cells`."""

from __future__ import annotations

from rtbench import plugins
from rtbench.cell import Cell
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.model import Suite


def expand_with_plugins(suite: Suite) -> tuple[list[SuiteCell], list[str]]:
    """The suite's cells, then those that plugins add, and a line for each plugin whose hook failed.

    Plugins add and never remove: cells they return that are there already are passed over.
    """
    cells = expand(suite)
    manager, broken = plugins.hooks()
    problems = [problem.message for problem in broken]
    added: list[Cell] = []
    for implementation in sorted(
        manager.hook.rtbench_modify_cells.get_hookimpls(), key=lambda found: str(found.plugin_name)
    ):
        given = {"suite": suite.name, "cells": [cell.cell for cell in cells]}
        try:
            added += implementation.function(**{name: given[name] for name in implementation.argnames}) or []
        except Exception as error:  # a stranger's hook may raise anything; it is named, the suite runs on
            name = type(error).__name__
            problems.append(f"plugin {implementation.plugin_name} could not add its cells: {name}: {error}")
    return (expand(suite, added=added) if added else cells), problems
