"""Whole commands on a stand-in cluster of two nodes: nodes lost, Ctrl-C, two runners; rows are those of one machine."""

import os
import signal

import pytest
from ray_harness import (
    arguments_of,
    checkpoints,
    command,
    eventually,
    finished,
    kill_all,
    once_each,
    processes_with,
    rows,
    same_outcomes,
    suite,
)

RUNS = 3
STEPS = 200
RAY = ("--executor", "ray", "--address", "local")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The rows of the local executor."""
    folder = tmp_path_factory.mktemp("local")
    code, out, err = finished(command("run", suite(folder, steps=STEPS, seeds=RUNS), "--state", folder / "state"))
    assert code == 0, out + err
    return folder / "state"


@pytest.fixture
def tiny(tmp_path):
    return suite(tmp_path, steps=STEPS, seeds=RUNS)


def lose_node(tmp_path, node=1):
    """The node is gone, and with it whatever it was at: in the middle of a run of which there is a checkpoint."""
    assert eventually(lambda: checkpoints(tmp_path / "state") and processes_with(f"RAY_STANDIN_NODE={node}"))
    (tmp_path / f"dead-{node}").touch()
    assert kill_all(processes_with(f"RAY_STANDIN_NODE={node}"))


def test_a_node_is_lost_in_the_middle(tiny, tmp_path, undisturbed):
    state = tmp_path / "state"
    runner = command("run", tiny, *RAY, "--state", state, RAY_STANDIN_FOLDER=str(tmp_path))
    assert eventually(lambda: len(checkpoints(state)) > 1), runner.kill()
    lose_node(tmp_path)
    code, out, err = finished(runner)
    assert code == 0, out + err
    assert "its node was lost; sent again" in err
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)
    assert not checkpoints(state)
    assert not list(state.glob("ray/*"))


def test_a_node_is_taken_away_in_order(tiny, tmp_path, undisturbed):
    """Its task is asked to stop, as Ray does with SIGTERM: the run is interrupted there, and goes on elsewhere."""
    state = tmp_path / "state"
    runner = command("run", tiny, *RAY, "--state", state)
    assert eventually(lambda: len(checkpoints(state)) > 1), runner.kill()
    task = [pid for pid in processes_with("RAY_STANDIN_NODE=1") if b"ray.one_task" in arguments_of(pid)]
    os.kill(task[0], signal.SIGTERM)
    code, out, err = finished(runner)
    assert code == 0, out + err
    assert "its node stopped it; sent again" in err
    assert "interrupted" not in out  # of no run that was the end
    assert sorted(row["status"] for row in rows(state)) == ["interrupted", *["ok"] * RUNS]
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)


def test_lost_as_often_as_is_allowed(tiny, tmp_path, undisturbed):
    """It is told of, the others are done, and the same command makes it good."""
    state = tmp_path / "state"
    there = {"RAY_STANDIN_FOLDER": str(tmp_path)}
    runner = command("run", tiny, *RAY, "--losses", "0", "--state", state, **there)
    assert eventually(lambda: len(checkpoints(state)) > 1), runner.kill()
    lose_node(tmp_path)
    code, out, err = finished(runner)
    assert code == 1
    assert "its node was lost; run the same command again to continue" in err
    once_each(state, RUNS - 1)
    code, out, err = finished(command("run", tiny, *RAY, "--state", state, **there))
    assert code == 0, out + err
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)


def test_ctrl_c_keeps_checkpoints_and_the_same_command_goes_on(tiny, tmp_path, undisturbed):
    state = tmp_path / "state"
    runner = command("run", tiny, *RAY, "--state", state)
    assert eventually(lambda: len(checkpoints(state)) > 1), runner.kill()
    os.kill(runner.pid, signal.SIGINT)
    code, out, err = finished(runner, timeout=30)
    assert code == 130, out + err
    assert "stopped; everything is kept" in out
    assert [row["status"] for row in rows(state)] == ["interrupted"] * 2
    assert checkpoints(state)
    code, out, err = finished(command("run", tiny, *RAY, "--state", state))
    assert code == 0, out + err
    assert out.count("continues at") + err.count("continues at") == 2
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)


def test_a_killed_runner_is_continued(tiny, tmp_path, undisturbed):
    state = tmp_path / "state"
    runner = command("run", tiny, *RAY, "--state", state)
    assert eventually(lambda: len(checkpoints(state)) > 1), runner.kill()
    kill_all([runner.pid])
    runner.communicate()
    code, out, err = finished(command("run", tiny, *RAY, "--state", state))
    assert code == 0, out + err
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)


def test_two_runners_share_the_runs(tiny, tmp_path, undisturbed):
    """Both know of all runs in the end, and a slot of neither waits for the other."""
    state = tmp_path / "state"
    runners = [command("run", tiny, *RAY, "--state", state) for _ in range(2)]
    for code, out, err in [finished(runner) for runner in runners]:
        assert code == 0, out + err
        assert f"({RUNS}/{RUNS})" in out
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)
    assert len(rows(state)) == RUNS


def test_what_another_runner_has_is_left_to_it_if_so_asked(tmp_path):
    path, state = suite(tmp_path, steps=10_000), tmp_path / "state"
    first = command("run", path, "--state", state)
    try:
        assert eventually(lambda: checkpoints(state))
        code, out, err = finished(command("run", path, *RAY, "--no-wait", "--state", state))
        assert code == 0, out + err
        assert "not waiting for 1 run(s) of other runners" in err
    finally:
        kill_all([first.pid])
        first.communicate()
