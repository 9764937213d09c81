"""Frozen policies from outside: ONNX models, functions, policies of our own, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.cells import interaction, small_cell
from helpers.frozen_cells import (
    BIAS,
    INSTANT,
    PENDULUM,
    WEIGHT,
    frozen_cell,
    naive_returns,
    onnx_linear,
    played,
    reason,
)

from rtbench.errors import RtbenchError, SuiteError
from rtbench.learners.foreign import kind_of, load
from rtbench.learners.policy import evaluate
from rtbench.plugins import build, use


@pytest.mark.parametrize(("actions", "gain"), [("environment", 1), ("unit", 3)])  # the pendulum's box is ±3
@pytest.mark.parametrize("delta", [0, 2])
def test_an_onnx_model_in_either_scale(tmp_path, actions, gain, delta) -> None:
    path = onnx_linear(tmp_path / "p.onnx", WEIGHT, BIAS)
    inter = interaction("sequential", delta) if delta else INSTANT
    program = played(frozen_cell(path, inter, actions=actions))
    found = naive_returns(lambda o: np.clip(gain * (o @ WEIGHT + BIAS), -3, 3), 0, 3, delay_steps=delta)
    assert program.loops[0].returns == pytest.approx([total for total, _ in found])
    if delta == 0:
        assert min(program.loops[0].lengths) > 30, "this controller is meant to balance for a while"


def test_an_onnx_model_for_other_observations(tmp_path) -> None:
    path = onnx_linear(tmp_path / "p.onnx", np.zeros((7, 1), np.float32), BIAS)
    with pytest.raises(RtbenchError, match="observations have shape"):
        played(frozen_cell(path))


def test_an_onnx_model_with_other_actions(tmp_path) -> None:
    path = onnx_linear(tmp_path / "p.onnx", np.zeros((4, 2), np.float32), np.zeros(2, np.float32))
    with pytest.raises(RtbenchError, match="not 1 finite numbers"):
        played(frozen_cell(path))


@pytest.mark.parametrize("delta", [0, 1, 3])
def test_a_function_is_what_a_naive_loop_finds(controller, delta) -> None:
    inter = interaction("sequential", delta) if delta else INSTANT
    program = played(frozen_cell(controller, inter))
    found = naive_returns(lambda o: [9 * o[1] + o[0]], 0, 3, delay_steps=delta)
    assert [*zip(program.loops[0].returns, program.loops[0].lengths, strict=True)] == found


@pytest.mark.parametrize(("name", "words"), [("lost", "finite"), ("two", "not 1 finite"), ("gone", "no function")])
def test_a_function_that_answers_badly(controller, name, words) -> None:
    with pytest.raises(RtbenchError, match=words):
        played(frozen_cell(controller.replace(":act", f":{name}")))


def test_a_functions_identity_is_its_source(controller, distributions) -> None:
    cell = frozen_cell(controller)
    played(cell)
    module = distributions.folder / "acme_controller.py"
    module.write_text(module.read_text().replace("9 *", "8 *"))
    assert frozen_cell(controller) != cell
    with pytest.raises(SuiteError, match="has changed"):
        played(cell)


@pytest.mark.parametrize(
    ("execution", "delta"), [("instant", 0), ("sequential", 1), ("pipelined", 1), ("pipelined", 2)]
)
def test_our_own_policy_brings_its_layers(own_policy, execution, delta) -> None:
    policy, path = own_policy
    cell = frozen_cell(path, interaction(execution, delta))
    program = played(cell, (7,))
    found = evaluate(policy, 3, cell.interaction, phase="evaluate")
    assert tuple(program.loops[0].returns) == found.returns
    columns = program.outcomes()[0].columns
    assert columns["parameters"] == (4 + 1) * 4 + (8 + 1) * 4 + (8 + 1) * 2
    if execution == "sequential":
        assert columns["observation_age_p50_steps"] >= 3 * delta


def test_what_is_supported(zips, own_policy, controller, monkeypatch) -> None:
    pipelined = interaction("pipelined", 1)
    assert reason(frozen_cell(zips["SAC"])) is None
    assert reason(frozen_cell(own_policy[1], pipelined)) is None
    assert "cannot be pipelined" in reason(frozen_cell(zips["SAC"], pipelined))
    assert "cannot be pipelined" in reason(frozen_cell(controller, pipelined))
    assert "architecture whole" in reason(frozen_cell(zips["SAC"], arch="mlp"))
    assert "`actions` is for" in reason(frozen_cell(zips["SAC"], actions="unit"))
    assert "`algorithm` is for" in reason(frozen_cell(controller, algorithm="SAC"))

    cell = frozen_cell(zips["SAC"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "rtbench[policies]" in reason(cell)
    with pytest.raises(SuiteError, match="not installed"):
        load(str(zips["SAC"]), None)


def test_an_unknown_kind_of_file(tmp_path) -> None:
    path = tmp_path / "policy.h5"
    path.write_bytes(b"x")
    assert "not a policy" in reason(frozen_cell(path))
    with pytest.raises(SuiteError, match="not a policy"):
        kind_of(str(path))


def test_a_black_box_is_not_trained() -> None:
    cell = replace(small_cell(PENDULUM), architecture=use("architectures", "whole"))
    assert "cannot be trained by sac" in type(build(cell.architecture)).supports(cell)
