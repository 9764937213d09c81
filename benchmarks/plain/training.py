"""What plain agents share: a HalfCheetah, and two updates in a row."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import gymnasium as gym

OBS, ACT, WIDTH, BATCH, CAPACITY = 17, 6, 256, 256, 1_000_000


def half_cheetah() -> gym.Env:
    """The environment both sides train on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # v4 is what the published figures are of
        return gym.make("HalfCheetah-v4")


def twice(work: Callable[[], object]) -> Callable[[], None]:
    """Two in a row: every second update also updates the policy."""

    def both() -> None:
        work()
        work()

    return both
