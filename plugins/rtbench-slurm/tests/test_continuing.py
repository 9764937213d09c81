"""Tasks that end early, one way or another: what they began is continued exactly, and `status` says where runs are."""

import json
import os
import signal
import subprocess

import pytest
from rtbench.results.schema import outcome_difference
from suites import (
    checkpoints,
    done,
    ended,
    eventually,
    only,
    places,
    rows,
    rtbench,
    runner_of,
    running_pid,
    start,
    suite,
)

ON_SLURM = ("--executor", "slurm", "--time", "10min")
STEPS = 800


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The row of a local run."""
    folder = tmp_path_factory.mktemp("local")
    rtbench("run", suite(folder, steps=STEPS), "--state", folder / "state")
    return only(folder / "state")


def waiting(fake):
    """The tasks that the queue has."""
    return list(fake.glob("*.task"))


def since(state):
    """When the newest row was written."""
    return max((found.stat().st_mtime for found in (state / "rows").rglob("*") if found.is_file()), default=0.0)


def test_submits_and_returns(tmp_path, fake):
    (fake / "drained").touch()
    path, state = suite(tmp_path, seeds=3), tmp_path / "state"
    out = rtbench("run", path, "--state", state, *ON_SLURM, "--array-parallelism", 2, "--partition", "gpu")
    assert "submitted 3 run(s) as 3 task(s) of job 1" in out
    assert f"next: rtbench status {path}" in out
    asked = json.loads((fake / "asked" / "1.json").read_text())
    assert (asked["array"], asked["partition"], asked["time"]) == ("0-2%2", "gpu", "10")
    assert places(path, state) == ["queued"] * 3
    assert "slurm: 3 queued (Resources)" in rtbench("status", path, "--state", state)
    assert "3 run(s) are in the queue already" in rtbench("run", path, "--state", state, *ON_SLURM)
    assert len(list((fake / "asked").iterdir())) == 1
    (fake / "drained").unlink()
    assert eventually(lambda: done(state) == 3 and not waiting(fake))
    assert places(path, state) == []


def test_time_limit_checkpoints_and_requeues_until_it_is_done(tmp_path, fake, uninterrupted):
    path, state = suite(tmp_path, steps=STEPS), tmp_path / "state"
    rtbench("run", path, "--state", state, *ON_SLURM)
    for stops in (1, 2):
        eventually(lambda: checkpoints(state, since=since(state)))
        (fake / "1.near").touch()
        eventually(lambda stops=stops: rows(state) and only(state)["attempt"] == stops)
    assert eventually(lambda: done(state)) == 1
    row = only(state)
    assert row["attempt"] == 3
    assert outcome_difference(row, uninterrupted) == []
    log = "".join(found.read_text() for found in (state / "slurm").glob("*.out"))
    assert "continues at" in log


def test_limit_that_comes_with_its_signal_loses_nothing(tmp_path, fake, uninterrupted):
    """As on a machine that stood still in between; the task goes on by itself if it could still requeue itself."""
    path, state = suite(tmp_path, steps=STEPS), tmp_path / "state"
    rtbench("run", path, "--state", state, *ON_SLURM)
    eventually(lambda: checkpoints(state))
    (fake / "1.near").touch()
    (fake / "1.limit").touch()
    eventually(lambda: done(state) == 1 or not waiting(fake))
    rtbench("run", path, "--state", state, *ON_SLURM, "--follow", "--poll-s", 0.2)
    assert outcome_difference(only(state), uninterrupted) == []


def test_cancelled_is_interrupted_and_continues_when_submitted_again(tmp_path, fake, uninterrupted):
    path, state = suite(tmp_path, steps=STEPS), tmp_path / "state"
    rtbench("run", path, "--state", state, *ON_SLURM)
    eventually(lambda: checkpoints(state))
    subprocess.run(["scancel", "1"], check=True)
    eventually(lambda: not waiting(fake))
    assert places(path, state) == ["gone"]
    assert only(state)["status"] == "interrupted"
    assert "rtbench run" in rtbench("status", path, "--state", state)
    rtbench("run", path, "--state", state, *ON_SLURM)
    assert eventually(lambda: done(state)) == 1
    assert outcome_difference(only(state), uninterrupted) == []


def test_vanished_without_a_word_is_gone_and_continues_when_submitted_again(tmp_path, fake, uninterrupted):
    path, state = suite(tmp_path, steps=STEPS), tmp_path / "state"
    rtbench("run", path, "--state", state, *ON_SLURM)
    eventually(lambda: checkpoints(state))
    worker = eventually(lambda: running_pid(state))
    assert places(path, state) == ["running"]
    os.kill(runner_of(worker), signal.SIGKILL)
    eventually(lambda: not waiting(fake))
    assert places(path, state) == ["gone"]
    rtbench("run", path, "--state", state, *ON_SLURM, "--follow", "--poll-s", 0.2)
    assert done(state) == 1
    assert outcome_difference(only(state), uninterrupted) == []


def test_queue_that_does_not_answer_is_told_of_and_nothing_is_submitted(tmp_path, fake):
    (fake / "drained").touch()
    path, state = suite(tmp_path), tmp_path / "state"
    rtbench("run", path, "--state", state, *ON_SLURM)
    (fake / "silent").touch()
    assert places(path, state) == ["unknown"]
    out = ended(start("run", path, "--state", state, *ON_SLURM), code=2)
    assert "Unable to contact slurm controller" in out
    assert "nothing was submitted" in out
    assert len(list((fake / "asked").iterdir())) == 1
    (fake / "silent").unlink()
    (fake / "1.cancel").touch()
    eventually(lambda: not waiting(fake))
    assert places(path, state) == ["gone"]
