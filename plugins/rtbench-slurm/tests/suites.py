"""A tiny suite, and a real `rtbench` to run it with."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rtbench.results.rows import RowStore
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
eval_every = 100
eval_episodes = 1
final_eval_episodes = 2
retries = 0
[seeds]
count = {seeds}
[axes]
environment = {environment}
architecture = {{ use = "mlp", layers = 2, width = 16 }}
interaction = {{ execution = "pipelined", delta = 1 }}
learner = {learner}
[leaderboard]
group_by = ["architecture"]
"""
HOPPER = '{ use = "mujoco", id = "Hopper-v4" }'
SAC = '{ use = "sac", learning_starts = 50, batch_size = 16, critic_width = 16 }'


def suite(folder, *, steps=300, seeds=1, environment=HOPPER):
    """Its path."""
    path = folder / "tiny.toml"
    path.write_text(SUITE.format(steps=steps, seeds=seeds, environment=environment, learner=SAC))
    return path


def rtbench(*arguments, **environment):
    """What a real `rtbench` prints on both streams; it ends with 0."""
    return ended(start(*arguments, **environment))


def start(*arguments, **environment):
    """A real `rtbench`, in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "rtbench.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"RTBENCH_CHECKPOINT_SECONDS": "0.2", "OMP_NUM_THREADS": "1"} | environment,
    )


def ended(process, code=0):
    """What it printed; it ends with the code."""
    out, _ = process.communicate(timeout=1500)
    assert process.returncode == code, out
    return out


def status(path, state):
    """As `rtbench status --json` tells it."""
    process = start("status", path, "--state", state, "--json")
    return json.loads(ended(process))


def places(path, state):
    """Where the runs are that were handed on, in the order of their tasks."""
    return [found["where"] for found in sorted(status(path, state)["handed_on"], key=lambda found: found["task"])]


def rows(state):
    """The newest row of each run, by its id."""
    return dict(RowStore(FolderStore(state)).latest())


def only(state):
    """The newest row of the only run."""
    found = rows(state)
    assert len(found) == 1
    return next(iter(found.values()))


def done(state):
    """How many runs have a result."""
    return sum(row["status"] == "ok" for row in rows(state).values())


def running_pid(state):
    """The process that told last how far its run is; None before."""
    told = [json.loads(path.read_text())["pid"] for path in (state / "progress").glob("*.json")]
    return told[0] if told else None


def runner_of(worker):
    """The process that started the warm parent of a worker."""
    for _ in range(2):
        worker = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    return worker


def checkpoints(state, *, since=0.0):
    """Those that are newer than a time."""
    return [found for found in (state / "checkpoints").glob("*/state-*") if found.stat().st_mtime > since]


def eventually(condition, timeout_s=240):
    """What the condition gives once it gives something; it is asked often, so it starts no `rtbench`."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
    return found
