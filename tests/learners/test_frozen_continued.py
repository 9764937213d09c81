"""Frozen policies: interrupted runs go on as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

from helpers.cells import interaction
from helpers.frozen_cells import BIAS, WEIGHT, frozen_cell, onnx_linear, played

from rtbench.cell import RunBatch, cell_to_json
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.parts import canonical_json
from rtbench.plugins import build


def test_continued_from_every_episode_is_the_same(zips, tmp_path) -> None:
    cell = frozen_cell(zips["SAC"], interaction("sequential", 2), episodes=(2, 3))
    whole = played(cell, (0, 4)).outcomes()
    for episodes in range(6):
        folder = CheckpointFolder(tmp_path / str(episodes))
        program = build(cell.learner).make(RunBatch(cell, (0, 4)))
        for _ in range(min(episodes, 5)):
            program.advance()
        told = program.metrics()
        folder.save(program, {})
        again = build(cell.learner).make(RunBatch(cell, (0, 4)))
        assert CheckpointFolder(tmp_path / str(episodes)).load(again) == {}
        while not again.done:
            again.advance()
        assert again.outcomes() == whole
        assert bool(told) + bool(again.metrics()) == 1, "the curve's point is told once"


def test_continued_within_an_episode_is_the_same(zips) -> None:
    cell = frozen_cell(zips["SAC"], interaction("sequential", 2, scheduler="staggered-max", processes=2))
    whole = played(cell)
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    for _ in range(7):
        program.loops[0].advance()
    again = build(cell.learner).make(RunBatch(cell, (0,)))
    again.restore(program.state(), [])
    while not again.done:
        again.advance()
    assert again.outcomes() == whole.outcomes()


KILLED = """
import json, sys, time
from rtbench.cell import RunBatch, cell_from_json
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.plugins import build
cell = cell_from_json(json.loads(sys.argv[1]))
program = build(cell.learner).make(RunBatch(cell, (0,)))
from pathlib import Path
folder = CheckpointFolder(Path(sys.argv[2]))
while True:
    program.advance()
    folder.save(program, {"episodes": program._episodes})
    print("saved", flush=True)
    if program._episodes == 2:
        time.sleep(600)
"""


def test_killed_in_the_middle_and_continued(tmp_path) -> None:
    path = onnx_linear(tmp_path / "p.onnx", WEIGHT, BIAS)
    cell = frozen_cell(path, interaction("sequential", 1), episodes=(1, 3))
    state = tmp_path / "checkpoint"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), canonical_json(cell_to_json(cell)), str(state)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in range(2)] == ["saved\n"] * 2
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    program = build(cell.learner).make(RunBatch(cell, (0,)))
    assert CheckpointFolder(state).load(program) == {"episodes": 2}
    while not program.done:
        program.advance()
    assert program.outcomes() == played(cell).outcomes()
