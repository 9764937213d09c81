"""`RealTime` against a naive walk over timelines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.gym_play import STEP_NS, play, steps_seen, values
from helpers.tape import Tape
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.gym import RealTime
from rtbench.interaction.timeline import NEVER, Timeline


def naive(line, length, reward):
    """What decisions must be on a timeline: [(observation step, reward of Tape)], and what a time limit shows.

    Plain loops, from the definitions.
    """
    source = [-1] * line.steps
    for m in sorted(range(len(line.process)), key=lambda m: (line.registered_ns[m], m)):
        at = -(-int(line.registered_ns[m]) // line.step_ns)
        if at < line.steps:
            source[at] = m
    coming = next(m for m in source[length:] if m >= 0)
    source = source[:length]
    if reward == "applied":
        asked = [m for m in source if m >= 0]
        upto = {m: source.index(m) for m in asked}
        bounds = [upto[m] for m in asked[1:]] + [length]
    else:
        asked = [m for m in range(len(line.process)) if line.started_ns[m] < length * line.step_ns]
        bounds = [int(line.started_ns[m]) // line.step_ns for m in asked[1:]] + [length]
        coming = asked[-1] + 1
    value = {m: (k + 1) / 100 for k, m in enumerate(asked)}
    acted = [value[m] if m >= 0 else 0.0 for m in source]
    out, begin = [], 0
    for m, end in zip(asked, bounds, strict=True):
        out.append((int(line.read_step[m]), sum(s + 1000 * acted[s] for s in range(begin, end))))
        begin = end
    return out, min(int(line.read_step[coming]), length)


@given(
    processes=st.integers(1, 4),
    took=st.lists(st.integers(1, 45), min_size=30, max_size=30),
    sensor=st.integers(0, 12),
    length=st.integers(6, 25),
    reward=st.sampled_from(["applied", "elapsed"]),
    how=st.sampled_from(["terminated", "truncated"]),
)
@settings(max_examples=80, deadline=None)
def test_any_timeline_against_the_naive_walk(processes, took, sensor, length, reward, how):
    """Processes that infer back to back, unaligned, with drawn times: actions overtake and overwrite each other."""
    rows, free = [], [3 * k for k in range(processes)]
    for duration in itertools.cycle(took):
        process = min(range(processes), key=free.__getitem__)
        if free[process] >= 60 * 10:
            break
        rows.append((free[process], process, free[process] + duration))
        free[process] += duration
    rows.sort()
    started, process, finished = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    scale = STEP_NS // 10
    line = Timeline(
        60,
        STEP_NS,
        process,
        started * scale,
        np.maximum((started - sensor) // 10, 0),
        finished * scale,
        np.where(finished < 600, finished * scale, NEVER),
        np.zeros(len(rows), bool),
    )
    env = RealTime(Tape([(length, how)]), timeline=line, default_policy="zero", reward=reward)
    expected, coming = naive(line, length, reward)
    answers = play(env, values())
    assert len(answers) - 1 == max(1, len(expected))
    if expected:
        assert steps_seen(answers[:-1]) == [read for read, _ in expected]
        assert [answer[1] for answer in answers[1:]] == pytest.approx([total for _, total in expected], rel=1e-5)
    assert steps_seen(answers)[-1] == (length if how == "terminated" else coming)
    ages = [age for answer in answers[1:] for age in answer[4]["rtbench"]["ages_steps"]]
    assert ages == line.ages(holds=False)[0].filled(-1).tolist()[:length]
