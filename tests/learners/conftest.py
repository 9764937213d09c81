"""Policies from outside that several modules evaluate."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.cells import interaction, small_cell
from helpers.frozen_cells import CONTINUOUS, PENDULUM, quiet_env
from helpers.weights import normal_weights

from rtbench.learners.policy import Policy
from rtbench.parts import PolicyShape
from rtbench.plugins import build

FUNCTION = """
def act(observation):
    return [9 * observation[1] + observation[0]]

def still(observation):
    return [0.0]

def lost(observation):
    return [float("nan")]

def two(observation):
    return [0.0, 0.0]
"""


@pytest.fixture(scope="session")
def zips(tmp_path_factory) -> dict[str, Path]:
    """A policy of every algorithm of Stable-Baselines3 for continuous actions, trained for a moment."""
    import stable_baselines3

    folder, env, found = tmp_path_factory.mktemp("sb3"), quiet_env(), {}
    off_policy = {"learning_starts": 20, "buffer_size": 1000, "batch_size": 16}
    special = {"PPO": {"n_steps": 64, "batch_size": 32}, "A2C": {}}
    for name in CONTINUOUS:
        kind = getattr(stable_baselines3, name)
        network = {"net_arch": [16]}
        model = kind("MlpPolicy", env, seed=0, device="cpu", policy_kwargs=network, **special.get(name, off_policy))
        model.learn(64)
        found[name] = folder / f"{name.lower()}.zip"
        model.save(found[name])
    return found


@pytest.fixture
def controller(distributions):
    distributions.add("acme", {}, {"acme_controller": FUNCTION})
    return "python:acme_controller:act"


@pytest.fixture
def own_policy(tmp_path) -> tuple[Policy, Path]:
    trained = small_cell(PENDULUM, {"width": 4, "skips": "from-obs"}, interaction("pipelined", 2))
    graph = build(trained.architecture).make(PolicyShape(4, 1, 2))
    policy = Policy(trained, 7, "ab" * 32, normal_weights(graph, 5))
    (tmp_path / "own.npz").write_bytes(policy.to_bytes())
    return policy, tmp_path / "own.npz"


DISCRETE = """
def answer(observation):
    return 1 + observation[:3].argmax()

def beyond(observation):
    return 4

def between(observation):
    return 0.5

def plan(observation):
    state = int(observation[:3].argmax())
    return [1 + state, 1 + (state + 1) % 3, 1 + (state + 2) % 3]

def swing(observation):
    push = 9 * observation[1] + observation[0]
    return [[push], [push / 2], [push / 4]]
"""


@pytest.fixture
def answers(distributions):
    distributions.add("acme", {}, {"acme_answers": DISCRETE})
    return "python:acme_answers:"
