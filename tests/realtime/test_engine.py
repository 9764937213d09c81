"""The wall clock with real processes: every action applied is the one its timeline names, whatever the machine does."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from helpers.provenance import LATENCY, check_provenance
from helpers.wall_worlds import NOTHING, RANDOM, STEP_NS, Counting, Telling, run_counting, state_of

from rtbench.cell import Latency
from rtbench.interaction.exploration import Exploration
from rtbench.interaction.latency import LatencyModel
from rtbench.interaction.timeline import NEVER
from rtbench.realtime import ProcessFailed
from rtbench.realtime.engine import Limits
from rtbench.schedulers.base import SchedulerState

SCHEDULERS: list[tuple[str, int, dict[str, Any]]] = [
    ("one-process", 1, {}),
    ("sequential", 1, {}),
    ("async", 1, {}),
    ("chunked", 1, {"actions": 3}),
    *(("staggered-max", processes, {}) for processes in (1, 2, 4)),
    *(("staggered-expected", processes, {}) for processes in (2, 3)),
    *(("staggered-slots", processes, {}) for processes in (1, 2, 3, 4)),
]


@pytest.mark.parametrize(("name", "processes", "params"), SCHEDULERS)
def test_every_scheduler_applies_what_its_timeline_says(name: str, processes: int, params: dict[str, Any]) -> None:
    world, found = run_counting(state_of(name, processes, **params), processes, latency=LATENCY)
    (stretch,) = found.stretches
    line = stretch.timeline
    assert line.steps == len(world.applied) == len(stretch.rewards) == len(stretch.lateness_ns) == 50
    assert stretch.rewards.tolist() == list(range(1, 51))
    check_provenance(world, stretch)
    assert set(line.process.tolist()) == set(range(processes))
    assert (line.source >= 0).any()
    took = found.inference_ns
    assert (took >= 2.6 * STEP_NS).all(), "an emulated inference lasts at least as long as it is to"
    # A step that begins late sees what has come by then: age and lateness together make the time that passed.
    newest, _ = line.ages(holds=True)
    assert (newest.compressed() * STEP_NS + stretch.lateness_ns[~newest.mask] >= 2.6 * STEP_NS).all()
    assert line.chunk == params.get("actions", 1)


def test_genuine_time_counts_where_none_is_emulated() -> None:
    class Slow(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            time.sleep(2.2 * STEP_NS / 1e9)
            return super().act(observation, applied)

    world, found = run_counting(state_of("staggered-max", 2), 2, make_actor=lambda process, _: Slow(process))
    check_provenance(world, found.stretches[0])
    assert (found.inference_ns >= 2.2 * STEP_NS).all()


def test_the_observation_comes_with_the_action_that_was_applied_on_it() -> None:
    class Recalling(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            answer = super().act(observation, applied)
            answer[4] = 1000 * applied[3]  # the read step of the action applied on what is read now
            return answer

    world, _ = run_counting(
        state_of("staggered-max", 3), 3, make_actor=lambda process, _: Recalling(process), latency=LATENCY
    )
    read_of = {step: action[3] for step, action in enumerate(world.applied)}
    told = [(action[3], action[4] // 1000) for action in world.applied if action[0] != NOTHING]
    assert len(told) > 5
    for read_step, before in told:
        assert before == read_of[read_step]


def test_the_clock_runs_on_through_resets_and_what_is_old_is_dropped() -> None:
    world = Counting(episode_steps=13)
    _, found = run_counting(state_of("staggered-max", 3), 3, world=world, latency=LATENCY, limits=Limits(episodes=4))
    (stretch,) = found.stretches
    line = stretch.timeline
    assert line.steps == 52
    assert line.resets == (13, 26, 39)
    assert stretch.lengths == (13,) * 4
    assert found.returns == (13 * 14 / 2,) * 4
    check_provenance(world, stretch)
    for (episode, step), action in zip(world.observed, world.applied, strict=True):
        if action[0] != NOTHING:
            assert action[2] == episode, f"step {step} acts on an observation of an earlier episode"


def test_the_clock_rests_between_episodes() -> None:
    world = Counting(episode_steps=11, rests=True)
    _, found = run_counting(
        state_of("staggered-slots", 2), 2, world=world, latency=LATENCY, limits=Limits(episodes=3), restart=True
    )
    assert len(found.stretches) == 3
    first = 0
    for stretch in found.stretches:
        assert stretch.lengths == (11,)
        assert stretch.timeline.resets == ()
        check_provenance(world, stretch, first)
        assert stretch.timeline.started_ns[0] < 11 * STEP_NS
        first += stretch.timeline.steps
    assert found.lengths == (11,) * 3
    with pytest.raises(Exception, match="3 timelines"):
        _ = found.timeline


def test_random_actions_take_no_time_and_are_told() -> None:
    world, found = run_counting(
        state_of("staggered-max", 2),
        2,
        steps=80,
        latency=LATENCY,
        exploration=Exploration(0.5, 1, 3, "coins"),
        explore=lambda rng: np.full(5, RANDOM, np.int64),
    )
    (stretch,) = found.stretches
    line = stretch.timeline
    check_provenance(world, stretch)
    assert 0 < line.random.sum() < len(line.random)
    done = line.finished_ns < NEVER
    computed = (line.finished_ns - line.started_ns)[done & ~line.random]
    assert (computed >= 2.6 * STEP_NS).all()
    coins = Exploration(0.5, 1, 3, "coins").draw_block(1, 1000) < 0.5
    assert line.random[line.process == 1].tolist() == coins[: (line.process == 1).sum()].tolist()


class Bookkeeping(SchedulerState):
    """Counts what it is asked in its state, which all processes share; starts two steps after it was idle."""

    def __init__(self, processes: int) -> None:
        super().__init__(processes, STEP_NS, [0] * (2 * processes + 1))

    def start(self, process: int, now_ns: int) -> int:
        self.state[process] += 1
        self._in_order(now_ns)
        return now_ns + 2 * STEP_NS

    def register(self, process: int, now_ns: int, took_ns: int) -> int:
        self.state[self.processes + process] += 1
        self._in_order(now_ns)
        return now_ns + STEP_NS // 2

    def _in_order(self, now_ns: int) -> None:
        assert now_ns >= self.state[-1], "events come in the order of time"
        self.state[-1] = now_ns


def test_one_scheduler_object_drives_all_processes() -> None:
    scheduler = Bookkeeping(3)
    _, found = run_counting(scheduler, 3, steps=60, latency=LATENCY)
    line = found.timeline
    for process in range(3):
        own = line.process == process
        assert scheduler.state[3 + process] == (line.finished_ns[own] < NEVER).sum()
        assert scheduler.state[process] in (own.sum(), own.sum() + 1)
        starts = line.started_ns[own]
        idle = line.registered_ns[own][:-1]
        assert starts[0] >= 2 * STEP_NS
        assert (np.diff(line.started_ns[own]) >= (2.6 + 0.5 + 2) * STEP_NS).all()
        assert len(idle) == len(starts) - 1


@pytest.mark.parametrize("chunk", [2, 5])
def test_a_chunk_is_used_step_by_step_until_a_newer_one_comes(chunk: int) -> None:
    world, found = run_counting(state_of("chunked", 1, actions=chunk), 1, latency=LATENCY)
    check_provenance(world, found.stretches[0])
    places = [action[4] for action in world.applied if action[0] != NOTHING]
    assert max(places) == min(chunk, 3 + 1) - 1 or max(places) < chunk
    for before, after in zip(world.applied, world.applied[1:], strict=False):
        if after[0] != NOTHING and after[4] > 0:
            assert after == (*before[:4], before[4] + 1)


def test_a_pipelines_tick_lasts_at_least_a_step() -> None:
    model = LatencyModel(Latency("constant", mean_s=1e-6), at_least_ns=STEP_NS)
    world, found = run_counting(state_of("one-process", 1, "pipelined"), 1, latency=model)
    check_provenance(world, found.stretches[0])
    assert (np.diff(found.timeline.started_ns) >= STEP_NS).all()


def test_a_cold_first_inference_is_over_before_the_run_begins() -> None:
    class Cold(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            if self.count < 0:
                time.sleep(0.2)
            return super().act(observation, applied)

    scheduler = state_of("staggered-max", 2)
    world, found = run_counting(scheduler, 2, make_actor=lambda process, _: Cold(process), steps=20, latency=LATENCY)
    counts = [action[1] for action in world.applied if action[0] != NOTHING]
    assert min(counts) >= 2, "two inferences of each process went before"
    assert scheduler.state[2] >= found.inference_ns.max()


@pytest.mark.parametrize("warm_up", [0, 1, 3])
def test_the_first_episode_restarts_who_was_warmed_up(warm_up: int) -> None:
    class Remembering(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            answer = super().act(observation, applied)
            answer[4] = len(self.restarts)
            return answer

    world, _ = run_counting(
        state_of("async", 1), make_actor=lambda process, _: Remembering(process), steps=10, warm_up=warm_up
    )
    assert {action[4] for action in world.applied if action[0] != NOTHING} == {warm_up + 1}


@pytest.mark.parametrize("kind", [np.stack, list])
def test_a_chunk_may_be_an_array(kind: Any) -> None:
    class Stacked(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            return kind(super().act(observation, applied))

    world, found = run_counting(
        state_of("chunked", 1, actions=3), make_actor=lambda process, _: Stacked(process, 3), latency=LATENCY
    )
    check_provenance(world, found.stretches[0])
    assert (found.timeline.source >= 0).any()


def test_a_chunk_of_another_length_is_told_what_is_expected() -> None:
    class Stacked(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            return np.stack(super().act(observation, applied))

    with pytest.raises(ProcessFailed, match=r"expected 3 actions: a tuple of them, or an array of shape \(3, …\)"):
        run_counting(state_of("chunked", 1, actions=3), make_actor=lambda process, _: Stacked(process, 2))
