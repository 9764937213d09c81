"""`rtbench describe timeline`: of a run on the virtual clock computed anew, of one on the wall clock as it happened."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.command_line import printed, printed_json
from helpers.dqn_cells import constant, dqn_cell, drawn, whole
from helpers.samples import hand_row

from rtbench.cell import Budget, Cell, RunBatch, cell_from_data
from rtbench.cli.main import run_command_line
from rtbench.executors.worker import Worker
from rtbench.learners.base import Outcome
from rtbench.plugins import build
from rtbench.realtime.recording import Recording
from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore


def kept(folder: Path, cell: Cell, recording: bytes = b"") -> str:
    """A run's row, and its recording, as a worker leaves them; the run's id."""
    store, row = FolderStore(folder), hand_row(cell, 0, clock=cell.interaction.clock)
    RowStore(store).write(row)
    worker: Any = SimpleNamespace(store=store, job=SimpleNamespace(run_ids=[row["run_id"]]))
    program: Any = SimpleNamespace(policies=lambda run_ids: [])
    Worker._keep(worker, program, [Outcome(recording=recording)])
    return str(row["run_id"])


def boxes(path: Path) -> list[ET.Element]:
    root = ET.parse(path).getroot()
    return [each for each in root.iter() if (each.get("class") or "").startswith("box ")]


def test_a_run_on_the_virtual_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One process, an inference takes two of the steps of 50 ms: read at 0, 2, 4, …, acting from 2, 4, 6, … on."""
    run = kept(tmp_path, dqn_cell(met=whole(latency=0.1)))
    given = ("describe", "timeline", run[:10], "--state", str(tmp_path), "--svg", str(tmp_path / "drawn.svg"))
    data = printed_json(capsys, *given, "--from", "0.3", "--seconds", "0.2")
    told = [(each["read_step"], each["started_ns"], each["apply_step"]) for each in data["inferences"]]
    assert told == [(4, 200_000_000, 6), (6, 300_000_000, 8), (8, 400_000_000, None)]
    assert (data["first_step"], data["updates"], data["clock"]) == (6, [], "virtual")
    assert len(boxes(tmp_path / "drawn.svg")) == 3
    assert "acts from step" in printed(capsys, *given)


def test_it_is_the_timeline_that_the_run_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn latencies: the very ones that the loop of the run's evaluation meets."""
    cell = dqn_cell(met=interaction("sequential", 0.0, scheduler="staggered-max", processes=3, latency=drawn(0.2)))
    run = kept(tmp_path, cell)
    data = printed_json(capsys, "describe", "timeline", run, "--state", str(tmp_path), "--seconds", "1")
    trainer = build(cell.learner).make(RunBatch(cell, (0,))).evaluation._loops[""][0]
    reads: list[int] = []
    trainer._recorder = SimpleNamespace(
        begin_episode=lambda first: None,
        begin_inference=lambda read_step, process: reads.append(read_step),
        apply=lambda inference: None,
        end_step=lambda *step: None,
        end_episode=lambda *end: None,
    )
    for _ in range(12):
        trainer.advance()
    assert [each["read_step"] for each in data["inferences"]][: len(reads)] == reads
    assert len(reads) > 5


def test_a_run_that_learnt_on_the_wall_clock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtbench.realtime.recording.Recording.spoiled", None)
    met = whole("staggered-slots", 0.03, processes=2, clock="wall")
    params = {"epsilon_steps": 20, "learning_starts": 10, "learners": 2}
    cell = dqn_cell("dqn", params, met, budget=Budget(40, "env_steps", 40, 1, 1))
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    while not program.done:
        program.advance()
    again = build(cell.learner).make(RunBatch(cell, (0,)))
    again.restore(program.state(), ())
    (outcome,) = again.outcomes()
    run = kept(tmp_path, cell, outcome.recording)
    path = tmp_path / "drawn.svg"
    data = printed_json(
        capsys, "describe", "timeline", run, "--state", str(tmp_path), "--seconds", "2", "--svg", str(path)
    )
    recording = Recording.load(tmp_path / "timelines" / f"{run}.parquet")
    assert len(data["inferences"]) == len(recording.timeline.process)
    assert [each["version"] for each in data["inferences"]] == recording.stretches[0].version.tolist()
    shown = np.flatnonzero(recording.updates.started_ns < 2_000_000_000) + 1
    assert [each["version"] for each in data["updates"]] == shown.tolist()
    assert {each["process"] for each in data["updates"]} <= set(np.unique(recording.updates.process).tolist())
    assert len(boxes(path)) == len(data["inferences"]) + len(data["updates"])
    assert path.read_text().count(">learner ") == len(np.unique(recording.updates.process))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("timeline", "abc"), "too short"),
        (("timeline", "abcdef"), "no runs"),
        (("learner", "sac", "--from", "1"), "are for timelines"),
    ],
)
def test_what_cannot_be_told(given: tuple[str, ...], words: str, tmp_path: Path, capsys: Any) -> None:
    assert run_command_line(["describe", *given, "--state", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_a_recording_that_is_not_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = kept(tmp_path, dqn_cell(met=whole("staggered-slots", 0.03, processes=2, clock="wall")))
    assert run_command_line(["describe", "timeline", run, "--state", str(tmp_path)]) == 2
    assert "not kept" in capsys.readouterr().err
    assert run_command_line(["describe", "timeline", run, "--state", str(tmp_path), "--seconds", "1e9"]) == 2


def test_a_cell_is_what_its_data_say() -> None:
    cell = dqn_cell(met=whole("staggered-slots", 0.03, processes=2, learning=constant(0.1)))
    assert cell_from_data(cell.data()).data() == cell.data()
