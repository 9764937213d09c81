"""A trained policy as a value: its file, its acting, and cuts against a naive forward pass."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers.cells import interaction, small_cell
from helpers.weights import normal_weights
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.cell import RunBatch
from rtbench.errors import RtbenchError, SuiteError
from rtbench.learners.cuts import cut, cuttable, parse_edge
from rtbench.learners.policy import Policy, evaluate, mean_action, policy_key
from rtbench.learners.sac_program import SACProgram
from rtbench.learners.sac_program import mean_action as sac_mean_action
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use
from rtbench.seeds import episode_seed


def small_policy(arch=None, inter=None, env="InvertedPendulum-v4", **kwargs):
    cell = small_cell(env, {"width": 4, **(arch or {})}, inter)
    spec = build(cell.environment).spec()
    shape = PolicyShape(spec.observation_size, spec.action_size, 2 * spec.action_size)
    graph = build(cell.architecture).make(shape)
    return Policy(cell, 3, "ab" * 32, normal_weights(graph, scale=1 / 4), **kwargs)


# ---- the file --------------------------------------------------------------------------------------------------------


def test_a_policy_survives_its_file() -> None:
    policy = small_policy({"skips": "to-action"}, start="hold")
    again = Policy.from_bytes(policy.to_bytes())
    assert (again.cell, again.seed, again.run_id, again.head, again.start) == (
        *(policy.cell, policy.seed, policy.run_id),
        *("tanh-mean", "hold"),
    )
    assert list(again.parameters) == ["layer1", "layer2", "head"]
    for name, layer in policy.parameters.items():
        for kind, value in layer.items():
            assert again.parameters[name][kind].dtype == np.float32
            np.testing.assert_array_equal(again.parameters[name][kind], value)
    assert again.to_bytes() == policy.to_bytes()


def test_the_file_is_plain_arrays(tmp_path) -> None:
    (tmp_path / "p.npz").write_bytes(small_policy().to_bytes())
    with np.load(tmp_path / "p.npz", allow_pickle=False) as found:
        assert sorted(found.files) == sorted(
            ["about", *(f"{name}/{kind}" for name in ("layer1", "layer2", "head") for kind in ("weight", "bias"))]
        )
        assert json.loads(found["about"].tobytes())["head"] == "tanh-mean"


def damaged(change):
    """The bytes of a policy whose arrays `change` has had in hand."""
    import io

    with np.load(io.BytesIO(small_policy().to_bytes())) as found:
        arrays = dict(found)
    change(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def pickled(arrays):
    arrays["head/weight"] = np.array([{"a": 1}], dtype=object)


def of_another_format(arrays):
    about = json.loads(arrays["about"].tobytes()) | {"format": 99}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)


def of_another_head(arrays):
    about = json.loads(arrays["about"].tobytes()) | {"head": "psychic"}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        small_policy().to_bytes()[:-300],
        damaged(lambda arrays: arrays.pop("about")),
        damaged(lambda arrays: arrays.pop("head/bias")),
        damaged(lambda arrays: arrays.update({"head/bias": np.zeros(7, np.float32)})),
        damaged(pickled),
        damaged(of_another_format),
        damaged(of_another_head),
    ],
)
def test_what_is_no_policy_is_an_error_with_its_place(content) -> None:
    with pytest.raises(RtbenchError, match="not a policy of rtbench") as caught:
        Policy.from_bytes(content, place="over/there.npz")
    assert caught.value.place == "over/there.npz"


def test_parameters_that_do_not_fit_are_named() -> None:
    policy = small_policy()
    other = Policy(small_cell("Hopper-v4", {"width": 4}), 0, "cd" * 32, policy.parameters)
    with pytest.raises(RtbenchError, match="do not fit this environment"):
        other.loop()


def test_there_is_one_mean_action() -> None:
    output = np.array([0.5, -2, 9, 9], np.float32)
    np.testing.assert_array_equal(mean_action(output), np.tanh(np.array([0.5, -2], np.float32)))
    np.testing.assert_array_equal(mean_action(output), sac_mean_action(output))


def test_its_key_in_the_state() -> None:
    assert policy_key("ab" * 32) == f"policies/{'ab' * 32}.npz"


# ---- acting ----------------------------------------------------------------------------------------------------------


def naive_episode(name, act, seed, phase, number, *, delay_steps=0, every=1):
    """Return and length: an action computed from step m·every's observation acts from (m·every + delay) on."""
    env = build(use("environments", "mujoco", {"id": name})).make()
    observation, _ = env.reset(seed=episode_seed(seed, phase, number))
    waiting, action, total, step = [], np.zeros(env.action_space.shape, np.float32), 0.0, 0
    while True:
        if step % every == 0:
            waiting.append((step + delay_steps, act(np.asarray(observation, np.float32))))
        action = next((a for at, a in reversed(waiting) if at <= step), action)
        observation, reward, terminated, truncated, _ = env.step(env.action_space.high * action)
        total, step = total + reward, step + 1
        if terminated or truncated:
            return total, step


def chain(policy):
    """The three layers by hand."""
    p = policy.parameters

    def act(observation):
        h = np.maximum(observation @ p["layer1"]["weight"] + p["layer1"]["bias"], 0)
        h = np.maximum(h @ p["layer2"]["weight"] + p["layer2"]["bias"], 0)
        return np.tanh((h @ p["head"]["weight"] + p["head"]["bias"])[: len(p["head"]["bias"]) // 2])

    return act


@pytest.mark.parametrize(
    ("execution", "delta", "delay"), [("instant", 0, 0), ("sequential", 1, 3), ("sequential", 2, 6)]
)
@pytest.mark.parametrize("env", ["InvertedPendulum-v4", "Swimmer-v4"])  # ends early, in a box of ±3; never ends
def test_evaluation_is_what_a_naive_loop_finds(env, execution, delta, delay) -> None:
    policy = small_policy(env=env)
    found = evaluate(policy, 2, interaction(execution, delta), phase="somewhere")
    wanted = [
        naive_episode(env, chain(policy), 3, "somewhere", number, delay_steps=delay, every=max(1, delay))
        for number in range(2)
    ]
    assert found.returns == pytest.approx([total for total, _ in wanted], rel=1e-4)
    assert list(found.lengths_steps) == [steps for _, steps in wanted]
    assert found.mean == pytest.approx(np.mean([total for total, _ in wanted]))
    assert found.sd == pytest.approx(np.std([total for total, _ in wanted], ddof=1))
    if delay:
        assert found.columns["observation_age_p50_steps"] >= delay
    else:
        assert found.columns["observation_age_max_steps"] == 0


def test_by_default_it_acts_as_it_was_trained() -> None:
    policy = small_policy({"skips": "from-obs"}, interaction("pipelined", 2))
    assert evaluate(policy, 2).returns == evaluate(policy, 2, interaction("pipelined", 2)).returns
    assert evaluate(policy, 1).columns["observation_age_p50_steps"] == 2


def test_one_episode_has_no_spread() -> None:
    assert evaluate(small_policy(), 1, interaction("instant", 0)).sd is None


def test_an_interaction_that_cannot_be_is_an_error() -> None:
    with pytest.raises(RtbenchError, match="contradicts itself"):
        evaluate(small_policy(), 1, interaction("sequential", 0))


def test_the_policy_of_a_training_program_acts_as_its_evaluation() -> None:
    """What the worker is to keep at a run's end: the same views that SAC's own evaluation acts on."""
    cell = small_cell("InvertedPendulum-v4", inter=interaction("pipelined", 1))
    program = SACProgram(RunBatch(cell, (3,)), program_params(cell))
    (policy,) = program.policies(["ab" * 32])
    assert (policy.seed, policy.run_id, policy.start) == (3, "ab" * 32, "zero")
    evaluation = [program.evaluation._loops[""][0].run_episode() for _ in range(2)]
    assert list(evaluate(Policy.from_bytes(policy.to_bytes()), 2, phase="evaluate").returns) == evaluation


def program_params(cell):
    return build(cell.learner).params


# ---- cuts ------------------------------------------------------------------------------------------------------------


def graph_of(**params):
    return build(use("architectures", "mlp", {"layers": 3, "width": 4, **params})).make(PolicyShape(3, 2, 4))


def naive(graph, parameters, observation, action, without=None):
    """One pass with all lags zero, the input that an edge brings replaced by zeros."""
    values = {"observation": observation, "action": action}
    for layer in graph.layers:
        blocks = []
        for term in layer.inputs:
            block = sum(values[read.source] for read in term.reads) * np.float32(term.scale)
            if without is not None and [(read.source, layer.name) for read in term.reads] == [without]:
                block = np.zeros_like(block)
            blocks.append(block)
        value = np.concatenate(blocks) @ parameters[layer.name]["weight"] + parameters[layer.name]["bias"]
        values[layer.name] = np.maximum(value, 0) if layer.activation == "relu" else value
    return values[graph.head.name]


LINEAR = [
    {"skips": "none"},
    {"skips": "from-obs"},
    {"skips": "to-action"},
    {"skips": "to-action-res"},
    {"skips": "all"},
    {"skips": "from-obs", "augmentation": "observation", "actions": 2},
    {"skips": "to-action", "augmentation": "in-flight"},
]


@pytest.mark.parametrize("params", LINEAR, ids=str)
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_a_cut_is_a_pass_with_that_input_at_zero(params, seed) -> None:
    graph = graph_of(**params)
    parameters = normal_weights(graph, seed, 1 / 4)
    rng = np.random.default_rng(seed)
    observation, action = rng.normal(size=3).astype(np.float32), rng.normal(size=2).astype(np.float32)
    before = {name: {kind: value.copy() for kind, value in layer.items()} for name, layer in parameters.items()}
    for edge in cuttable(graph):
        found = naive(graph, cut(graph, parameters, edge), observation, action)
        wanted = naive(graph, parameters, observation, action, without=parse_edge(edge))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for name, layer in before.items():  # the whole policy is left as it was
        for kind, value in layer.items():
            np.testing.assert_array_equal(parameters[name][kind], value)


def test_which_edges_can_be_cut() -> None:
    assert cuttable(graph_of(), "head") == ["layer2->head"]
    assert cuttable(graph_of(skips="to-action"), "head") == ["observation->head", "layer1->head", "layer2->head"]
    # (z² + z¹)/√2 is read as one: neither has weights of its own there, though z¹ is read alone as well.
    assert cuttable(graph_of(skips="to-action-res"), "head") == ["observation->head"]
    augmented = graph_of(augmentation="observation", actions=2)
    assert cuttable(augmented, "layer1") == ["observation->layer1", "action->layer1"]
    assert cuttable(graph_of(lstm=True)) == ["observation->layer1", "layer1->layer2", "layer2->head"]


def test_short_names() -> None:
    graph = graph_of(skips="to-action")
    parameters = normal_weights(graph, scale=1 / 4)
    short, long = cut(graph, parameters, " obs -> policy "), cut(graph, parameters, "observation->head")
    np.testing.assert_array_equal(short["head"]["weight"], long["head"]["weight"])
    assert not long["head"]["weight"][:3].any()
    assert long["head"]["weight"][3:].all()


@pytest.mark.parametrize(
    ("params", "edge", "words"),
    [
        ({}, "observation->head", "head does not read observation"),
        ({}, "observation->nowhere", "no layer 'nowhere'"),
        ({"skips": "to-action-res"}, "layer1->head", "summed with others"),
        ({"lstm": True}, "layer2->layer2", "own state"),
    ],
)
def test_a_cut_that_cannot_be_says_why_and_which_can(params, edge, words) -> None:
    graph = graph_of(**params)
    with pytest.raises(SuiteError, match=words) as caught:
        cut(graph, normal_weights(graph, scale=1 / 4), edge)
    assert list(caught.value.allowed) == cuttable(graph)


@pytest.mark.parametrize("edge", ["", "observation", "->head", "observation->"])
def test_what_is_no_edge(edge) -> None:
    with pytest.raises(SuiteError, match="not an edge"):
        parse_edge(edge)


def test_a_cut_lstm_loses_the_input_in_all_gates() -> None:
    graph = graph_of(lstm=True)
    weight = cut(graph, normal_weights(graph, scale=1 / 4), "layer1->layer2")["layer2"]["weight"]
    assert weight.shape == (8, 16)
    assert not weight[:4].any()
    assert weight[4:].all()


def test_a_cut_changes_what_an_episode_earns_and_only_that() -> None:
    policy = small_policy({"skips": "to-action"}, interaction("pipelined", 1))
    made = build(policy.cell.architecture).make(PolicyShape(4, 1, 2))
    nothing = {name: {kind: np.zeros_like(v) for kind, v in layer.items()} for name, layer in policy.parameters.items()}
    assert evaluate(policy, 2).returns != evaluate(policy, 2, parameters=nothing).returns
    whole = evaluate(policy, 2).returns
    assert evaluate(policy, 2, parameters=cut(made, policy.parameters, "obs->policy")).returns != whole
    assert all(math.isfinite(value) for value in whole)
