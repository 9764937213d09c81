"""Rows of the tiny suite's cells, and lines of the leaderboards they make."""

from __future__ import annotations

from typing import Any

from helpers.samples import hand_row

from rtbench.results.leaderboard import Leaderboard
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.model import Suite, load_suite


def board_cell(suite: Suite, method: str, delta: float, environment: str = "A-v0", profile: str = "paper") -> SuiteCell:
    cells = expand(load_suite(str(suite.path), profile), support=False)
    return next(
        cell
        for cell in cells
        if (cell.method, cell.cell.interaction.delta, cell.environment) == (method, delta, environment)
    )


def board_rows(cell: SuiteCell, *values: float, first: int = 0) -> list[dict[str, Any]]:
    return [hand_row(cell.cell, seed, eval_return_final=value) for seed, value in enumerate(values, start=first)]


def board_line(board: Leaderboard, method: str, delta: float, environment: str = "A-v0") -> dict[str, Any]:
    lines = [
        line
        for line in board.lines
        if (line["architecture"], line["interaction.delta"], line["environment.id"]) == (method, delta, environment)
    ]
    assert len(lines) == 1
    return dict(lines[0])


def complete_rows(suite: Suite) -> list[dict[str, Any]]:
    return [
        *board_rows(board_cell(suite, "base", 0.0), 90.0, 100.0, 110.0),
        *board_rows(board_cell(suite, "net", 1.0), 40.0, 50.0, 66.0),
    ]
