"""Nothing is ever lost: kills at random times and at every failpoint, in numbers that fit continuous integration."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from torture.harness import KINDS, PLAIN, Told, Torture, points


@pytest.fixture(scope="module")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Torture:
    return Torture(replace(PLAIN, units=1000), tmp_path_factory.mktemp("torture"), Told())


def test_five_kills_at_random_times(torture: Torture) -> None:
    seed = random.SystemRandom().randrange(10**6)
    torture.told.line(f"seed {seed}")  # shown where the test fails
    torture.random_kills(5, random.Random(seed))


def test_a_run_killed_at_every_failpoint(torture: Torture) -> None:
    torture.failpoints(points(KINDS))


def test_a_leaderboard_killed_at_every_failpoint(torture: Torture) -> None:
    torture.leaderboard_failpoints((2,))
