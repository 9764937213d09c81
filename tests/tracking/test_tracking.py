"""Trackers are told what runs tell, are off unless asked for, and never a run's trouble."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from helpers.cells import small_cell
from helpers.samples import hand_row

from rtbench import hookspecs, plugins, tracking
from rtbench.errors import RtbenchError, SuiteError
from rtbench.tracking import Tracking, asked, describe, told_of

RUN = "ab" * 32
OTHER = "cd" * 32


class Kept:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def start(self, run: tracking.Run) -> None:
        self.told.append(("start", run.run_id))

    def log(self, run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
        self.told.append((run_id, step, unit, metrics))

    def finish(self, run_id: str, status: str, numbers: dict[str, float]) -> None:
        self.told.append(("finish", run_id, status, numbers["eval_return_final"]))


class Failing(Kept):
    """One whose disk is full when it is told numbers."""

    def log(self, run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture
def cell() -> dict[str, Any]:
    """The plain data of a small cell, as the hook is told it."""
    data: dict[str, Any] = small_cell().data()
    return data


def go_through(plugin: Tracking, cell: dict[str, Any], folder: Path) -> list[str]:
    """All hooks as a worker calls them; the warnings."""
    manager = pluggy.PluginManager("rtbench")  # without the one that is registered
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    given: list[tuple[str, dict[str, Any]]] = [
        ("rtbench_configure", {"state_folder": str(folder)}),
        ("rtbench_run_started", {"run_id": RUN, "cell": cell, "seed": 3, "attempt": 1}),
        ("rtbench_metrics", {"run_id": RUN, "step": 10, "unit": "ticks", "metrics": {"eval_return": 1.5}}),
        ("rtbench_metrics", {"run_id": RUN, "step": 20, "unit": "ticks", "metrics": {"eval_return": 2.5}}),
        ("rtbench_run_finished", {"run_id": RUN, "row": hand_row(seed=3)}),
    ]
    return [problem for hook, told in given for problem in plugins.call_each(getattr(manager.hook, hook), told)[1]]


def test_off_it_keeps_and_writes_nothing(cell: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tracking.VARIABLE, raising=False)
    plugin = Tracking()
    assert go_through(plugin, cell, tmp_path) == []
    assert plugin._trackers == {}
    assert list(tmp_path.iterdir()) == []


def test_off_it_imports_neither() -> None:
    code = (
        "import sys; from rtbench import plugins; manager, broken = plugins.hooks(); assert not broken\n"
        "manager.hook.rtbench_configure(state_folder='nowhere')\n"
        "assert any(name == 'tracking' for name, _ in manager.list_name_plugin())\n"
        "print([name for name in ('torch', 'tensorboard', 'wandb', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_tracker_is_told_in_order_and_a_failing_one_once(
    cell: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, failing = Kept(), Failing()
    monkeypatch.setattr(tracking, "asked", lambda: ["tensorboard", "wandb"])
    monkeypatch.setattr(tracking, "_open", lambda name, state: failing if name == "tensorboard" else kept)
    problems = go_through(Tracking(), cell, tmp_path)
    assert kept.told == [
        ("start", RUN),
        (RUN, 10, "ticks", {"eval_return": 1.5}),
        (RUN, 20, "ticks", {"eval_return": 2.5}),
        ("finish", RUN, "ok", 53.0),
    ]
    assert failing.told == [("start", RUN)]
    assert len(problems) == 1
    assert "tensorboard is switched off for the rest of the run (OSError" in problems[0]


def test_a_run_is_described_by_all_it_was_given(cell: dict[str, Any]) -> None:
    run = describe(RUN, cell, 3)
    assert run.name.endswith("seed 3 abababab")
    assert run.name.startswith(run.group)
    assert run.group == describe(OTHER, cell, 4).group
    assert run.config["interaction.execution"] == cell["interaction"]["execution"]
    assert run.config["budget.steps"] == cell["budget"]["steps"]
    assert {type(value) for value in run.config.values()} <= {bool, int, float, str}


def test_what_is_told_of_a_row_are_results_and_no_versions() -> None:
    told = told_of(hand_row(extras={"x/y": 2.0}))
    assert (told["eval_return_final"], told["x/y"]) == (50.0, 2.0)
    assert not {"schema_version", "seed", "architecture_revision"} & set(told)


def test_names_are_checked_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("") == []
    assert asked(" TensorBoard,tensorboard ") == ["tensorboard"]
    with pytest.raises(SuiteError) as caught:
        asked("tensorbord")
    assert caught.value.nearest == "tensorboard"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RtbenchError, match=r"rtbench\[wandb\]"):
        asked("wandb")
    monkeypatch.setenv(tracking.VARIABLE, "nothing")
    with pytest.raises(SuiteError):
        asked()


def test_weights_and_biases_is_given_one_run_for_each(
    cell: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in; `tox -e tracking` runs the real one, offline."""
    opened: list[dict[str, Any]] = []

    class Opened:
        def __init__(self, **given: Any) -> None:
            self.given, self.logged, self.summary = given, [], {}
            self.metric: tuple[Any, ...] = ()
            self.code: int | None = None
            opened.append({"run": self})

        def define_metric(self, name: str, step_metric: str) -> None:
            self.metric = (name, step_metric)

        def log(self, values: dict[str, float]) -> None:
            self.logged.append(values)

        def finish(self, exit_code: int) -> None:
            self.code = exit_code

    stand_in = SimpleNamespace(init=lambda **given: Opened(**given), Settings=lambda **given: given)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    from rtbench.tracking.weights_and_biases import WeightsAndBiases

    tracker = WeightsAndBiases(tmp_path)
    for run_id, seed in ((RUN, 0), (OTHER, 1)):  # a batch: both open at a time
        tracker.start(describe(run_id, cell, seed))
    tracker.log(RUN, 5, "ticks", {"eval_return": 1.0})
    tracker.log(OTHER, 5, "ticks", {"eval_return": 2.0})
    tracker.finish(RUN, "ok", {"eval_return_final": 9.0})
    tracker.finish(OTHER, "failed", {})
    first, second = (found["run"] for found in opened)
    assert (first.given["id"], first.given["resume"], first.given["reinit"]) == (RUN[:32], "allow", "create_new")
    assert first.given["settings"] == {"console": "off", "silent": True}
    assert first.given["group"] == second.given["group"] != first.given["name"]
    assert first.metric == ("*", "step")
    assert first.logged == [{"eval_return": 1.0, "step": 5, "ticks": 5}]
    assert first.summary == {"row/eval_return_final": 9.0, "status": "ok"}
    assert (first.code, second.code) == (0, 1)
