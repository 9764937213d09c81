"""The acting loop against a naive account of its timelines: replicas, chunks, random actions, counterfactuals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.cells import interaction
from helpers.naive_loop import BOX, CHOICE, PATTERNS, Account, Events, Remembering, World, new_loop
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.interaction.timeline import instant_timeline
from rtbench.interaction.timing import timing
from rtbench.learners.packing import pack, unpack
from rtbench.learners.recorder import Silence
from rtbench.parts import EnvironmentSpec
from rtbench.plugins import use


def compare(inter, spec, lengths, first, episodes=3):
    events = Events()
    loop, graph, decide = new_loop(inter, spec, lengths, first, events)
    naive = Account(inter, graph, spec, decide, first)
    resets = []
    for episode in range(episodes):
        resets.append(loop.tally.env_steps)
        loop.run_episode()
        naive.episode(episode, resets, *lengths[episode % len(lengths)])
    assert events.told == naive.told
    for told, expected in zip(loop.env.actions, naive.actions, strict=True):
        for action, vector in zip(told, expected, strict=True):
            if spec.continuous:
                assert action.dtype == np.float32
            else:
                assert type(action) is int
                assert action == vector.argmax()
    assert loop.returns == pytest.approx([total for total, _ in naive.returns], abs=1e-9)
    assert loop.default_returns == pytest.approx([share for _, share in naive.returns], abs=1e-9)
    assert loop.lengths == [lengths[k % len(lengths)][0] for k in range(episodes)]
    for name in ("fresh", "continued", "inaction", "startup", "arrived"):
        assert getattr(loop.tally, name) == naive.counts[name], name
    assert (loop.tally.newest, loop.tally.oldest) == naive.ages


LENGTHS = [(37, False), (12, True), (90, False), (2, True)]


@pytest.mark.parametrize("first", [None, 0.0, 0.25], ids=["blind", "nought", "known"])
@pytest.mark.parametrize("spec", [BOX, CHOICE], ids=["box", "choice"])
@pytest.mark.parametrize("name", PATTERNS)
def test_what_is_done_is_what_the_timeline_says(name, spec, first):
    compare(PATTERNS[name], spec, LENGTHS, first, episodes=4)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(PATTERNS)),
    spec=st.sampled_from([BOX, CHOICE]),
    on_reset=st.sampled_from(["restart", "continue"]),
    default=st.sampled_from(["repeat-last", "zero", "random", "noop"]),
    lengths=st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=4),
)
def test_any_lengths_of_episodes(name, spec, on_reset, default, lengths):
    inter = replace(PATTERNS[name], on_reset=on_reset, default_policy=use("default_policies", default))
    compare(inter, spec, lengths, None)


@pytest.mark.parametrize("spec", [BOX, CHOICE], ids=["box", "choice"])
@pytest.mark.parametrize("name", PATTERNS)
def test_a_loop_goes_on_from_its_state_as_if_nothing_had_been(name, spec):
    events = Events()
    whole, *_ = new_loop(PATTERNS[name], spec, LENGTHS, 0.25, events)
    told = []
    for step in range(140):
        whole.advance()
        if step in (0, 5, 36, 44, 80):
            again_events = Events()
            again, *_ = new_loop(PATTERNS[name], spec, LENGTHS, 0.25, again_events)
            state = unpack(b"".join(bytes(piece) for piece in pack(whole.state())))
            again.env.episode = state["episode"] - (not state["over"])
            again.restore(state)
            told.append((len(events.told), again, again_events))
            for _ in range(139 - step):
                again.advance()
    for known, again, again_events in told:
        assert again_events.told == events.told[known:]
        assert (again.returns, again.default_returns, again.tally) == (
            whole.returns,
            whole.default_returns,
            whole.tally,
        )


def test_a_pipelines_action_node_holds_what_was_applied_whoever_computed_it():
    """Two replicas at delta 2: each reads every second step, beside the action that the other one's tick gave."""
    seen = []

    class Spy(Remembering):
        def __init__(self, process):
            super().__init__()
            self.process = process

        def tick(self, observation, action):
            seen.append((self.process, int(observation[1]), tuple(action.tolist())))
            return super().tick(observation, action)

    loop, *_ = new_loop(interaction(delta=2.0, scheduler="staggered-max", processes=2), BOX, [(40, True)])
    loop.actings = [Spy(0), Spy(1)]
    loop.run_episode()
    applied = [tuple(((np.array(a) - loop._space._low) / loop._space._span - 1).tolist()) for a in loop.env.actions[0]]
    settled = [entry for entry in seen if entry[1] >= 8]
    assert [step for _, step, _ in settled] == list(range(8, 40))
    assert [process for process, _, _ in settled] == [k % 2 for k in range(32)] or [
        process for process, _, _ in settled
    ] == [(k + 1) % 2 for k in range(32)]
    for _, step, action in settled:
        assert action == pytest.approx(applied[step], abs=1e-6)


def test_bytes_are_kept_as_they_come_and_served_scaled():
    spec = EnvironmentSpec((2, 1), 3, False, 0.01, 90, observation_dtype="uint8", observation_scale=0.5)
    served, kept = [], []

    class Spy(Remembering):
        def tick(self, observation, action):
            served.append(observation)
            return super().tick(observation, action)

    class Keeper(Silence):
        def end_step(self, action, reward, observation):
            kept.append(observation)

    class Images(World):
        def _observation(self):
            return np.array([[self.episode], [self.step_number]], np.uint8)

    loop, *_ = new_loop(interaction("instant", 0.0), spec, [(5, True)], recorder=Keeper())
    loop.actings, loop.env = [Spy()], Images([(5, True)])
    loop.run_episode()
    assert [o.dtype for o in served] == [np.float32] * 5
    assert [o.tolist() for o in served] == [[0.0, 0.5 * k] for k in range(5)]
    assert [(o.dtype, o.tolist()) for o in kept] == [(np.uint8, [0, k]) for k in range(1, 6)]


def test_only_observations_that_may_still_be_read_are_kept():
    loop, *_ = new_loop(interaction("sequential", 2.0, sensor_latency_s=0.034), BOX, [(60, True)])
    for _ in range(59):
        loop.advance()
    assert len(loop._observations) == 5  # 3.4 steps back from any time within a step
    assert timing(interaction(delta=1.0), 3, 0.01).sensor_ns == 0
    assert instant_timeline(3).steps == 3
