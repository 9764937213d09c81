"""A tiny suite and a real `rtbench` to run it with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
eval_every = 200
eval_episodes = 1
final_eval_episodes = 2
wall_limit = "{limit}"
retries = {retries}
[seeds]
base = 0
count = {seeds}
[axes]
environment = [{{ use = "mujoco", id = "Hopper-v4" }}]
architecture = [{{ use = "{architecture}", label = "net"{params} }}]
interaction = [{{ execution = "pipelined", delta = 1 }}]
learner = [{{ use = "sac", learning_starts = 50, batch_size = 16, critic_width = 16 }}]
[leaderboard]
metric = "eval_return"
reduce = "iqm"
group_by = ["architecture"]
"""


def suite(folder: Path, *, steps=600, limit="10min", retries=0, seeds=1, architecture="mlp", params=", width = 16"):
    path = folder / "tiny.toml"
    path.write_text(
        SUITE.format(steps=steps, limit=limit, retries=retries, seeds=seeds, architecture=architecture, params=params)
    )
    return path


def command(*arguments, background=False, **environment):
    """A real `rtbench`; in the background as a shell starts it there, with SIGINT ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "rtbench.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RTBENCH_CHECKPOINT_SECONDS": "0.2", "OMP_NUM_THREADS": "1"} | environment,
        start_new_session=True,
        # Set either way: what started the tests may itself have been started in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.SIG_DFL),
    )


def finished(process, timeout=240):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def run(path, state, *extra, **environment):
    return finished(command("run", path, "--state", state, *extra, **environment))


def only_row(state):
    rows = RowStore(FolderStore(state)).latest()
    assert len(rows) == 1
    return next(iter(rows.values()))
