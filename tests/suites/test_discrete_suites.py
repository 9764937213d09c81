"""The discrete half of the first paper: networks as their names say, runs shared, and all of the paper as one suite."""

from __future__ import annotations

import pytest

from rtbench import plugins
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.model import Suite, load_suite

NOT_OF_THE_PAPER = {"handling-delay", "combined", "discrete-published-code", "inference-speedup"}
"""Beside itself: what the paper's text does not say, and what is measured alone on a machine (Fig. 1a), not trained."""
ONE_NETWORK = ("minatar-delta", "minatar-sticky", "minatar-augmentation", "minatar-lstm", "minigrid-delta")


def runs(name: str, profile: str = "paper") -> set[str]:
    return {run for cell in expand(load_suite(name, profile), support=False) for run in cell.run_ids}


@pytest.fixture(scope="module")
def paper() -> Suite:
    return load_suite("handling-delay")


def test_all_of_the_paper_is_one_suite(paper: Suite) -> None:
    """Every suite that answers to it, each run once."""
    suites = [load_suite(found.name) for found in plugins.registrations("suites") if not found.third_party]
    of_the_paper = {suite.name for suite in suites if suite.source.startswith("Handling Delay in Real-Time RL")}
    assert {suite.name for suite in paper.included} == of_the_paper - NOT_OF_THE_PAPER
    cells = expand(paper, support=False)
    ids = [run for cell in cells for run in cell.run_ids]
    assert len(ids) == len(set(ids))
    assert set(ids) == set().union(*(runs(suite.name) for suite in paper.included))
    assert {cell.cell.budget.steps for cell in cells} == {1_000_000, 10_000_000}


def test_its_smoke_has_a_delayed_agent_and_its_base_in_every_family() -> None:
    cells = expand(load_suite("handling-delay", "smoke"), support=False)
    met = {(cell.cell.environment.name, cell.cell.interaction.execution) for cell in cells}
    families = ("mujoco", "minatar", "minigrid", "atari")
    assert met == {(family, execution) for family in families for execution in ("instant", "pipelined")}
    assert len(cells) == 8


def test_what_is_the_same_is_computed_once() -> None:
    ids = {name: runs(name) for name in (*ONE_NETWORK, "discrete-skips", "discrete-published-code")}
    assert ids["minatar-sticky"].isdisjoint(ids["minatar-delta"])
    # Without augmentation and with the paper's; beside them five tasks of five more kinds of past.
    assert len(ids["minatar-augmentation"] - ids["minatar-delta"]) == 5 * 5 * 3
    assert len(ids["minatar-lstm"] - ids["minatar-delta"]) == 5 * 3, "skip connections and LSTM alone"
    table_1 = ids["discrete-skips"] - ids["minatar-delta"] - ids["minigrid-delta"]
    assert len(table_1) == 2 * 7 * 3, "two of three kinds of skip connections on seven tasks"
    both = ids["discrete-published-code"] & (ids["minatar-delta"] | ids["minigrid-delta"])
    assert len(both) == 4 * 3, "ours and no delay on two tasks"


def wanted(cell: SuiteCell) -> dict[str, object]:
    """A network's parameters from its method's name."""
    name, minigrid = cell.method, cell.cell.environment.name == "minigrid"
    aug = "aug" in name
    return {
        "skips": "to-action-res" if "skip" in name else "none",
        "lstm": "lstm" in name.lower(),
        "frames": 4 if "four frames" in name or (aug and minigrid) else 1,
        "last_action": "in-flight" if "in flight" in name else "observation" if aug and not minigrid else "none",
        "convolutions": cell.cell.environment.name,
        "channels": [32, 64, 64],
        "width": 512,
    }


@pytest.mark.parametrize("name", ONE_NETWORK)
def test_methods_are_the_networks_their_names_say(name: str) -> None:
    for cell in expand(load_suite(name), support=False):
        params = cell.cell.architecture.params
        assert cell.cell.architecture.name == "cnn"
        assert {key: params[key] for key in wanted(cell)} == wanted(cell), cell.method
        execution = {"PPO": "instant", "Sequential CNN w/ aug": "sequential"}.get(cell.method, "pipelined")
        assert cell.cell.interaction.execution == execution
        sticky = cell.cell.environment.params.get("sticky_action_prob")
        assert sticky == {"minatar-sticky": 0.25, "minigrid-delta": None}.get(name, 0.1)


def test_atari_sees_four_frames_a_sign_and_skips_no_frames_twice() -> None:
    for cell in expand(load_suite("atari-delta"), support=False):
        params = cell.cell.environment.params
        assert (params["frames"], params["frame_skip"], params["training_reward"]) == (4, None, "sign")
        assert params["id"].endswith("-v5"), "these ids hold an action for four frames already"
        assert cell.cell.architecture.params["frames"] == 1, "the critic sees the four frames, too"
        assert cell.cell.architecture.params["skips"] == ("to-action-res" if "skip" in cell.method else "none")


def test_short_is_a_million_frames() -> None:
    for name in (*ONE_NETWORK, "discrete-skips", "discrete-published-code", "atari-delta"):
        short = load_suite(name, "short")
        frames = 4 if name == "atari-delta" else 1
        assert short.budget is not None
        assert (short.budget.steps * frames, short.budget.unit, short.seeds) == (1_000_000, "ticks", (0, 1)), name


def test_combined_has_a_task_of_minatar_on_as_many_workers_as_layers() -> None:
    cells = [cell for cell in expand(load_suite("combined"), support=False) if cell.environment == "MinAtar Breakout"]
    assert {cell.cell.learner.name for cell in cells} == {"ppo"}
    workers = {}
    for cell in cells:
        met = cell.cell.interaction
        workers[cell.method] = met.processes * (5 if met.execution == "pipelined" else 1)
        assert met.delta == (0 if cell.method == "PPO" else 2)
    assert {method: count for method, count in workers.items() if method not in ("PPO", "one inference at a time")} == {
        "5 staggered inferences": 5,
        "1 pipeline": 5,
        "1 pipeline w/ skips": 5,
        "10 staggered inferences": 10,
        "2 staggered pipelines": 10,
        "2 staggered pipelines w/ skips": 10,
    }
