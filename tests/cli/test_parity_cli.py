"""`rtbench parity`: what it writes and when; the runs themselves are tested in tests/realtime."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from helpers.dqn_cells import dqn_cell, whole

from rtbench.cell import Budget
from rtbench.cli import parity as command
from rtbench.cli.parity import Compared
from rtbench.realtime.parity import Comparison, compare

NAME = {
    **{"environment": "e", "method": "m", "scheduler": "staggered-max", "execution": "sequential"},
    **{"processes": 2, "epsilon": 0.0},
}


def compared(*apart: tuple[float, float]) -> Compared:
    """A cell with distances and noises."""
    names = ("interval", "age", "inaction")
    return Compared(
        NAME, tuple(Comparison(name, 2.0, 2.1, *each, 0.1) for name, each in zip(names, apart, strict=True)), 100, 5.0
    )


GOOD = compared((0.01, 0.0), (0.02, 0.0), (0.0, 0.0))
NOISY = compared((0.01, 0.0), (0.12, 0.15), (0.0, 0.0))
SHORT = compared((0.01, 0.0), (0.12, 0.45), (0.12, 0.15))
BAD = compared((0.5, 0.2), (0.12, 0.45), (0.0, 0.0))


@pytest.mark.parametrize(
    ("found", "verdict", "agrees"),
    [
        (GOOD, "agrees", True),
        (NOISY, "within noise", True),
        (SHORT, "undecided", False),
        (BAD, "differs", False),
        (Compared(NAME, why="nothing acted"), "nothing acted", False),
    ],
)
def test_a_cell_is_as_good_as_its_worst_quantity(found: Compared, verdict: str, agrees: bool) -> None:
    assert (found.verdict, found.agrees) == (verdict, agrees)


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *cells: Any) -> int:
    """The command, where cells come out like this; an exception is raised."""

    def outcome(cell: Any, *_: Any) -> Compared:
        if isinstance(cell, Compared):
            return cell
        raise cell

    monkeypatch.setattr("rtbench.suites.model.load_suite", lambda *_: SimpleNamespace(name="some/suite"))
    monkeypatch.setattr(command, "_chosen", lambda *_: cells)
    monkeypatch.setattr(command, "_compared", outcome)
    return command.parity(
        "suite", "paper", None, repetitions=20, tolerance_steps=0.1, tolerance_share=0.02, results=folder, json=True
    )


def test_what_was_compared_is_kept_when_the_rest_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, tmp_path, GOOD, Compared(NAME, why="no fork"), KeyboardInterrupt())
    rows = pq.read_table(tmp_path / "parity" / "some-suite.parquet").to_pylist()
    assert [row["verdict"] for row in rows] == ["agrees"] * 3 + [None]
    assert [row["why"] for row in rows] == [""] * 3 + ["no fork"]


def test_the_page_shows_distances_tolerances_and_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, tmp_path, GOOD, NOISY) == 0
    assert run(monkeypatch, tmp_path, GOOD, NOISY, SHORT, BAD) == 1
    page = (tmp_path / "parity" / "some-suite.md").read_text()
    assert "1 of 4 cells agree, 1 within noise" in page
    assert "| 2.000 / 2.100: 0.120 (0.1; 0.150) |" in page
    for verdict in ("| agrees |", "| within noise |", "| undecided, run longer |", "| DIFFERS |"):
        assert page.count(verdict) == 1
    assert "cannot find faults of a scheduler" in page


def test_a_cell_s_times_are_recorded_by_a_learner_that_only_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Genuine processes: the recording that a comparison is made from, of a cell whose learner could learn there."""
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", None)
    met = whole("staggered-slots", 0.03, processes=2)
    cell = command._on_wall(dqn_cell("dqn", met=met, budget=Budget(2, "episodes", 2, 1, 1)))
    assert (cell.learner.name, cell.interaction.clock, command._refusal(cell)) == ("untrained", "wall", None)
    recording = command._recorded(cell, 0)
    assert len(recording.returns) == 2
    assert len(compare(recording, cell.interaction, runs=2)) == 3
