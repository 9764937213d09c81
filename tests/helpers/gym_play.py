"""Playing an episode of a wrapped environment with actions that are known by their values."""

from __future__ import annotations

import itertools

import numpy as np

STEP_NS = 10**8


def play(env, actions, *, seed=None):
    """One episode: what reset gave, then (observation, reward, terminated, truncated, info) of every step."""
    answers = [env.reset(seed=seed)]
    for action in actions:
        answers.append(env.step(action))
        if answers[-1][2] or answers[-1][3]:
            return answers
    raise AssertionError("the episode did not end")


def values():
    """Actions 0.01, 0.02, …, so that every one is known by its value."""
    return (np.array([k / 100], np.float32) for k in itertools.count(1))


def steps_seen(answers):
    """The environment step of every observation."""
    return [int(answer[0][1]) for answer in answers]
