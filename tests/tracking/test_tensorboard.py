"""TensorBoard's own reader finds what a run told: in a process of its own, and through `rtbench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.cells import small_cell
from helpers.command_line import printed_json

from rtbench import tracking
from rtbench.tracking import describe
from rtbench.tracking.tensorboard import TensorBoard

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RUN = "ab" * 32
SUITE = """
schema_version = 1
[suite]
name = "tracked"
title = "tracked"
[budget]
steps = 300
unit = "env_steps"
eval_every = 100
eval_episodes = 1
final_eval_episodes = 1
[seeds]
count = 1
[axes]
environment = { use = "analytic", id = "delay-cycle", steps = 100 }
architecture = { use = "mlp", layers = 2, width = 4 }
interaction = { execution = "pipelined", delta = 1 }
learner = "untrained"
"""


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Scalars by tag, of all files of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_numbers_stand_at_their_steps_and_a_continuation_takes_back_what_it_repeats(tmp_path: Path) -> None:
    cell: dict[str, Any] = small_cell().data()
    first = TensorBoard(tmp_path)
    first.start(describe(RUN, cell, 0))
    for step in (100, 200, 300):
        first.log(RUN, step, "ticks", {"eval_return": step / 100})
    first.finish(RUN, "interrupted", {"wall_s": 2.0})
    again = TensorBoard(tmp_path)
    again.start(describe(RUN, cell, 0))
    for step in (200, 300, 400):  # its checkpoint was at 100
        again.log(RUN, step, "ticks", {"eval_return": step / 10})
    again.finish(RUN, "ok", {"eval_return_final": 7.0})
    (folder,) = (tmp_path / "tensorboard").iterdir()
    told = read(folder)
    assert told["eval_return / ticks"] == [(100, 1.0), (200, 20.0), (300, 30.0), (400, 40.0)]
    assert told["row/eval_return_final"][-1][1] == 7.0


def test_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTBENCH_TENSORBOARD_DIR", str(tmp_path / "mine"))
    assert TensorBoard(tmp_path / "state").folder == tmp_path / "mine"


def test_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(tracking.VARIABLE, "")  # put back when the test ends: --track sets it
    Path("tracked.toml").write_text(SUITE)
    done = printed_json(capsys, "run", "tracked.toml", "--track", "tensorboard", "--state", "state")
    (run,) = done["runs"]
    assert run["status"] == "ok"
    (folder,) = Path("state/tensorboard").iterdir()
    assert folder.name.endswith(f"seed-0-{run['run_id'][:8]}")
    told = read(folder)
    assert told["row/eval_return_final"][0][1] == pytest.approx(run["eval_return_final"])
    assert any(tag.endswith("/ env_steps") for tag in told)
