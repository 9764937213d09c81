"""Schedulers by hand: states, answers, what they refuse."""

import dataclasses

import pytest

from rtbench.cell import Budget, Cell, Interaction
from rtbench.errors import SuiteError
from rtbench.parts import PartUse
from rtbench.plugins import build, part_class, use
from rtbench.schedulers.base import Steady

BLANK = PartUse("", "", 1, {})


def cell(name, **values):
    interaction = Interaction(use("schedulers", name), "sequential", 1.0, BLANK)
    return Cell(BLANK, BLANK, dataclasses.replace(interaction, **values), BLANK, BLANK, Budget(1))


def make(name, processes=1, step_ns=10, execution="sequential"):
    return build(use("schedulers", name)).make(processes, step_ns, execution)


def test_one_process_sequential_waits_for_the_next_observation():
    state = make("one-process")
    assert [state.start(0, now) for now in (0, 1, 10, 11)] == [0, 10, 10, 20]
    assert state.steady() is None
    assert state.register(0, 25, 25) == 25
    assert state.steady() == Steady(period_ns=30, hold_ns=0, at_least_ns=21, at_most_ns=30)


def test_one_process_pipelined_never_waits():
    state = make("one-process", execution="pipelined")
    assert [state.start(0, now) for now in (0, 1, 11)] == [0, 1, 11]
    assert state.register(0, 15, 15) == 15
    assert state.steady() == Steady(period_ns=15, hold_ns=0, at_least_ns=15, at_most_ns=15)


def test_staggered_max_by_hand():
    state = make("staggered-max", 4)
    # the first maximum, by process 1: dist(j, 1) = (1 − j) mod 4 = 1, 0, 3, 2
    assert state.register(1, 100, 100) == 100
    assert list(state.state) == [25, 0, 75, 50, 100]
    # a shorter inference is held until the maximum has passed
    assert state.register(0, 90, 90) == 100
    # an equal one changes nothing
    assert state.register(2, 100, 100) == 100
    assert list(state.state) == [25, 0, 75, 50, 100]
    # a longer one by 40, by process 3: dist(j, 3) = 3, 2, 1, 0, on top of what is pending
    assert state.register(3, 140, 140) == 140
    assert list(state.state) == [25 + 30, 20, 75 + 10, 50, 140]
    assert state.steady() is None
    # a wait is taken once
    assert [state.start(0, 200), state.start(0, 200)] == [255, 200]
    for process in range(4):
        state.start(process, 0)
    assert state.steady() == Steady(period_ns=140, hold_ns=140, at_least_ns=1, at_most_ns=140)


def test_waits_are_whole_nanoseconds_rounded_down():
    state = make("staggered-max", 3)
    state.register(0, 100, 100)
    assert list(state.state) == [0, 2 * 100 // 3, 100 // 3, 100]


@pytest.mark.parametrize(
    ("name", "values", "word"),
    [
        ("one-process", {"processes": 2}, "processes"),
        ("staggered-max", {"execution": "pipelined", "processes": 2}, "sequential"),
        ("staggered-max", {"execution": "instant"}, "sequential"),
        ("staggered-max", {"clock": "wall"}, "virtual"),
    ],
)
def test_unsupported_cells_get_a_reason(name, values, word):
    reason = part_class("schedulers", name).supports(cell(name, **values))
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("one-process", {"execution": "instant", "delta": 0.0}),
        ("one-process", {"execution": "pipelined"}),
        ("one-process", {}),
        ("staggered-max", {}),
        ("staggered-max", {"processes": 600}),
    ],
)
def test_supported_cells(name, values):
    assert part_class("schedulers", name).supports(cell(name, **values)) is None


@pytest.mark.parametrize(
    ("name", "processes", "execution"),
    [("one-process", 2, "sequential"), ("staggered-max", 0, "sequential"), ("staggered-max", 2, "pipelined")],
)
def test_make_refuses_what_cannot_run(name, processes, execution):
    with pytest.raises(SuiteError):
        make(name, processes, 10, execution)
