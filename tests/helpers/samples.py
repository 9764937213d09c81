"""Cells, rows and suites for tests: built by hand, or from parts of a distribution made for the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtbench.cell import Budget, Cell, Interaction
from rtbench.parts import PartUse
from rtbench.results.rows import RowStore
from rtbench.results.schema import new_row
from rtbench.results.store import FolderStore
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite

PARTS = '''
from dataclasses import dataclass
from rtbench.parts import Architecture, Backend, Environment, Learner, param


@dataclass(frozen=True)
class World(object):
    id: str = param("A-v0", doc="which")


@dataclass(frozen=True)
class Net(object):
    layers: int = param(3, unit="layers", doc="depth")
    gain: float = param(1.0, doc="scale")


@dataclass(frozen=True)
class Learn(object):
    rate: float = param(0.001, doc="learning rate")
    random_ticks: int = param(100, unit="ticks", doc="random at first")


class FakeWorld(Environment):
    """A world for tests."""
    Params = World
    def make(self, render_mode=None): raise RuntimeError
    def spec(self): raise RuntimeError


class FakeNet(Architecture):
    """A network for tests."""
    Params = Net
    @classmethod
    def supports(cls, cell):
        return "nine layers are too many" if cell.architecture.params["layers"] == 9 else None
    def make(self, shape): raise RuntimeError


class NeedyNet(FakeNet):
    """Needs a package that nobody has."""
    requires = ("no_such_package_anywhere",)
    extra = "rtbench[needy]"


class FakeLearner(Learner):
    """A learner for tests."""
    Params = Learn
    def make(self, batch): raise RuntimeError


class FakeBackend(Backend):
    """A backend for tests."""
    def make(self, spec, parameters): raise RuntimeError
'''
ENTRY_POINTS = """
[rtbench.environments]
fake/world = rtbench_fake_parts:FakeWorld
[rtbench.architectures]
fake/net = rtbench_fake_parts:FakeNet
fake/needy = rtbench_fake_parts:NeedyNet
[rtbench.learners]
fake/learner = rtbench_fake_parts:FakeLearner
[rtbench.backends]
fake/backend = rtbench_fake_parts:FakeBackend
"""
SUITE = """\
schema_version = 1

[suite]
name = "tiny"
title = "A tiny suite"
source = "nowhere"
revision = 1

[budget]
steps = 1_000
unit = "ticks"
eval_every = 500
eval_episodes = 2
final_eval_episodes = 4
wall_limit = "1h"

[profiles.short]
steps = 500
seeds = { base = 0, count = 2 }

[profiles.smoke]
steps = 500
seeds = { base = 7, count = 1 }
only = [{ architecture = { label = "net" }, interaction = { delta = [1, 2] } }]
override = { learner = { random_ticks = 5 } }

[seeds]
base = 0
count = 3

[axes]
environment = [{ use = "fake/world", id = "A-v0" }, { use = "fake/world", id = "B-v0" }]
architecture = [
    { use = "fake/net", label = "net" },
    { use = "fake/net", layers = 9, label = "deep" },
]
interaction = [
    { execution = "pipelined", delta = 1 },
    { execution = "pipelined", delta = 2.0 },
]
learner = "fake/learner"
backend = "fake/backend"

[[cells]]
architecture = { use = "fake/net", label = "base" }
interaction = { execution = "instant" }

[[exclude]]
why = "too deep for B"
match = { architecture = { layers = 9 }, environment = { id = "B-v0" } }

[leaderboard]
group_by = ["architecture", "environment.id", "interaction.delta"]
normalise = { against = { interaction = { execution = "instant" } } }

[published]
table = "tiny.csv"
ignore = [{ method = "other", why = "not ours" }]
"""
PUBLISHED = """\
family,environment,method,delta,mean,spread,metric,spread_kind,ticks,source,seeds
fake,A-v0,base,0,100,5,return,se,1000,Table 1,3
fake,A-v0,net,1,50,,return,,1000,Table 1,3
fake,A-v0,other,1,70,1,return,se,1000,Table 1,3
"""


def install_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with the parts `fake/…`, on the path for this test."""
    info = folder / "rtbench_fake-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rtbench-fake\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "rtbench_fake_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(folder))


def write_suite(folder: Path, *changes: tuple[str, str]) -> str:
    """The tiny suite in a folder, with texts replaced; answers its path."""
    text = SUITE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.csv").write_text(PUBLISHED)
    path = folder / "tiny.toml"
    path.write_text(text)
    return str(path)


def hand_cell(*, environment: str = "A-v0", delta: float = 1.0, steps: int = 1000, layers: int = 3) -> Cell:
    """A cell of parts that exist nowhere."""
    return Cell(
        environment=PartUse("environments", "x/world", 1, {"id": environment}),
        architecture=PartUse("architectures", "x/net", 1, {"layers": layers}, "net"),
        interaction=Interaction(
            scheduler=PartUse("schedulers", "one-process", 1, {}),
            execution="pipelined" if delta else "instant",
            delta=delta,
            default_policy=PartUse("default_policies", "repeat-last", 1, {}),
        ),
        learner=PartUse("learners", "x/learner", 1, {"rate": 0.001}),
        backend=PartUse("backends", "x/backend", 1, {}),
        budget=Budget(steps, eval_every=500, eval_episodes=2, final_eval_episodes=4),
    )


def hand_row(cell: Cell | None = None, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A plausible row; keyword arguments replace columns."""
    cell = cell or hand_cell()
    steps = cell.budget.steps
    identity = {name: changes.pop(name) for name in ("suite", "suite_revision", "attempt") if name in changes}
    outcome = {
        "status": "ok",
        "eval_return_final": 50.0 + seed,
        "eval_return_auc": 40.0,
        "eval_step": [steps // 2, steps],
        "eval_return": [30.0, 50.0 + seed],
        "episodes": 12,
        "ticks": steps,
        "env_steps": steps,
        "observation_age_p50_steps": 1.0,
        "oldest_age_p50_steps": 3.0,
        "inaction_share": 0.0,
    }
    row = new_row(
        cell,
        seed,
        suite=identity.get("suite", "tiny"),
        suite_revision=identity.get("suite_revision", 1),
        attempt=identity.get("attempt", 1),
        outcome=outcome,
        machine={"machine_class": "test", "threads": 1},
        provenance={"dirty": False, "started_utc": "2026-01-02T03:04:05+00:00"},
    )
    return {**row, **changes}


def suite_with_three_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "", **columns: Any) -> str:
    """A suite (and `more` in its file) beside three runs of one cell in the local state of `folder`, to work in."""
    install_parts(folder / "site", monkeypatch)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RTBENCH_STATE", raising=False)
    path = Path(write_suite(folder / "suites"))
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    cell = expand(load_suite(str(path)))[0].cell
    rows = RowStore(FolderStore(".rtbench"))
    for seed, value in enumerate([40.0, 50.0, 66.0]):
        rows.write(hand_row(cell, seed, eval_return_final=value, **columns))
    monkeypatch.setattr("rtbench.suites.model.find_suite", lambda name, **_: path)
    return str(path)
