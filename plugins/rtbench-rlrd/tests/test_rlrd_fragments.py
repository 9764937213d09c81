"""Which decisions are in flight, how long fragments are, and what they hold, by hand and against a naive record."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from rtbench.cell import Interaction

from rtbench_rlrd.conformance import sequential
from rtbench_rlrd.delays import Delays
from rtbench_rlrd.fragments import Fragments

STEP_S = 0.02


@pytest.mark.parametrize(
    ("interaction", "layers", "expected"),
    [
        (sequential(1 / 3), 3, Delays(1, 1, 1)),  # a step: the action decided before is applied where this one reads
        (sequential(0.5, actuator_latency_s=0.04), 2, Delays(3, 3, 1)),  # applied three steps after what was read
        (sequential(1.0), 3, Delays(1, 1, 3)),  # three steps: a decision every third, the one before held meanwhile
        (sequential(1.0, actuator_latency_s=0.02), 2, Delays(2, 1, 2)),  # read at 0, 2, 4 …, applied at 3, 5, 7 …
        (sequential(0.5, sensor_latency_s=0.02), 2, Delays(2, 2, 1)),  # what is read is a step old
    ],
)
def test_delay_of_an_interaction(interaction: Interaction, layers: int, expected: Delays) -> None:
    """In decisions: actions in flight, fragment, and in steps the stride."""
    found = Delays.of(interaction, layers, STEP_S)
    assert found == expected


def one(value: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector of one number."""
    return np.array([value], np.float32)


def test_an_episode_by_hand() -> None:
    """Delay 2, a decision each step: decision m reads o_m = 10 m, is applied at m + 2, step t earns t; 5 steps, end."""
    replay = Fragments(1, 1, size=20, delays=Delays(2, 2, 1), correcting=True, gamma_decision=0.5)
    replay.begin_episode(one(0))
    for step in range(5):
        if step >= 2:
            replay.apply(step - 2)
        replay.decided(one(100 + step))
        replay.begin_inference(step)
        replay.end_step(one(-1), float(step), one(10 * (step + 1)))
    replay.end_episode(terminated=True, bootstrap=None)
    assert replay.count == 6
    assert replay.length[:6].tolist() == [2, 2, 2, 2, 1, 0]
    assert replay.reward[:5].tolist() == [0, 1, 2, 3, 4]
    assert replay.discount[:6].tolist() == [0.5, 0.5, 0.5, 0.5, 0, 0]
    batch = replay.gather(np.array([0, 1, 3, 4]))
    assert batch.observations[..., 0].T.tolist() == [[0, 10, 20], [10, 20, 30], [30, 40, 50], [40, 50, 50]]
    assert batch.in_flight.tolist() == [[0, 0], [100, 0], [102, 101], [103, 102]]
    assert batch.actions[:, 0].tolist() == [100, 101, 103, 104]
    assert batch.length.tolist() == [2, 2, 2, 1]


def test_a_time_limit_bootstraps_where_the_next_decision_would_have_read() -> None:
    """Decisions every second step: of 4 steps both count, of 5 the last is left over, for its reward is half."""
    for steps, lengths in ((4, [1, 1, 0]), (5, [1, 1, 0])):
        replay = Fragments(1, 1, size=20, delays=Delays(1, 1, 2), correcting=True, gamma_step=0.5)
        replay.begin_episode(one(0))
        for step in range(steps):
            if step % 2 == 0:
                if step:
                    replay.apply(step // 2 - 1)
                replay.begin_inference(step)
            replay.end_step(one(0), 1.0, one(step + 1))
        replay.end_episode(terminated=False, bootstrap=None)
        assert replay.length[: replay.count].tolist() == lengths
        assert replay.observation[: replay.count, 0].tolist() == [0, 2, 4]
        assert replay.reward[:2].tolist() == [1.5, 1.5]
        assert replay.discount[:2].tolist() == [0.25, 0.25]


@dataclass
class Told:
    """One episode in full: reads and actions by decision, where each was applied, rewards and observations by step."""

    reads: list[int] = field(default_factory=list)
    actions: list[float] = field(default_factory=list)
    applied: dict[int, int] = field(default_factory=dict)
    rewards: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)


def naive(episode: Told, m: int, in_flight: int, gamma: float) -> tuple[list[float], list[float], list[float]]:
    """Observations, actions in flight and rewards of the fragment that begins with decision m, from the full record."""
    before = [episode.actions[j] if j >= 0 else 0.0 for j in range(m - 1, m - 1 - in_flight, -1)]
    observations, rewards = [episode.seen[episode.reads[m]]], []
    for j in range(m + 1, len(episode.reads)):
        if m in episode.applied and episode.reads[j] > episode.applied[m]:
            break
        span = episode.rewards[episode.reads[j - 1] : episode.reads[j]]
        rewards.append(sum(gamma**k * reward for k, reward in enumerate(span)))
        observations.append(episode.seen[episode.reads[j]])
    return observations, before, rewards


@pytest.mark.parametrize("latency", [1, 2, 3])
@pytest.mark.parametrize("transport", [0, 1, 4])
def test_fragments_equal_a_naive_record(latency: int, transport: int) -> None:
    """A decision every `latency` steps, applied `latency + transport` after it reads; in a ring that is overwritten."""
    rng = np.random.default_rng(latency + 10 * transport)
    in_flight = -(-(latency + transport) // latency)
    fragment = (latency + transport) // latency
    delays = Delays(in_flight, fragment, latency)
    replay = Fragments(1, 1, size=60, delays=delays, correcting=True, gamma_step=0.9)
    where: dict[int, tuple[Told, int]] = {}
    for _ in range(8):
        episode = Told(seen=[float(rng.normal())])
        replay.begin_episode(one(episode.seen[0]))
        for step in range(int(rng.integers(20, 40))):
            due = [m for m, read in enumerate(episode.reads) if read + latency + transport == step]
            for m in due:
                episode.applied[m] = step
                replay.apply(m)
            if step % latency == 0:
                action = float(rng.normal())
                where[replay.count] = (episode, len(episode.reads))
                replay.decided(one(action))
                replay.begin_inference(step)
                episode.reads.append(step)
                episode.actions.append(action)
            episode.rewards.append(float(rng.normal()))
            episode.seen.append(float(rng.normal()))
            replay.end_step(one(0), episode.rewards[-1], one(episode.seen[-1]))
        replay.end_episode(terminated=False, bootstrap=None)
        following = episode.reads[-1] + latency
        if following < len(episode.seen):
            episode.reads.append(following)  # where a decision would have read after the time limit
    drawn = replay.choose(np.random.default_rng(0), 400)
    assert drawn.min() >= replay.count - 60 + in_flight
    batch = replay.gather(drawn)
    for index, row in enumerate(drawn.tolist()):
        episode, m = where[row]
        observations, before, rewards = naive(episode, m, in_flight, 0.9)
        n = int(batch.length[index])
        assert n == len(rewards) > 0
        np.testing.assert_allclose(batch.observations[: n + 1, index, 0], observations, rtol=1e-6)
        np.testing.assert_allclose(batch.in_flight[index], before, rtol=1e-6)
        np.testing.assert_allclose(batch.rewards[:n, index], rewards, rtol=1e-5, atol=1e-6)
