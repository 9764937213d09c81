"""A tiny suite, a real `rtbench` to run it with, a learner that fails as it is told, a store in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from helpers.distribution import write_distribution

from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore, KeyTaken

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
eval_every = {eval_every}
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
learner = [{learner}]
[leaderboard]
metric = "eval_return"
reduce = "iqm"
group_by = ["architecture"]
"""


SAC = '{ use = "sac", learning_starts = 50, batch_size = 16, critic_width = 16 }'
SCRIPTED = """
import os, time
from dataclasses import dataclass
from pathlib import Path
from rtbench.learners.base import Outcome
from rtbench.parts import Learner, param

@dataclass(frozen=True)
class Params:
    how: str = param("ok", doc="what it does at its second unit")
    unit_s: float = param(0.0, unit="s", doc="how long a unit takes")

class Program:
    def __init__(self, seeds, total, params):
        self.seeds, self.total_units, self.p, self.done_units, self.told = seeds, total, params, 0, False
    @property
    def done(self):
        return self.done_units >= self.total_units
    def advance(self):
        if self.done_units == 1:
            self.misbehave(self.p.how)
        time.sleep(self.p.unit_s)
        self.done_units += 1
    def misbehave(self, how):
        if how == "hang":
            Path(os.environ["ACME_MARK"]).touch()
            time.sleep(1000)
        if how == "memory":
            import torch
            torch.empty(1 << 60)
        if how == "die":
            os.kill(os.getpid(), 9)
        if how == "exit75":
            os._exit(75)
        if how == "once" and not Path(os.environ["ACME_MARK"]).exists():
            Path(os.environ["ACME_MARK"]).touch()
            raise RuntimeError("only the first time")
    def metrics(self):
        found = {f"eval_return/{i}": float("nan") if self.p.how == "nan" or self.p.how == f"nan{s}" else 1.0
                 for i, s in enumerate(self.seeds)}
        return [{"step": 1.0, **found}]
    def outcomes(self):
        scores = [float("nan") if self.p.how == f"nan{seed}" else float(seed) for seed in self.seeds]
        more = {"env_steps": self.done_units}
        if self.p.how == "threads":
            import torch
            more["train_return_mean"] = float(torch.get_num_threads())
        return [Outcome({"eval_return_final": score, **more}) for score in scores]
    def state(self):
        return {"done_units": self.done_units}
    def policies(self, run_ids):
        return []

    def appended(self):
        return {}
    def restore(self, state, segments):
        self.done_units = state["done_units"]

class Scripted(Learner):
    Params = Params
    def make(self, batch):
        return Program(batch.seeds, batch.cell.budget.steps, self.params)
"""


def suite(
    folder: Path,
    *,
    steps=600,
    limit="10min",
    retries=0,
    seeds=1,
    architecture="mlp",
    params=", width = 16",
    learner=SAC,
):
    path = folder / "tiny.toml"
    given = {
        "steps": steps,
        "eval_every": min(200, steps),
        "limit": limit,
        "retries": retries,
        "seeds": seeds,
        "learner": learner,
    }
    path.write_text(SUITE.format(**given, architecture=architecture, params=params))
    return path


def scripted(folder: Path, *how, unit_s=0.0, **more):
    """A suite whose learners train nothing and do as they are told; the environment in which they are installed."""
    points = "[rtbench.learners]\nacme/scripted = acme_scripted:Scripted\n"
    site = folder / "scripted-site"
    if not site.exists():
        write_distribution(site, "acme-scripted", points, {"acme_scripted.py": SCRIPTED})
    learners = [f'{{ use = "acme/scripted", label = "{one}", how = "{one}", unit_s = {unit_s} }}' for one in how]
    environment = {"PYTHONPATH": str(site), "ACME_MARK": str(folder / "mark")}
    return suite(folder, learner=", ".join(learners), **more), environment


class MemoryStore:
    """The four verbs over a dictionary."""

    def __init__(self):
        self.values = {}

    def read(self, key):
        return self.values[key]

    def list(self, prefix=""):
        return sorted(key for key in self.values if key.startswith(prefix))

    def replace(self, key, value):
        self.values[key] = value

    def write_new(self, key, value):
        if key in self.values:
            raise KeyTaken(key)
        self.values[key] = value


def eventually(condition, timeout_s=40):
    """What the condition gives once it gives something; None if it never does."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    return None


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
