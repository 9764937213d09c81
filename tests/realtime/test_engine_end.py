"""How a run on the wall clock ends: processes that fail, die or never return, and what is left of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.provenance import LATENCY
from helpers.wall_worlds import NOTHING, Counting, Telling, run_counting, state_of

from rtbench.realtime import Learning, ProcessFailed


def left() -> tuple[list[str], list[str], int]:
    """Processes, names of shared memory, open files."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return pids, sorted(map(str, Path("/dev/shm").iterdir())), len(list(Path("/proc/self/fd").iterdir()))


class Failing(Telling):
    def act(self, observation: Any, applied: Any) -> Any:
        if self.count == 2 and self.process == 1:
            raise ArithmeticError("the third inference of process 1")
        return super().act(observation, applied)


class Dying(Telling):
    def act(self, observation: Any, applied: Any) -> Any:
        if self.count == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(observation, applied)


def failing_update(parameters: Any, process: int) -> None:
    raise ArithmeticError("no gradient")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"make_actor": lambda process, _: Failing(process)}, "inference process 1 raised ArithmeticError: the third"),
        ({"make_actor": lambda process, _: Dying(process)}, r"inference process \d was killed by signal 9"),
        ({"make_actor": lambda process, _: 1 / 0}, r"inference process \d raised ZeroDivisionError"),
        ({"learning": Learning(np.zeros(2), failing_update)}, "learner process 0 raised ArithmeticError: no gradient"),
        (
            {"make_actor": lambda process, _: Telling(process, 2)},
            r"inference process \d raised RtbenchError: the policy's action is int64 of shape \(2, 5\)",
        ),
    ],
)
def test_a_process_that_fails_ends_the_run_and_leaves_nothing(more: dict[str, Any], words: str) -> None:
    run_counting(state_of("async", 1), steps=2)  # what Python opens once for all is open now
    before = left()
    with pytest.raises(ProcessFailed, match=words):
        run_counting(state_of("staggered-max", 3), 3, steps=2_000, latency=LATENCY, **more)
    assert left() == before


def test_nothing_is_left_after_a_success() -> None:
    run_counting(state_of("staggered-max", 2), 2, steps=5)
    before = left()
    run_counting(state_of("staggered-max", 2), 2, steps=5)
    assert left() == before
    assert before[0] == []


def test_a_policy_that_never_returns_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtbench.realtime.engine.PATIENCE_S", 0.2)

    class Endless(Telling):
        def act(self, observation: Any, applied: Any) -> Any:
            signal.pause()

    with pytest.raises(ProcessFailed, match="inference process 0 did not come back"):
        run_counting(state_of("async", 1), make_actor=lambda process, _: Endless(process), steps=5, warm_up=0)
    monkeypatch.setattr("rtbench.realtime.engine.READY_S", 0.2)
    with pytest.raises(ProcessFailed, match=r"inference process 0 was not ready after 0\.2 s"):
        run_counting(state_of("async", 1), make_actor=lambda process, _: Endless(process), steps=5)
    assert left()[0] == []


def test_what_was_seen_before_a_process_failed_is_kept() -> None:
    world = Counting(episode_steps=7)
    with pytest.raises(ProcessFailed) as caught:
        run_counting(
            state_of("staggered-max", 3),
            3,
            world=world,
            steps=2_000,
            latency=LATENCY,
            make_actor=lambda process, _: Failing(process),
            warm_up=0,
        )
    found = caught.value.recording
    assert found is not None
    (stretch,) = found.stretches
    line = stretch.timeline
    assert 0 < line.steps == len(stretch.rewards) == len(world.applied) < 2_000
    assert (line.source >= 0).any()
    for step, action in enumerate(world.applied):
        source = int(line.source[step])
        if source < 0:
            assert action[0] == NOTHING
        else:
            assert (action[0], action[3]) == (line.process[source], line.read_step[source])
    assert found.summary().steps == line.steps


def test_an_environment_that_raises_ends_the_run() -> None:
    class Broken(Counting):
        def step(self, action: Any) -> tuple[float, bool]:
            if self.step_of_stretch == 7:
                raise OSError("the arm does not answer")
            return super().step(action)

    with pytest.raises(OSError, match="the arm does not answer"):
        run_counting(state_of("staggered-max", 2), 2, world=Broken(), latency=LATENCY)
    assert left()[0] == []
