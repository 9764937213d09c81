"""`RealTime` over the ends of episodes, through resets, and under timelines from elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.gym_play import play, steps_seen, values
from helpers.tape import Tape

from rtbench.errors import RtbenchError
from rtbench.gym import RealTime
from rtbench.interaction.timing import clock_of


def test_nothing_leaks_into_the_next_episode():
    """Three episodes of one wrapper are those of three wrappers: no action, age or observation is left over."""
    ends = [(7, "terminated"), (5, "truncated"), (9, "terminated")]
    env = RealTime(Tape(ends), delta=2, scheduler="staggered-max", processes=3)
    together = [play(env, values()) for _ in ends]
    for k, answers in enumerate(together):
        tape = Tape(ends)
        tape.episode = k - 1
        alone = play(RealTime(tape, delta=2, scheduler="staggered-max", processes=3), values())
        for one, other in zip(answers, alone, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            assert one[1:4] == other[1:4] if len(one) == 5 else True
            assert one[-1]["rtbench"].get("rewards") == other[-1]["rtbench"].get("rewards")


def test_episodes_over_before_any_inference():
    """δ = 4 begins inferences at 0, 4, 8; the episode from 1 to 3 sees none: its one action is for nothing."""
    ends = [(1, "terminated"), (2, "truncated"), (9, "terminated")]
    env = RealTime(Tape(ends), delta=4, on_reset="continue", default_policy="zero")
    play(env, values())
    (start, _), (observation, reward, *ended, info) = play(env, values())
    assert (start[1], observation[1], reward) == (0, 2, 0 + 1)
    assert ended == [False, True]
    assert info["rtbench"]["startup_steps"] == 2
    assert steps_seen(play(env, values())) == [1, 9]


def test_going_on_over_resets():
    """δ = 3 sequential starts at 0, 3, 6, …; an episode that begins at 4 sees what begins at 6 first."""
    env = RealTime(Tape([(4, "terminated"), (12, "terminated")]), delta=3, on_reset="continue", default_policy="zero")
    play(env, values())
    answers = play(env, values())
    assert steps_seen(answers) == [2, 5, 8, 12]
    assert env.unwrapped.applied[1] == pytest.approx([0, 0, 0, 0, 0, 0.01, 0, 0, 0.02, 0, 0, 0.03])


def test_a_seed_names_latencies_too():
    env = RealTime(Tape([(30, "terminated")]), latency="lognormal:200ms:0.8", decision="step")
    first = play(env, values(), seed=1)
    second = play(env, values())
    again = play(env, values(), seed=1)
    other = play(env, values(), seed=2)
    ages = [
        [age for answer in each[1:] for age in answer[4]["rtbench"]["ages_steps"]]
        for each in (first, second, again, other)
    ]
    assert ages[0] == ages[2]
    assert ages[0] != ages[1]
    assert ages[0] != ages[3]


def test_long_episodes_reach_further_than_what_was_looked_ahead():
    env = RealTime(Tape([(1500, "truncated")]), delta=2)
    answers = play(env, (np.zeros(1, np.float32) for _ in itertools.count()))
    assert steps_seen(answers) == [*range(0, 1498, 2), 1498]
    assert len(env._seen) < 10


def test_a_timeline_that_ends_too_early_says_so():
    line = clock_of(interaction("sequential", 1.0), 1, 0.1, 0).timeline(5)
    env = RealTime(Tape([(6, "terminated")]), timeline=line)
    with pytest.raises(RtbenchError, match="5 steps of its timeline"):
        play(env, values())
    play(RealTime(Tape([(5, "truncated")]), timeline=line), values())


def test_resets_of_a_recording_do_not_count():
    """What a recording dropped at its own resets is not dropped when an episode of another length lives under it."""
    line = clock_of(interaction("sequential", 2.0), 1, 0.1, 0).timeline(20)
    plain = play(RealTime(Tape([(9, "terminated")]), timeline=line), values())
    again = play(RealTime(Tape([(9, "terminated")]), timeline=line.with_resets([3, 5])), values())
    assert [one[1] for one in again[1:]] == [one[1] for one in plain[1:]]


def test_timelines_by_episode():
    lines = [clock_of(interaction("sequential", delta), 1, 0.1, 0).timeline(20) for delta in (1.0, 2.0)]
    env = RealTime(Tape([(6, "terminated")]), timeline=lambda episode: lines[episode % 2])
    assert [len(play(env, values())) for _ in range(4)] == [6, 3, 6, 3]


def test_age_zero_counterfactual():
    """The same steps get a new action, each resting on the very observation of its step."""
    env = RealTime(Tape([(8, "terminated")]), delta=2, counterfactual="age-0", default_policy="zero")
    answers = play(env, values())
    assert steps_seen(answers) == [2, 4, 6, 8]
    assert env.unwrapped.applied == [pytest.approx([0, 0, 0.01, 0, 0.02, 0, 0.03, 0])]
    assert [age for answer in answers[1:] for age in answer[4]["rtbench"]["ages_steps"]] == [
        -1,
        -1,
        0,
        -1,
        0,
        -1,
        0,
        -1,
    ]
