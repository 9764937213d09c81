"""Where runs are that an executor handed on: the latest task counts, and the executor's queue is asked."""

from __future__ import annotations

import pytest
from helpers.distribution import write_distribution

from rtbench.executors.handed import HANDED, Handed, Place, whereabouts, write
from rtbench.results.store import FolderStore

QUEUE = """
from dataclasses import dataclass
from rtbench.errors import RtbenchError
from rtbench.parts import Executor

class Queue(Executor):
    "Knows two tasks."
    def make(self, state, tell): ...
    def queued(self, tasks):
        assert list(tasks) == sorted(set(tasks)), tasks
        known = {"7_0": ("queued", "Resources"), "8_0": ("running", "n1")}
        return {task: known[task] for task in tasks if task in known}

class Silent(Executor):
    "Does not answer."
    def make(self, state, tell): ...
    def queued(self, tasks):
        raise RtbenchError("no answer")
"""
NAME = "acme/queue"


@pytest.fixture
def store(tmp_path, monkeypatch):
    points = "[rtbench.executors]\nacme/queue = acme_queue:Queue\nacme/silent = acme_queue:Silent\n"
    monkeypatch.syspath_prepend(
        str(write_distribution(tmp_path / "site", "acme-queue", points, {"acme_queue.py": QUEUE}))
    )
    return FolderStore(tmp_path / "state")


def test_each_run_is_where_its_latest_task_is(store):
    write(store, Handed(NAME, {"7_0": ("a", "b"), "7_1": ("c",)}))
    write(store, Handed(NAME, {"8_0": ("b",)}))
    assert whereabouts(store, {"a", "b", "c", "d"}) == {
        "a": Place(NAME, "7_0", "queued", "Resources"),
        "b": Place(NAME, "8_0", "running", "n1"),
        "c": Place(NAME, "7_1", "gone", ""),
    }


def test_runs_of_others_are_not_asked_for(store):
    write(store, Handed(NAME, {"7_0": ("a",)}))
    assert whereabouts(store, {"x"}) == {}


def test_executor_that_cannot_answer_leaves_its_runs_unknown_with_the_reason(store):
    write(store, Handed("acme/silent", {"1": ("a",)}))
    write(store, Handed("acme/removed", {"1": ("b",)}))
    write(store, Handed(NAME, {"8_0": ("c",)}))
    found = whereabouts(store, {"a", "b", "c"})
    assert found["a"] == Place("acme/silent", "1", "unknown", "no answer")
    assert found["b"].where == "unknown"
    assert "acme/removed" in found["b"].words
    assert found["c"].where == "running"


@pytest.mark.parametrize("damaged", [b"", b"{}", b"[]", b'{"executor": "x", "tasks": 3}', b"\xff"])
def test_what_cannot_be_read_hides_nothing_else(store, damaged):
    store.replace(f"{HANDED}/20000101T000000.000000-damaged.json", damaged)
    write(store, Handed(NAME, {"7_0": ("a",)}))
    assert set(whereabouts(store, {"a"})) == {"a"}
