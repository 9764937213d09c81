"""`rtbench probe`, `evaluate` and `watch` as a user meets them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.cells import interaction, small_cell

from rtbench.cli.evaluating import parse_deltas
from rtbench.cli.main import run_command_line
from rtbench.cli.policies import changed
from rtbench.errors import SuiteError
from rtbench.interaction.timing import contradiction
from rtbench.learners.cuts import cut
from rtbench.learners.policy import Policy, evaluate, policy_key
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.results.store import FolderStore

RUNS = ("abcdef" + "0" * 58, "abcdef" + "1" * 58, "fedcba" + "0" * 58)


def policy_of(run_id: str, seed: int) -> Policy:
    cell = small_cell("InvertedPendulum-v4", {"width": 4, "skips": "to-action"}, interaction("pipelined", 1))
    graph = build(cell.architecture).make(PolicyShape(4, 1, 2))
    rng = np.random.default_rng(seed)
    parameters = {
        layer.name: {
            "weight": rng.normal(size=(graph.input_width(layer), layer.width)).astype(np.float32),
            "bias": rng.normal(size=layer.width).astype(np.float32),
        }
        for layer in graph.layers
    }
    return Policy(cell, seed, run_id, parameters)


@pytest.fixture
def state(tmp_path):
    """A state with the policies of three runs, two of them with ids that begin alike."""
    for seed, run_id in enumerate(RUNS):
        FolderStore(tmp_path / "state").replace(policy_key(run_id), policy_of(run_id, seed).to_bytes())
    return tmp_path / "state"


@pytest.fixture
def call(state, capsys):
    """A command line in that state: exit code, output, errors."""

    def run(*arguments):
        code = run_command_line([*map(str, arguments), "--state", str(state)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def data_of(call, *arguments):
    code, out, err = call(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


# ---- probe -----------------------------------------------------------------------------------------------------------


def test_probe_cuts_every_edge_to_the_head(call) -> None:
    data = data_of(call, "probe", RUNS[2][:6], "--episodes", 3)
    policy = policy_of(RUNS[2], 2)
    graph = build(policy.cell.architecture).make(PolicyShape(4, 1, 2))
    assert data["run_id"] == RUNS[2]
    assert [row["cut"] for row in data["rows"]] == [None, "observation->head", "layer1->head", "layer2->head"]
    for row in data["rows"]:
        parameters = cut(graph, policy.parameters, row["cut"]) if row["cut"] else None
        found = evaluate(policy, 3, parameters=parameters)
        assert row["returns"] == list(found.returns)
        assert (row["return_mean"], row["return_sd"]) == (found.mean, found.sd)


def test_probe_as_asked(call) -> None:
    chosen = ("--cut", "obs->policy", "--cut", "layer1->layer2", "--delta", 3, "--episodes", 1)
    data = data_of(call, "probe", RUNS[0][:7], *chosen)
    assert [row["cut"] for row in data["rows"]] == [None, "obs->policy", "layer1->layer2"]
    assert (data["interaction"]["execution"], data["interaction"]["delta"]) == ("pipelined", 3)
    assert data["rows"][0]["return_sd"] is None


def test_probe_in_words(call) -> None:
    code, out, _ = call("probe", RUNS[2][:6], "--episodes", 2, "--cut", "observation -> head")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("InvertedPendulum-v4 · pipelined δ 1 · ")
    assert "mean ± SD of 2" in lines[1]
    assert [text.split("  ")[0] for text in lines[2:]] == ["(whole)", "observation -> head"]


def test_probe_of_a_file(call, state) -> None:
    data = data_of(call, "probe", state / policy_key(RUNS[1]), "--episodes", 1)
    assert data["run_id"] == RUNS[1]


@pytest.mark.parametrize(
    ("run", "words", "named"),
    [
        ("abcde", "too short", ["abcdef000000", "abcdef111111"]),
        ("abcdef", "2 runs begin", ["abcdef000000", "abcdef111111"]),
        ("fedcbb", "no trained policy", ["abcdef000000", "fedcba000000"]),
    ],
)
@pytest.mark.parametrize("command", ["probe", "evaluate"])
def test_a_run_that_is_not_one(call, command, run, words, named) -> None:
    code, out, err = call(command, run)
    assert (code, out) == (2, "")
    assert words in err
    assert all(name in err for name in named)
    assert "next:" in err


@pytest.mark.parametrize("run", ["gone.npz", "bad.npz"])
def test_a_file_that_is_not_one(call, tmp_path, run) -> None:
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    code, _, err = call("probe", tmp_path / run)
    assert code == 2
    assert run in err


def test_a_cut_that_cannot_be_names_those_that_can(call) -> None:
    code, _, err = call("probe", RUNS[2][:6], "--cut", "action->head")
    assert code == 2
    assert "allowed: observation->layer1" in err


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, None),
        ({"delta": 2.0}, ("pipelined", 2, None)),
        ({"delta": 0.0}, ("instant", 0, None)),
        ({"execution": "instant"}, ("instant", 0, None)),
        ({"execution": "sequential"}, ("sequential", 1, None)),
        ({"latency": "40ms"}, ("pipelined", 0, 0.04)),
        ({"latency": "40ms", "execution": "sequential"}, ("sequential", 0, 0.04)),
    ],
)
def test_another_interaction(given, wanted) -> None:
    base = interaction("pipelined", 1, delta_cv=0.5)
    found = changed(base, given.get("execution"), given.get("delta"), given.get("latency"))
    if wanted is None:
        assert found is None
        return
    assert contradiction(found) is None
    assert (found.execution, found.delta, found.latency and found.latency.mean_s) == wanted


def test_what_contradicts_itself_stays_an_error(call) -> None:
    code, _, err = call("probe", RUNS[2][:6], "--delta", 1, "--latency", "40ms")
    assert code == 2
    assert "takes delta or latency" in err


# ---- evaluate --------------------------------------------------------------------------------------------------------


def test_evaluate_a_policy_of_a_run_under_every_delay(call) -> None:
    data = data_of(call, "evaluate", RUNS[2][:6], "--episodes", 2, "--seed", 2)
    policy = policy_of(RUNS[2], 2)
    assert [(row["delta"], row["execution"]) for row in data["rows"]] == [
        (0, "instant"),
        *((delta, "pipelined") for delta in (1, 2, 3, 4)),
    ]
    for row in data["rows"]:
        found = evaluate(policy, 2, interaction(row["execution"], row["delta"]), phase="evaluate")
        assert row["returns"] == list(found.returns)
    assert [row["observation_age_p50_steps"] for row in data["rows"][:2]] == [0, 1]


@pytest.fixture
def controller(distributions):
    distributions.add("acme", {}, {"acme_pd": "def act(observation):\n    return [9 * observation[1]]\n"})
    return "python:acme_pd:act"


WORLD = ("--environment", "mujoco:id=InvertedPendulum-v4")


def test_evaluate_a_function(call, controller) -> None:
    data = data_of(call, "evaluate", controller, *WORLD, "--delta", "0,2", "--episodes", 1)
    assert [(row["delta"], row["execution"]) for row in data["rows"]] == [(0, "instant"), (2, "sequential")]
    assert data["environment"]["params"] == {"id": "InvertedPendulum-v4"}


def test_evaluate_under_latencies_with_staggered_processes(call, controller) -> None:
    times = ("--latency", "120ms", "--latency", "lognormal:60ms:0.2", "--processes", 3)
    data = data_of(call, "evaluate", controller, *WORLD, *times, "--episodes", 1, "--actions", "unit")
    assert [row["latency"]["distribution"] for row in data["rows"]] == ["constant", "lognormal"]
    assert data["rows"][0]["observation_age_max_steps"] >= 3


def test_evaluate_in_words(call, controller) -> None:
    code, out, _ = call("evaluate", controller, *WORLD, "--delta", "0..1", "--episodes", 2)
    assert code == 0
    assert "repeat-last while waiting" in out
    assert [text.split()[0] for text in out.splitlines()[1:]] == ["delta", "0", "1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "in which environment"),
        (("--environment", "mujoco:id"), "not a parameter"),
        (("--environment", "mujocko:id=Hopper-v4"), "unknown environment"),
        ((*WORLD, "--execution", "pipelined"), "cannot be pipelined"),
        ((*WORLD, "--delta", "4..0"), "not a δ"),
        ((*WORLD, "--default-policy", "hope"), "unknown default policy"),
        ((*WORLD, "--algorithm", "SAC"), "zip of Stable-Baselines3"),
    ],
)
def test_evaluate_explains_what_cannot_be(call, controller, arguments, words) -> None:
    code, _, err = call("evaluate", controller, *arguments)
    assert code == 2
    assert words in err


@pytest.mark.parametrize("name", ["policy.h5", "gone.zip", "python:nowhere_at_all:act"])
def test_evaluate_of_what_is_no_policy(call, name) -> None:
    code, _, err = call("evaluate", name, *WORLD)
    assert code == 2
    assert "next:" in err


def test_deltas() -> None:
    assert parse_deltas("0..3, 0.5,2") == [0, 1, 2, 3, 0.5]
    for wrong in ("", "a", "3..1", "1..b"):
        with pytest.raises(SuiteError, match="not a δ"):
            parse_deltas(wrong)
