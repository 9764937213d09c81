"""Cells that evaluate a policy from outside, and what a naive loop finds with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers.cells import interaction

from rtbench.cell import Budget, Cell, RunBatch
from rtbench.learners.foreign import ALGORITHMS
from rtbench.plugins import build, use
from rtbench.seeds import episode_seed

CONTINUOUS = tuple(name for name in ALGORITHMS if name != "DQN")
PENDULUM = "InvertedPendulum-v4"
PENDULUM_FREE = "python:math:sqrt"
INSTANT = interaction("instant", 0)


def quiet_env(name: str = PENDULUM):
    return build(use("environments", "mujoco", {"id": name})).make()


def frozen_cell(policy, inter=INSTANT, *, episodes=(1, 2), env=PENDULUM, arch="whole", **params) -> Cell:
    return Cell(
        use("environments", "mujoco", {"id": env}),
        use("architectures", arch),
        inter,
        use("learners", "frozen", {"policy": str(policy), **params}),
        use("backends", "numpy"),
        Budget(steps=5, eval_every=5, eval_episodes=episodes[0], final_eval_episodes=episodes[1]),
    )


def played(cell: Cell, seeds=(0,)):
    program = build(cell.learner).make(RunBatch(cell, seeds))
    while not program.done:
        program.advance()
    return program


def naive_returns(act, seed, episodes, *, delay_steps=0, name=PENDULUM):
    """Returns and lengths; `act` answers in the environment's own box, its action holds until the next arrives."""
    env, out = quiet_env(name), []
    for number in range(episodes):
        observation, _ = env.reset(seed=episode_seed(seed, "evaluate", number))
        action, coming, total, step, over = np.zeros(env.action_space.shape), {}, 0.0, 0, False
        while not over:
            action = coming.pop(step, action)
            if step % max(1, delay_steps) == 0:
                answer = np.asarray(act(np.asarray(observation, np.float32)), np.float32)
                answer = np.clip(answer, env.action_space.low, env.action_space.high)
                if delay_steps:
                    coming[step + delay_steps] = answer
                else:
                    action = answer
            observation, reward, terminated, truncated, _ = env.step(action)
            total, step, over = total + float(reward), step + 1, terminated or truncated
        out.append((total, step))
    return out


def onnx_linear(path: Path, weight: np.ndarray, bias: np.ndarray) -> Path:
    """x W + b as a model."""
    from onnx import TensorProto, helper, numpy_helper, save

    given = helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", weight.shape[0]])
    out = helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", weight.shape[1]])
    constants = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    graph = helper.make_graph([helper.make_node("Gemm", ["obs", "w", "b"], ["action"])], "p", [given], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, path)
    return path


WEIGHT = np.array([[0.5], [9], [0.3], [1]], np.float32)
BIAS = np.array([0.05], np.float32)


def cycle_cell(policy, inter=INSTANT, stay=1.0, **params) -> Cell:
    """Three states that stay (or go round): a reward of 1 where the action is 1 + the state."""
    world = use("environments", "analytic", {"id": "delay-cycle", "states": 3, "stay": stay, "steps": 50})
    return replace(frozen_cell(policy, inter, **params), environment=world)


def reason(cell: Cell) -> str | None:
    return type(build(cell.learner)).supports(cell)
