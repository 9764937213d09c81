"""A tiny suite, a real `rtbench` that runs it, and the death of a machine."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rtbench.results.rows import RowStore
from rtbench.results.schema import outcome_difference
from rtbench.results.store import FolderStore

SUITE = """
schema_version = 1
[suite]
name = "tiny"
title = "Tiny"
source = "a test"
revision = 1
[budget]
steps = {steps}
unit = "ticks"
eval_every = 200
eval_episodes = 1
final_eval_episodes = 2
wall_limit = "10min"
retries = 0
[seeds]
base = 0
count = {seeds}
[axes]
environment = [{{ {environment} }}]
architecture = [{{ use = "mlp", layers = 2, width = 16, label = "net" }}]
interaction = [{{ execution = "pipelined", delta = 1 }}]
learner = [{{ {learner} }}]
[leaderboard]
metric = "eval_return"
reduce = "iqm"
group_by = ["architecture"]
"""


COUNTING = {"environment": 'use = "clock", steps = 40', "learner": 'use = "acme/counting", label = "counting"'}
SAC = {
    "environment": 'use = "mujoco", id = "Hopper-v4"',
    "learner": 'use = "sac", label = "SAC", learning_starts = 50, batch_size = 16, critic_width = 16',
}


def suite(folder, *, steps=600, seeds=1, trained=COUNTING):
    path = Path(folder) / "tiny.toml"
    path.write_text(SUITE.format(steps=steps, seeds=seeds, **trained))
    return path


def command(*arguments, **environment):
    """A real `rtbench`, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "rtbench.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RTBENCH_CHECKPOINT_SECONDS": "0.2", "OMP_NUM_THREADS": "1"} | environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finished(process, timeout=240):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def eventually(condition, timeout_s=60):
    """What the condition gives once it gives something; None if it never does."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    return None


def checkpoints(state):
    return list(Path(state).glob("checkpoints/*/state-*"))


def rows(state):
    return RowStore(FolderStore(state)).rows()


def once_each(state, runs):
    """Every run has one result, and those of `runs` are all."""
    done = Counter(row["run_id"] for row in rows(state) if row["status"] == "ok")
    assert len(done) == runs, done
    assert set(done.values()) == {1}, done


def same_outcomes(state, other):
    """The results in one state are those in the other, to the last bit."""
    ours, theirs = ({row["run_id"]: row for row in rows(place) if row["status"] == "ok"} for place in (state, other))
    assert ours.keys() == theirs.keys()
    assert [outcome_difference(row, theirs[run_id]) for run_id, row in ours.items()] == [[]] * len(ours)


def kill_all(pids):
    """As when a machine loses its power: processes and all that descend from them, none of which gets to say a word."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    doomed, left = [], list(pids)
    while left:
        doomed.append(left.pop())
        left += children.get(doomed[-1], [])
    for number in (signal.SIGSTOP, signal.SIGKILL):  # first none may act any more, so that none sees another's end
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    return doomed


def processes_with(variable):
    """Processes whose environment has NAME=value."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def arguments_of(pid):
    """Its command line; nothing if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
