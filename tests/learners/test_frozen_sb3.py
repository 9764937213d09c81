"""Frozen policies: real zips of Stable-Baselines3."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.frozen_cells import (
    CONTINUOUS,
    INSTANT,
    PENDULUM,
    PENDULUM_FREE,
    cycle_cell,
    frozen_cell,
    naive_returns,
    played,
)

from rtbench.cell import Latency
from rtbench.errors import RtbenchError, SuiteError
from rtbench.learners.foreign import algorithm_of, load
from rtbench.plugins import build, use


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_algorithm_is_read_off_the_file(zips, name) -> None:
    assert algorithm_of(str(zips[name])) == {"DDPG": "TD3"}.get(name, name)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_algorithm_acts_as_its_own_library_says(zips, name) -> None:
    import stable_baselines3

    model = getattr(stable_baselines3, name).load(zips[name], device="cpu")
    spec = build(use("environments", "mujoco", {"id": PENDULUM})).spec()
    rng = np.random.default_rng(0)
    for algorithm in ("", name):
        act = load(str(zips[name]), spec, algorithm)
        for observation in rng.normal(size=(5, 4)).astype(np.float32):
            np.testing.assert_array_equal(act(observation), model.predict(observation, deterministic=True)[0])


@pytest.mark.parametrize("delta", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("name", ["SAC", "PPO"])
def test_a_zip_under_every_delay_is_what_a_naive_loop_finds(zips, name, delta) -> None:
    import stable_baselines3

    model = getattr(stable_baselines3, name).load(zips[name], device="cpu")
    inter = interaction("sequential", delta) if delta else INSTANT
    (outcome,) = played(frozen_cell(zips[name], inter)).outcomes()
    found = naive_returns(lambda o: model.predict(o, deterministic=True)[0], 0, 3, delay_steps=delta)
    columns = outcome.columns
    assert columns["eval_return"] == pytest.approx([found[0][0]])
    assert columns["eval_step"] == [0]
    assert columns["eval_return_final"] == pytest.approx(np.mean([total for total, _ in found[1:]]))
    assert columns["env_steps"] == sum(steps for _, steps in found)
    assert columns["episodes"] == 3
    assert columns["updates"] == 0
    assert columns["train_return_mean"] is None
    assert columns["observation_age_p50_steps"] == (delta if delta < 2 else pytest.approx(columns["tick_steps"], abs=2))
    assert columns["observation_age_max_steps"] <= max(0, 2 * delta - 1)


def test_staggered_processes_bring_newer_actions(zips) -> None:
    one = interaction("sequential", 4)
    four = interaction("sequential", 4, scheduler="staggered-max", processes=4)
    rare, often = (played(frozen_cell(zips["SAC"], inter)).outcomes()[0].columns for inter in (one, four))
    assert rare["action_interval_steps"] in (4, None)
    assert often["action_interval_steps"] < 2  # after a start at which all four begin at once
    assert often["observation_age_p50_steps"] == 4 < rare["observation_age_p50_steps"]


def test_a_latency_that_is_drawn(zips) -> None:
    latency = Latency("lognormal", mean_s=0.1, cv=0.3)
    cell = frozen_cell(zips["SAC"], interaction("sequential", 0, latency=latency))
    assert [program.outcomes() for program in (played(cell), played(cell))] == [played(cell).outcomes()] * 2


def test_runs_of_a_batch_are_the_runs_alone(zips) -> None:
    cell = frozen_cell(zips["SAC"], interaction("sequential", 2))
    both = played(cell, (0, 1)).outcomes()
    assert both == [*played(cell, (0,)).outcomes(), *played(cell, (1,)).outcomes()]
    assert both[0] != both[1]


def test_another_environment_is_an_error(zips) -> None:
    with pytest.raises(RtbenchError, match="observations have shape"):
        played(frozen_cell(zips["SAC"], env="Hopper-v4"))


def test_a_zip_that_is_none_is_an_error_with_its_place(tmp_path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(b"nothing")
    with pytest.raises(RtbenchError, match="cannot be loaded as stable-baselines3") as caught:
        played(frozen_cell(path))
    assert caught.value.place == str(path)


def test_a_changed_file_is_not_evaluated(zips, tmp_path) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(zips["SAC"].read_bytes())
    cell = frozen_cell(path)
    path.write_bytes(zips["PPO"].read_bytes())
    with pytest.raises(SuiteError, match="has changed"):
        played(cell)


def test_a_zip_that_chooses(tmp_path) -> None:
    import stable_baselines3

    env = build(cycle_cell(PENDULUM_FREE).environment).make()
    model = stable_baselines3.DQN("MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [8]})
    path = tmp_path / "dqn.zip"
    model.save(path)
    assert algorithm_of(str(path)) == "DQN"
    spec = build(cycle_cell(PENDULUM_FREE).environment).spec()
    act = load(str(path), spec)
    for state in np.eye(3, dtype=np.float32):
        assert act(state) == model.predict(state, deterministic=True)[0]
    with pytest.raises(RtbenchError, match="chooses among 4 actions, the environment has 5"):
        load(str(path), replace(spec, action_size=5))
    program = played(cycle_cell(path))
    assert set(program.loops[0].returns) <= {0.0, 50.0}


def test_nothing_is_warned_of(zips) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        played(frozen_cell(zips["SAC"]))
