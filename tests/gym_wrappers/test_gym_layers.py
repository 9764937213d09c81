"""What `LayerParallelObservation` shows is what a pipelined network computes from; histories and inaction by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gymnasium import spaces
from helpers.cells import interaction, small_cell
from helpers.tape import Tape
from helpers.weights import normal_weights

from rtbench.backends.numpy_backend import NumPyArithmetic
from rtbench.errors import SuiteError
from rtbench.graph import ActingSpec, GraphBuilder
from rtbench.gym import ActionHistory, Inaction, LayerParallelObservation, RealTime
from rtbench.interaction.timeline import instant_timeline
from rtbench.interaction.timing import clock_of
from rtbench.learners.loop import Loop
from rtbench.parts import EnvironmentSpec, PolicyShape
from rtbench.plugins import build, use
from rtbench.unrolling import unroll

ENDS = [(19, "terminated"), (3, "truncated"), (24, "truncated")]


def graph_of(**params):
    return build(use("architectures", "mlp", {"width": 5} | params)).make(PolicyShape(3, 2, 2))


def rounded(head):
    """Multiples of 1/4096, which pass −1…1 and the environment's box and back exactly."""
    return (np.rint(4096 * np.tanh(head / 4)) / 4096).astype(np.float32)


def from_window(graph, env, parameters, execution, delta, observation):
    """The network's action from a window alone: its layers one after another, no memory."""
    plan, lags = graph.plan(execution, delta), graph.lags(execution, delta)
    head = lags.head
    past = dict(zip(env.action_ticks, observation.get("actions", ()), strict=True))
    first = {k: observation[f"age_{k + head}_ticks"] / 10 for k in env.observation_ticks}
    return unroll(
        graph,
        lags,
        plan,
        NumPyArithmetic(parameters),
        lambda k: first[k].astype(np.float32),
        lambda k: past[k],
        lambda name, k, value: value,
        lambda layer, k: pytest.fail("a window holds all that is read"),
    )


ARCHITECTURES = {
    "vanilla": {"layers": 3},
    "from-obs": {"layers": 3, "skips": "from-obs"},
    "to-action": {"layers": 4, "skips": "to-action-res"},
    "all, augmented": {"layers": 3, "skips": "all", "augmentation": "observation", "actions": 2},
    "in flight": {"layers": 2, "augmentation": "in-flight"},
}


class Tenth:
    """An acting on observations a tenth as large, so that tanh does not saturate."""

    def __init__(self, inner):
        self.inner = inner

    def restart(self, observation):
        return np.zeros_like(self.inner.restart(observation / 10))

    def tick(self, observation, action):
        return self.inner.tick((observation / 10).astype(np.float32), action)


@pytest.mark.parametrize(("delta", "processes"), [(0, 1), (0.4, 1), (1, 1), (1.5, 1), (3, 1), (3, 2), (3, 3)], ids=str)
@pytest.mark.parametrize("params", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_instantaneous_network_acts_as_the_pipelined_one(params, delta, processes):
    """The same weights, once pipelined in rtbench's loop (start `hold`), once from the wrapper's windows."""
    graph = graph_of(**params)
    parameters = normal_weights(graph)
    execution = "pipelined" if delta else "instant"
    scheduler = "one-process" if processes == 1 else "staggered-max"
    inter = interaction(execution, float(delta), scheduler=scheduler, processes=processes)
    backend = build(use("backends", "numpy"))
    actings = [
        Tenth(backend.make(ActingSpec(graph, execution, delta or 1, "hold"), parameters)) for _ in range(processes)
    ]
    tape = Tape(ENDS, size=2)
    spec = EnvironmentSpec((3,), 2, True, 0.1, 100, (-1.0,) * 2, (1.0,) * 2)
    loop = Loop(
        small_cell(inter=inter), graph, actings, rounded, seed=0, phase="gym", env=tape, spec=spec, start="hold"
    )
    for _ in ENDS:
        loop.run_episode()

    env = LayerParallelObservation(
        Tape(ENDS, size=2), graph=graph, delta=delta, processes=processes, layout="dict", default_policy="repeat-last"
    )
    for _ in ENDS:
        observation, _ = env.reset()
        over = False
        while not over:
            assert observation in env.observation_space
            head = from_window(graph, env, parameters, execution, delta or 1, observation)
            observation, _, terminated, truncated, _ = env.step(rounded(head))
            over = terminated or truncated
    for ours, theirs in zip(env.unwrapped.applied, tape.applied, strict=True):
        assert ours == theirs


def test_windows_by_hand():
    """A plain chain of 3 layers, δ = 1, sees age 3 alone; from-obs sees 1, 2, 3. Before the start: the first."""
    plain = LayerParallelObservation(Tape(size=2), graph=graph_of(layers=3), delta=1)
    assert (plain.observation_ticks, plain.ages_ticks) == ((2,), (3,))
    assert plain.observation_space.shape == (3,)
    observation, _ = plain.reset()
    steps = [int(observation[1])]
    for _ in range(5):
        observation, *_ = plain.step(np.zeros(2, np.float32))
        steps.append(int(observation[1]))
    assert steps == [0, 0, 0, 1, 2, 3], "answered at ticks 0 … 5, acting one step later"

    env = LayerParallelObservation(Tape(size=2), graph=graph_of(layers=3, skips="from-obs"), delta=1, layout="dict")
    observation, _ = env.reset()
    assert list(observation) == ["age_1_ticks", "age_2_ticks", "age_3_ticks"]
    for _ in range(3):
        observation, _, _, _, info = env.step(np.zeros(2, np.float32))
    assert [int(value[1]) for value in observation.values()] == [3, 2, 1]
    assert info["rtbench"]["ages_steps"] == (1,)
    assert info["rtbench"]["oldest_ages_steps"] == (3,)


def test_windows_of_slow_ticks():
    """δ = 2: a tick is two steps, so ages in steps are twice those in ticks."""
    env = LayerParallelObservation(Tape([(30, "terminated")], size=2), graph=graph_of(layers=3, skips="all"), delta=2)
    observation, _ = env.reset()
    for _ in range(4):
        observation, *_ = env.step(np.zeros(2, np.float32))
    assert [int(observation[3 * k + 1]) for k in range(3)] == [8, 6, 4]


def test_images_are_stacked_along_their_channels():
    class Film(Tape):
        def __init__(self):
            super().__init__([(30, "terminated")])
            self.observation_space = spaces.Box(0, 255, (4, 5, 3), np.uint8)

        def _observation(self):
            return np.full((4, 5, 3), self.now, np.uint8)

    chosen = {"architecture": "mlp", "params": {"layers": 3, "skips": "from-obs"}, "layout": "stack"}
    env = LayerParallelObservation(Film(), **chosen)
    assert env.observation_space == spaces.Box(0, 255, (4, 5, 9), np.uint8)
    env.reset()
    for _ in range(4):
        observation, *_ = env.step(np.zeros(1, np.float32))
    assert observation in env.observation_space
    assert observation[0, 0].tolist() == [4, 4, 4, 3, 3, 3, 2, 2, 2]
    with pytest.raises(SuiteError, match="no place"):
        LayerParallelObservation(Film(), actions=1, **chosen)


def test_convolutions_by_name_read_images():
    """Three convolutions, a layer and the head: the only observation in sight is five ticks old when it acts."""

    class Pictures(Tape):
        def __init__(self):
            super().__init__()
            self.observation_space = spaces.Box(0, 255, (10, 8, 2), np.uint8)

    params = {"channels": [2, 2, 2], "width": 4}
    env = LayerParallelObservation(Pictures(), architecture="cnn", params=params, layout="dict")
    assert env.observation_space == spaces.Dict({"age_5_ticks": Pictures().observation_space})
    with pytest.raises(SuiteError, match="it reads images"):
        LayerParallelObservation(Tape(), architecture="cnn", params=params)


def test_architectures_by_name_and_action_history():
    env = LayerParallelObservation(
        Tape([(30, "terminated")]), architecture="mlp", params={"layers": 2, "skips": "from-obs"}, delta=1, actions=3
    )
    assert env.observation_space.shape == (2 * 3 + 3 * 1,)
    env.reset()
    for value in (0.25, 0.5, 0.75, 1.0):
        observation, *_ = env.step(np.array([value], np.float32))
    np.testing.assert_array_equal(observation[-3:], [1.0, 0.75, 0.5])
    assert int(observation[1]) == 4


def test_discrete_actions_are_one_hot():
    env = LayerParallelObservation(
        Tape([(30, "terminated")], discrete=3), architecture="mlp", delta=1, actions=2, layout="dict"
    )
    env.reset()
    for action in (1, 2):
        observation, *_ = env.step(action)
    np.testing.assert_array_equal(observation["actions"], [[0, 0, 1], [0, 1, 0]])


def test_what_a_window_cannot_be():
    with pytest.raises(SuiteError, match="recurrent"):
        LayerParallelObservation(Tape(), architecture="mlp", params={"lstm": True})
    with pytest.raises(SuiteError, match="either architecture"):
        LayerParallelObservation(Tape())
    with pytest.raises(SuiteError, match="layout"):
        LayerParallelObservation(Tape(), architecture="mlp", layout="rows")
    with pytest.raises(SuiteError, match="processes must be 1"):
        LayerParallelObservation(Tape(), architecture="mlp", delta=0, processes=2)
    graph = GraphBuilder(3, 1)
    graph = graph.head(1, [graph.observation])
    env = Tape()
    env.observation_space = spaces.Dict({"a": env.observation_space})
    with pytest.raises(SuiteError, match="needs observations in a Box"):
        LayerParallelObservation(env, graph=graph)


# ---- histories of actions --------------------------------------------------------------------------------------------


def test_given_and_applied_actions_differ_by_the_delay():
    given, applied = (
        ActionHistory(
            RealTime(Tape([(30, "terminated")]), decision="step", delta=2, default_policy="zero"), count=3, of=of
        )
        for of in ("given", "applied")
    )
    for env, expected in ((given, [0.75, 0.5, 0.25]), (applied, [0.25, 0, 0])):
        observation, _ = env.reset()
        np.testing.assert_array_equal(observation[-3:], 0)
        for value in (0.25, 0.5, 0.75):
            observation, *_ = env.step(np.array([value], np.float32))
        np.testing.assert_array_equal(observation, [0, 3, 0.25, *expected])
        assert observation in env.observation_space
        observation, _ = env.reset()
        np.testing.assert_array_equal(observation[-3:], 0)


def test_history_without_any_delay_and_of_discrete_actions():
    env = ActionHistory(Tape([(30, "terminated")], discrete=2), count=2)
    env.reset()
    observation, *_ = env.step(1)
    np.testing.assert_array_equal(observation, [0, 1, 1, 0, 1, 0, 0])
    inner = Tape()
    inner.observation_space = spaces.Dict({"a": inner.observation_space})
    assert list(ActionHistory(inner, count=2).observation_space.spaces) == ["a", "actions"]
    with pytest.raises(SuiteError, match="only rtbench's"):
        ActionHistory(Tape(), count=2, of="applied")
    with pytest.raises(SuiteError, match="at least 1"):
        ActionHistory(Tape(), count=0)


# ---- inaction --------------------------------------------------------------------------------------------------------


def act(env):
    """One episode of actions 0.01, 0.02, …: the steps of observations, the rewards."""
    observation, _ = env.reset()
    steps, rewards = [int(observation[1])], []
    for k in itertools.count(1):
        observation, reward, terminated, truncated, _ = env.step(np.array([k / 100], np.float32))
        steps.append(int(observation[1]))
        rewards.append(reward)
        if terminated or truncated:
            return steps, rewards
    raise AssertionError


def test_every_third_step_acts():
    env = Inaction(Tape([(8, "terminated")]), every=3, default_policy="zero")
    steps, rewards = act(env)
    assert steps == [0, 3, 6, 8]
    assert rewards == pytest.approx([0 + 10 + 1 + 2, 3 + 20 + 4 + 5, 6 + 30 + 7])
    assert env.unwrapped.applied == [pytest.approx([0.01, 0, 0, 0.02, 0, 0, 0.03, 0])]


def test_patterns():
    env = Inaction(Tape([(8, "terminated")]), pattern=[False, True, True])
    assert act(env)[0] == [1, 2, 4, 5, 7, 8]
    assert env.unwrapped.applied == [pytest.approx([0, 0.01, 0.02, 0.02, 0.03, 0.04, 0.04, 0.05])]
    inter = interaction("sequential", 2.0)
    env = Inaction(Tape([(8, "terminated")]), pattern=clock_of(inter, 1, 0.1, 0).timeline(8), default_policy="zero")
    assert act(env)[0] == [2, 4, 6, 8]
    assert env.unwrapped.applied == [pytest.approx([0, 0, 0.01, 0, 0.02, 0, 0.03, 0])]
    assert act(Inaction(Tape([(4, "terminated")]), pattern=instant_timeline(9)))[0] == [0, 1, 2, 3, 4]


def test_inaction_by_nobody_is_an_error():
    for arguments in ({}, {"every": 2, "pattern": [True]}, {"every": 0}, {"pattern": [False]}, {"pattern": []}):
        with pytest.raises(SuiteError):
            Inaction(Tape(), **arguments)
