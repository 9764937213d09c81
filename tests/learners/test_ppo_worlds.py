"""PPO in the worlds of the first paper: pixels of MiniGrid and Atari, symbols of MiniGrid."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cells import interaction

from rtbench.cell import Budget, Cell, RunBatch
from rtbench.plugins import build, use

SMALL = {"channels": [2, 3, 2], "width": 6, "skips": "to-action-res"}
WORLDS = {
    "doorkey in pixels": ("minigrid", {"id": "MiniGrid-DoorKey-5x5-v0", "max_steps": 9}, {"convolutions": "minigrid"}),
    "empty in symbols": (
        "minigrid",
        {"id": "MiniGrid-Empty-Random-5x5-v0", "view": "symbolic", "max_steps": 9},
        {"last_action": "observation"},
    ),
    "pong": (
        "atari",
        {"id": "ALE/Pong-v5", "training_reward": "sign", "max_frames": 260},
        {"convolutions": "atari", "lstm": True},
    ),
}


def program(name: str):
    part, world, network = WORLDS[name]
    cell = Cell(
        use("environments", part, world),
        use("architectures", "cnn", SMALL | network),
        interaction(delta=1.0),
        use("learners", "ppo", {"environments": 2, "rollout": 30, "epochs": 1}),
        use("backends", "eager"),
        Budget(steps=120, unit="ticks", eval_every=60, eval_episodes=1, final_eval_episodes=1),
    )
    return build(cell.learner).make(RunBatch(cell, (3,)))


@pytest.mark.parametrize("name", WORLDS)
def test_trains_and_is_evaluated(name: str) -> None:
    found = program(name)
    (run,) = found.trainers
    before = [tensor.detach().clone() for tensor in run.actor.tensors]
    while not found.done:
        found.advance()
    assert all(tensor.isfinite().all() for tensor in run.actor.tensors)
    assert any((tensor != old).any() for tensor, old in zip(run.actor.tensors, before, strict=True))
    columns = found.outcomes()[0].columns
    assert (columns["updates"], columns["ticks"] >= 120, columns["eval_step"]) == (2, True, [60, 120])
    assert columns["observation_age_p50_steps"] == 1
    assert np.isfinite(columns["eval_return_final"])
    assert columns["constraint_violation"] is None


def test_what_is_trained_on_is_the_sign_of_what_the_world_gave() -> None:
    fleet = program("pong").trainers[0].fleet
    lost = 0
    for _ in range(3):
        fleet.collect(30)
        lost += sum(decision.reward for recording in fleet.recordings for decision in recording.decisions)
        fleet.renew()
    assert lost <= -2, "two of them lose points against a player who knows the game"
    assert lost == int(lost)
