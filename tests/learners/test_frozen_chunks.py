"""Frozen policies: discrete actions, and several actions from one inference."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.frozen_cells import BIAS, WEIGHT, cycle_cell, frozen_cell, onnx_linear, played, quiet_env, reason

from rtbench.errors import RtbenchError
from rtbench.seeds import episode_seed


def test_discrete_actions_are_numbers(answers) -> None:
    assert played(cycle_cell(answers + "answer")).loops[0].returns == [50.0] * 3
    # Going round, what is answered two steps late is never right; β's own action 0 fills in before.
    late = interaction("sequential", 2, scheduler="staggered-max", processes=2, default="zero")
    assert played(cycle_cell(answers + "answer", late, stay=0.0)).loops[0].returns == [0.0] * 3


@pytest.mark.parametrize("name", ["beyond", "between"])
def test_an_action_that_is_none_is_an_error(answers, name) -> None:
    with pytest.raises(RtbenchError, match="discrete actions are the numbers 0 to 3"):
        played(cycle_cell(answers + name))


def test_scores_choose_the_greatest(tmp_path) -> None:
    path = onnx_linear(tmp_path / "q.onnx", np.eye(3, 4, 1, dtype=np.float32), np.zeros(4, np.float32))
    assert played(cycle_cell(path, actions="scores")).loops[0].returns == [50.0] * 3
    with pytest.raises(RtbenchError, match="not 1 finite numbers"):
        played(cycle_cell(path))
    with pytest.raises(RtbenchError, match='cannot be given as "unit"'):
        played(cycle_cell(path, actions="unit"))
    with pytest.raises(RtbenchError, match='cannot be given as "scores"'):
        played(frozen_cell(onnx_linear(tmp_path / "p.onnx", WEIGHT, BIAS), actions="scores"))


def test_a_chunk_is_used_step_by_step(answers) -> None:
    """An inference takes a step and a bit; its chunk plans ahead from what was read, so two steps late is too late.

    Read at 0, usable from 2 on: offsets 0 and 1 plan for steps 0 and 1, but act at 2 and 3 (and the next chunk, read at
    1.5 steps, i.e. on observation 1, comes at 3): in a world that goes round every three steps nothing fits. A chunk
    that arrives within its step, read at s and used from s + 1, is one step behind all along.
    """
    three = {"actions": 3}
    quick = interaction("sequential", 0.5, scheduler="chunked", scheduler_params=three)
    program = played(cycle_cell(answers + "plan", quick, stay=0.0))
    assert program.loops[0].returns == [0.0] * 3
    assert program.loops[0].tally.inaction == 0
    still = played(cycle_cell(answers + "plan", quick, stay=1.0))
    assert still.loops[0].returns == [49.0] * 3  # offset 0 of every chunk, all but the first step


def test_continuous_chunks_equal_a_naive_loop(answers) -> None:
    """Four steps per inference, three actions each: then the last one is held for a step."""
    slow = interaction("sequential", 4, scheduler="chunked", scheduler_params={"actions": 3})
    program = played(frozen_cell(answers + "swing", slow))
    env, expected = quiet_env(), []
    for episode in range(3):
        observation, _ = env.reset(seed=episode_seed(0, "evaluate", episode))
        seen, total, step, over = [observation.astype(np.float32)], 0.0, 0, False
        while not over:
            ready = step // 4 * 4 - 4  # read so many steps ago, at every fourth step
            if ready < 0:
                push = 0.0
            else:
                push = (9 * seen[ready][1] + seen[ready][0]) / 2 ** min(step % 4, 2)
            action = np.clip(np.array([push], np.float32), -3, 3)
            observation, reward, terminated, truncated, _ = env.step(action)
            seen.append(observation.astype(np.float32))
            total, step, over = total + float(reward), step + 1, terminated or truncated
        expected.append((total, step))
    assert [*zip(program.loops[0].returns, program.loops[0].lengths, strict=True)] == expected
    assert program.outcomes()[0].extras["rtbench/return_default"] > 0


def test_chunks_come_from_models_and_functions(zips, answers) -> None:
    chunked = interaction("sequential", 1, scheduler="chunked")
    assert reason(frozen_cell(answers + "swing", chunked)) is None
    assert "chunks of 4" in reason(frozen_cell(zips["SAC"], chunked))
