"""Frozen policies: as a suite, known again wherever the policy lies."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.frozen_cells import BIAS, WEIGHT, naive_returns, onnx_linear

from rtbench.parts import canonical_json

SUITE = """
schema_version = 1
[suite]
name = "mine"
title = "A trained policy under delay"
[budget]
steps = 1
unit = "episodes"
eval_every = 1
eval_episodes = 1
final_eval_episodes = 2
[seeds]
count = 1
[axes]
environment = { use = "mujoco", id = "InvertedPendulum-v4" }
architecture = { use = "whole" }
interaction = [
    { execution = "instant" },
    { execution = "sequential", delta = 2 },
    { execution = "pipelined", delta = 1 },
]
learner = { use = "frozen", policy = "p.onnx" }
[leaderboard]
group_by = ["architecture", "interaction.execution"]
"""


def test_a_suite_is_run_and_known_again_wherever_its_policy_lies(tmp_path, capsys) -> None:
    from rtbench.cli.main import run_command_line
    from rtbench.results.rows import RowStore
    from rtbench.results.store import FolderStore

    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.toml").write_text(SUITE)
        onnx_linear(tmp_path / folder / "p.onnx", WEIGHT, BIAS)
    state = ["--state", str(tmp_path / "state"), "--json"]
    assert run_command_line(["run", str(tmp_path / "here" / "mine.toml"), "--jobs", "1", *state]) == 0
    rows = {row["delta"]: row for row in RowStore(FolderStore(tmp_path / "state")).scan().rows}
    assert sorted(rows) == [0, 2]
    for delay, row in rows.items():
        found = naive_returns(lambda o: np.clip(o @ WEIGHT + BIAS, -3, 3), 0, 3, delay_steps=int(delay))
        assert row["status"] == "ok"
        assert row["eval_return_final"] == pytest.approx(np.mean([total for total, _ in found[1:]]))
        assert row["updates"] == 0
        assert str(tmp_path) not in canonical_json({key: str(value) for key, value in row.items()})
    capsys.readouterr()
    assert run_command_line(["plan", str(tmp_path / "there" / "mine.toml"), *state]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"done": 2, "unsupported": 1}
    onnx_linear(tmp_path / "there" / "p.onnx", 2 * WEIGHT, BIAS)
    assert run_command_line(["plan", str(tmp_path / "there" / "mine.toml"), *state]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"missing": 2, "unsupported": 1}
