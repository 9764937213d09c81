"""Frames are stored once, and what is drawn is what happened: against an episode-by-episode list."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rtbench.errors import RtbenchError
from rtbench.learners.experience import Ahead, Experience, Priority
from rtbench.learners.shared_experience import SharedExperience
from rtbench.parts import EnvironmentSpec

SIDE, GAMMA = 3, 0.9


def spec(frames=1, reward="raw"):
    return EnvironmentSpec(
        (SIDE, SIDE, frames),
        4,
        False,
        0.05,
        100,
        observation_dtype="uint8",
        stacked_frames=frames,
        training_reward=reward,
    )


class Life:
    """Random episodes played into an experience, and kept in plain lists."""

    def __init__(self, experience, frames, seed=0, delay=2):
        self.experience, self.rng, self.frames, self.delay = experience, np.random.default_rng(seed), frames, delay
        self.decisions = []  # of every episode: (observation read, action, return, discount, next read, next newest)

    def play(self, length, *, terminated=True, mask_rewards=None):
        pictures = self.rng.integers(0, 255, (length + self.frames, SIDE * SIDE), np.uint8)
        seen = [np.stack(pictures[t : t + self.frames], -1).reshape(-1) for t in range(length + 1)]
        self.experience.begin_episode(seen[0])
        applied, flying = [], []
        rewards, actions = self.rng.standard_normal(length), self.rng.integers(0, 4, length)
        for step in range(length):
            self.experience.begin_inference(step)
            flying.append((step, step))  # an inference in every step
            while flying and flying[0][1] + self.delay <= step:
                number, read = flying.pop(0)
                self.experience.apply(number)
                applied.append((read, step))
            self.experience.end_step(np.eye(4, dtype=np.float32)[actions[step]], float(rewards[step]), seen[step + 1])
        self.experience.end_episode(terminated, None if terminated else flying[0][0])
        self._remember(seen, applied, rewards, actions, length, terminated, flying)

    def _remember(self, seen, applied, rewards, actions, length, terminated, flying):
        told = []
        for (read, step), following in zip(applied, [*applied[1:], None], strict=True):
            end = following[1] if following else length
            earned = sum(GAMMA**k * rewards[step + k] for k in range(end - step))
            discount = GAMMA ** (end - step)
            if following is None and terminated:
                told.append((seen[read], actions[step], earned, 0.0, seen[read], seen[read]))
            else:
                then = following or (flying[0][1], length)
                told.append((seen[read], actions[step], earned, discount, seen[then[0]], seen[then[1]]))
        self.decisions.append(told)

    def ahead(self, n, fresh):
        """Every n-step transition, by the bytes of what was read."""
        out = {}
        for told in self.decisions:
            for at, (read, action, *_) in enumerate(told):
                total, discount = 0.0, 1.0
                for _, _, earned, factor, following, newest in told[at : at + n]:
                    total, discount = total + discount * earned, discount * factor
                    then = newest if fresh else following
                out[read.tobytes()] = (action, total, discount, then)
        return out


CASES = [
    (1, 1, False, None),
    (1, 3, False, None),
    (4, 1, True, None),
    (4, 3, False, Priority(0.5, 0.4)),
    (1, 2, True, Priority(0, 0)),
]


@pytest.mark.parametrize(("frames", "n", "fresh", "priority"), CASES, ids=str)
def test_what_is_drawn_is_what_happened(frames, n, fresh, priority):
    experience = Experience(
        spec(frames), decisions=90, rows=80, gamma_step=GAMMA, ahead=Ahead(n, fresh), priority=priority
    )
    life, rng = Life(experience, frames), np.random.default_rng(5)
    for length, terminated in ((9, True), (14, False), (30, True), (23, True), (18, False), (26, True)):
        life.play(length, terminated=terminated)
        truth = life.ahead(n, fresh)
        for _ in range(20):
            drawn = experience.draw(rng, 8)
            experience.prioritise(drawn, rng.random(8, np.float32) + 0.1)
            for at in range(8):
                action, total, discount, then = truth[drawn.observations[at].tobytes()]
                assert drawn.actions[at] == action
                assert drawn.returns[at] == pytest.approx(total, abs=1e-5)
                assert drawn.discounts[at] == pytest.approx(discount, abs=1e-6)
                if discount:
                    np.testing.assert_array_equal(drawn.following[at], then)
    assert experience.row_count > 80  # the rings have gone round


def test_a_million_frames_are_stored_once():
    """84 × 84 bytes a frame, four of them an observation: 7.06 GB, and what decisions need."""
    told = EnvironmentSpec((84, 84, 4), 18, False, 1 / 60, 100, observation_dtype="uint8", stacked_frames=4)
    million = Experience(told, decisions=1_100_000, rows=1_000_000, priority=Priority(0.5, 0.4))
    assert million.observations.nbytes == 7_056_000_000
    rest = million.actions.nbytes + million._records.nbytes + million._priorities._sums.nbytes
    assert million.observations.nbytes + rest < 9e9 / 1.1


def test_rewards_may_be_signs():
    experience = Experience(spec(reward="sign"), decisions=20, rows=20)
    life = Life(experience, 1)
    life.play(6)
    drawn = experience.draw(np.random.default_rng(0), 16)
    assert set(drawn.returns.tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize("n", [1, 3])
def test_what_overtakes_is_not_looked_up_beyond_the_ring(n):
    """Inferences 3k+2, 3k+1, 3k are applied in this order: near the ring's end a successor may be gone.

    Every draw against a plain list, with both rings gone round and priorities of all sizes.
    """
    kept = Experience(spec(), decisions=30, rows=200, gamma_step=GAMMA, ahead=Ahead(n), priority=Priority(0.5, 0.4))
    rng, told = np.random.default_rng(3), {}
    pictures = rng.integers(0, 255, (601, SIDE * SIDE), np.uint8)
    kept.begin_episode(pictures[0])
    order = [3 * (t // 3) + 2 - t % 3 for t in range(600)]
    rewards = rng.standard_normal(600)
    for step in range(600):
        kept.begin_inference(step)
        if step >= 3:
            kept.apply(order[step - 3])
        kept.end_step(np.eye(4, dtype=np.float32)[step % 4], float(rewards[step]), pictures[step + 1])
        for at in range(step - 3 - n, step - 3):  # what is still open makes the newest shorter
            if at >= 0:
                ahead = min(n, step - 3 - at)
                earned = sum(GAMMA**k * rewards[at + 3 + k] for k in range(ahead))
                told[order[at]] = (earned, GAMMA**ahead, pictures[order[at + ahead]])
        if kept.ready(1):
            drawn = kept.draw(rng, 8)
            kept.prioritise(drawn, rng.random(8, np.float32))
            for k, decision in enumerate(drawn.decisions.tolist()):
                earned, discount, following = told[decision]
                np.testing.assert_array_equal(drawn.observations[k], pictures[decision])
                assert (drawn.returns[k], drawn.discounts[k]) == (
                    pytest.approx(earned, abs=1e-4),
                    pytest.approx(discount),
                )
                np.testing.assert_array_equal(drawn.following[k], following)


def test_priorities_of_errors():
    """(|δ| + 10⁻⁶)^α: without an error one is drawn now and then all the same, a negative one counts as it is large."""
    experience = Experience(spec(), decisions=60, rows=60, priority=Priority(0.5, 0.4))
    Life(experience, 1).play(12)
    drawn = experience.draw(np.random.default_rng(0), 3)
    one = dataclasses.replace(drawn, decisions=np.flatnonzero(experience.closed)[:3])
    experience.prioritise(one, np.array([0.0, -4.0, 9.0], np.float32))
    found = experience._priorities.of(one.decisions)
    assert found.tolist() == pytest.approx([1e-3, (4 + 1e-6) ** 0.5, (9 + 1e-6) ** 0.5])
    with pytest.raises(RtbenchError, match="errors of 2 of 3 decisions are not finite"):
        experience.prioritise(one, np.array([1.0, np.nan, np.inf], np.float32))
    assert experience._priorities.of(one.decisions).tolist() == found.tolist()


def test_large_errors_are_drawn_more_often_and_weigh_less():
    experience = Experience(spec(), decisions=60, rows=60, priority=Priority(1.0, 1.0))
    Life(experience, 1).play(22)
    rng = np.random.default_rng(0)
    everything = np.flatnonzero(experience.closed)
    one = dataclasses.replace(experience.draw(rng, len(everything)), decisions=everything)
    experience.prioritise(one, np.where(everything == everything[3], 19.0, 1.0).astype(np.float32))
    drawn = [experience.draw(rng, 16) for _ in range(200)]
    chosen = np.concatenate([each.decisions for each in drawn])
    assert (chosen == everything[3]).mean() == pytest.approx(19 / (19 + len(everything) - 1), abs=0.03)
    weights = np.concatenate([each.weights for each in drawn])
    assert weights[chosen == everything[3]].max() == pytest.approx(1 / 19)


def test_learners_see_what_has_been_published_and_no_more():
    shared = SharedExperience(spec(), decisions=2000, rows=2000)
    life = Life(shared, 1)
    life.play(10)
    shared.publish()
    rows, decisions = shared.row_count, shared.decision_count
    life.play(12)
    shared.refresh()
    assert (shared.steps, shared.row_count, shared.decision_count) == (10, rows, decisions)
    assert not shared.over
    shared.close()
    assert shared.over
