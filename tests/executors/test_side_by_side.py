"""Many runners on one state folder: every run is committed once, none is lost, whoever dies or sleeps."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

from helpers.executors_common import command, eventually, finished, run, scripted, suite

from rtbench.results.rows import RowStore
from rtbench.results.schema import outcome_difference
from rtbench.results.store import FolderStore

RUNS, RUNNERS, LEASE_S = 12, 8, 3


def leases(state):
    """Every run's newest lease: (path, content)."""
    found = {path.parent.name: path for path in sorted(Path(state).glob("leases/*/*.json"))}
    return [(path, json.loads(path.read_text())) for path in found.values()]


def ancestors(pid):
    """A process, its parent, and so on."""
    found = []
    while pid > 1:
        found.append(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return []
    return found


def worker_of(state, runner, ended=()):
    """(lease file, worker's pid) of a run that this runner's worker is at; None if there is none now."""
    for path, lease in leases(state):
        pid = lease["holder"]["pid"]
        if not lease["released"] and pid != runner and runner in ancestors(pid) and path.parent.name not in ended:
            return path, pid
    return None


def rows(state):
    return RowStore(FolderStore(state)).rows()


def test_eight_at_once_four_killed_one_asleep(tmp_path):
    path, state = suite(tmp_path, steps=350, seeds=RUNS), tmp_path / "state"
    timing = {"RTBENCH_LEASE_SECONDS": str(LEASE_S)}
    runners = [command("run", path, "--state", state, "--jobs", "1", **timing) for _ in range(RUNNERS)]
    sleeper, killed, left = runners[0], runners[1:5], runners[5:]
    try:
        # One and its worker are stopped in the middle of a run; another takes the run over when the lease is over.
        lease, worker = eventually(lambda: worker_of(state, sleeper.pid))
        os.kill(sleeper.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGSTOP)
        asleep, as_left = lease.parent.name, lease.read_bytes()
        for runner in killed:  # wherever they are: starting, training, writing
            found = worker_of(state, runner.pid)
            if found:
                os.kill(found[1], signal.SIGKILL)
            os.killpg(runner.pid, signal.SIGKILL)
        assert eventually(lambda: len(list(Path(state).glob(f"leases/{asleep}/*.json"))) > 1)
        os.kill(worker, signal.SIGCONT)
        os.kill(sleeper.pid, signal.SIGCONT)
        ends = [finished(runner, timeout=120) for runner in [sleeper, *left]]
    finally:
        for runner in runners:
            runner.kill()
            runner.communicate()
    for code, out, err in ends:
        assert code == 0, out + err
        assert f"({RUNS}/{RUNS})" in out  # each of them knows of all runs, its own and those of others
    assert "another runner has taken over" in ends[0][2]
    assert lease.read_bytes() == as_left, "an overtaken worker wrote"
    assert Counter(row["status"] for row in rows(state)) == {"ok": RUNS}
    assert len({row["run_id"] for row in rows(state)}) == RUNS
    assert not list(Path(state).glob("checkpoints/*"))

    code, out, err = run(path, tmp_path / "undisturbed")
    assert code == 0, out + err
    alone = {row["run_id"]: row for row in rows(tmp_path / "undisturbed")}
    assert [outcome_difference(alone[row["run_id"]], row) for row in rows(state)] == [[]] * RUNS


def test_what_another_runner_works_on_is_not_waited_for_if_so_asked(tmp_path):
    path, environment = scripted(tmp_path, "hang", steps=4)
    state = tmp_path / "state"
    first = command("run", path, "--state", state, RTBENCH_LEASE_SECONDS="5", **environment)
    try:
        assert eventually((tmp_path / "mark").exists)
        code, out, err = run(path, state, "--no-wait", **environment)
        assert code == 0, out + err
        assert f"not waiting for 1 run(s) of other runners ({os.uname().nodename}, pid " in err
        status = json.loads(finished(command("status", path, "--state", state, "--json", **environment))[1])
        assert status["counts"] == {"missing": 1}
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


def test_a_dead_runner_is_succeeded_by_one_that_waits(tmp_path):
    """The one that waits says so, and goes on from the checkpoint at once: it need not wait for the lease's end."""
    path, environment = scripted(tmp_path, "once", steps=40, unit_s=0.05)
    (tmp_path / "mark").touch()  # it has failed before: now it only trains
    state = tmp_path / "state"
    first = command("run", path, "--state", state, **environment)
    assert eventually(lambda: list(Path(state).glob("checkpoints/*/state-*.pt")))
    second = command("run", path, "--state", state, **environment)
    assert "waiting for 1 run(s)" in second.stderr.readline()
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    code, out, err = finished(second)
    assert code == 0, out + err
    assert [row["status"] for row in rows(state)][-1] == "ok"
