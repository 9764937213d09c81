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
    given = {"suite": suite.name, "cells": [cell.cell for cell in cells]}
    answers, failed = plugins.call_each(manager.hook.rtbench_modify_cells, given)
    added: list[Cell] = [cell for answer in answers for cell in answer]
    problems = [*(problem.message for problem in broken), *failed]
    return (expand(suite, added=added) if added else cells), problems
