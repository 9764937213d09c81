"""Against a real SLURM: what a time limit, a cancellation, a drained node leave is continued exactly."""

import json
from pathlib import Path

import one_machine
import pytest
from rtbench.results.schema import outcome_difference
from suites import checkpoints, done, eventually, only, places, rows, rtbench, status, suite

SLOWLY = '{ use = "acme/slow", id = "Hopper-v4" }'
STEPS = 1000
ON_SLURM = ("--executor", "slurm")
LONG_S = 900


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory, slow):
    """The row of a local run, in which steps take no time."""
    folder = tmp_path_factory.mktemp("local")
    path = suite(folder, steps=STEPS, environment=SLOWLY)
    rtbench("run", path, "--state", folder / "state", **slow | {"ACME_STEP_S": "0"})
    return only(folder / "state")


@pytest.fixture
def made(tmp_path):
    """A suite of one slow run, and its state."""
    return suite(tmp_path, steps=STEPS, environment=SLOWLY), tmp_path / "state"


@pytest.fixture(autouse=True)
def everywhere(slow, monkeypatch):
    for name, value in slow.items():
        monkeypatch.setenv(name, value)


def queue(cluster):
    """The states of the tasks in it."""
    return cluster.ask("squeue", "--noheader", "--array", "--format", "%T").split()


def told(state):
    """What tasks told in their logs, one line an event, in the order of their names."""
    lines = [line for path in sorted((state / "slurm").glob("*.out")) for line in path.read_text().splitlines()]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    about = [event.get("text") or ", ".join(run["status"] for run in event.get("runs", ())) for event in events]
    return "\n".join(f"{event['event']} {words}".rstrip() for event, words in zip(events, about, strict=True))


def test_time_limit_checkpoints_requeues_and_continues(made, log, cluster, uninterrupted):
    path, state = made
    log.typed("rtbench", "run", path, "--state", state, *ON_SLURM, "--time", "1min", "--stop-before", "20s")
    eventually(lambda: queue(cluster) == ["RUNNING"], LONG_S)
    log.typed("rtbench", "status", path, "--state", state)
    eventually(lambda: rows(state), LONG_S)
    log.typed("squeue", "--array")
    eventually(lambda: done(state) == 1, LONG_S)
    log.typed("rtbench", "status", path, "--state", state)
    log.say(told(state))
    row = only(state)
    assert row["attempt"] > 1, "it was never stopped"
    assert "continues at" in told(state)
    assert outcome_difference(row, uninterrupted) == []
    log.say(f"attempts: {row['attempt']}; outcome columns that differ from a local run: none")


def test_killed_by_its_time_limit_is_gone_and_continues_when_submitted_again(made, log, cluster, uninterrupted):
    """SLURM kills it at once, without a word before, as where a task does not answer in time."""
    path, state = made
    deaf = ("--time", "2min", "--stop-before", "20s", "--sbatch", "signal=KILL@20")
    log.typed("rtbench", "run", path, "--state", state, *ON_SLURM, *deaf, ACME_STEP_S="0.2")
    eventually(lambda: queue(cluster) == ["RUNNING"], LONG_S)
    eventually(lambda: not queue(cluster), LONG_S)
    assert checkpoints(state)
    assert not rows(state)
    assert places(path, state) == ["gone"]
    log.typed("rtbench", "status", path, "--state", state)
    log.typed("rtbench", "run", path, "--state", state, *ON_SLURM, "--time", "10min")
    eventually(lambda: done(state) == 1, LONG_S)
    log.say(told(state))
    assert "continues at" in told(state)
    assert outcome_difference(only(state), uninterrupted) == []
    log.say("outcome columns that differ from a local run: none")


def test_cancelled_is_interrupted_and_continues_when_submitted_again(made, log, cluster, uninterrupted):
    path, state = made
    log.typed("rtbench", "run", path, "--state", state, *ON_SLURM, "--time", "10min")
    eventually(lambda: checkpoints(state), LONG_S)
    log.typed("scancel", status(path, state)["handed_on"][0]["task"])
    eventually(lambda: not queue(cluster), LONG_S)
    assert places(path, state) == ["gone"]
    assert only(state)["status"] == "interrupted"
    log.typed("rtbench", "status", path, "--state", state)
    log.typed("rtbench", "run", path, "--state", state, *ON_SLURM, "--time", "10min")
    eventually(lambda: done(state) == 1, LONG_S)
    assert outcome_difference(only(state), uninterrupted) == []
    log.say("outcome columns that differ from a local run: none")


def test_drained_node_keeps_runs_queued_and_nothing_is_submitted_twice(made, log, cluster, monkeypatch):
    monkeypatch.setenv("ACME_STEP_S", "0")
    path, state = made
    update = ("scontrol", "update", f"NodeName={one_machine.NODE}")
    log.typed(*update, "State=DRAIN", "Reason=test")
    log.typed("rtbench", "run", path, "--state", state, *ON_SLURM, "--time", "10min")
    eventually(lambda: "DRAINED" in cluster.ask("squeue", "--noheader", "--format", "%r"))
    log.typed("rtbench", "status", path, "--state", state)
    assert places(path, state) == ["queued"]
    assert "in the queue already" in log.typed("rtbench", "run", path, "--state", state, *ON_SLURM)
    log.typed(*update, "State=RESUME")
    eventually(lambda: done(state) == 1, LONG_S)
    log.typed("rtbench", "status", path, "--state", state)


def test_same_leaderboard_as_local_runs(tmp_path, log):
    """`mujoco-delta --profile smoke`: the rows of both give leaderboards of one digest."""
    where = {"local": ("local", "--jobs", "1"), "slurm": ("slurm", "--time", "30min", "--follow")}
    digests = {}
    for name, how in where.items():
        state, results = tmp_path / name, tmp_path / f"{name}-results"
        log.typed("rtbench", "run", "mujoco-delta", "--profile", "smoke", "--state", state, "--executor", *how)
        exported = ("--state", state, "--results", results, "--allow-dirty")
        log.typed("rtbench", "results", "export", "mujoco-delta", *exported)
        log.typed("rtbench", "leaderboard", "build", "--results", results)
        digests[name] = (Path(results) / "leaderboards" / "DIGESTS").read_text()
        log.say(digests[name])
    assert digests["local"] == digests["slurm"]
