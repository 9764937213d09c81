"""Every name the core registers: it loads, is what its kind asks for, and says what it takes."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path

import pytest

from rtbench import parts, plugins

REGISTERED = [found for kind in plugins.KINDS for found in plugins.registrations(kind) if not found.third_party]
PARTS = [found for found in REGISTERED if found.kind not in {"suites", "commands"}]

NEEDED: dict[str, dict[str, str]] = {
    "environments/analytic": {"id": "delay-cycle"},
    "environments/atari": {"id": "ALE/Pong-v5"},
    "environments/minatar": {"game": "breakout"},
    "environments/minigrid": {"id": "MiniGrid-Empty-5x5-v0"},
    "environments/mujoco": {"id": "Hopper-v4"},
    "learners/frozen": {"policy": f"sha256:{'0' * 64}"},
}
"""Parameters without a default, by part."""


def label(found: plugins.Entry) -> str:
    return f"{found.kind}/{found.name}"


def test_the_names_of_the_core() -> None:
    """A name is a promise: suites and rows carry it. Adding one means adding it here, too."""
    names = {kind: {found.name for found in REGISTERED if found.kind == kind} for kind in plugins.KINDS}
    assert names == {
        "environments": {"analytic", "atari", "clock", "minatar", "minigrid", "mujoco"},
        "architectures": {"mlp", "cnn", "cnn-published", "residual", "whole"},
        "schedulers": {
            *("one-process", "sequential", "async", "chunked"),
            *("staggered-max", "staggered-expected", "staggered-slots"),
        },
        "learners": {
            *("clockwork", "distillation", "dqn", "frozen", "known", "ppo", "rainbow", "sac", "stopwatch"),
            *("stream-ac", "stream-q", "untrained", "update-timing"),
        },
        "backends": {"block", "compiled", "eager", "native", "numpy", "onnx", "sparse", "stacked", "threads"},
        "executors": {"local"},
        "suites": {
            *("ant-cut-paths", "combined", "halfcheetah-distillation", "mujoco-action-repeat"),
            *("atari-delta", "discrete-published-code", "discrete-skips", "handling-delay", "minigrid-delta"),
            *("minatar-augmentation", "minatar-delta", "minatar-lstm", "minatar-sticky"),
            *("mujoco-augmentation", "mujoco-delta", "mujoco-dropout", "mujoco-fast-observations", "mujoco-layers"),
            "mujoco-sequential",
            *("mujoco-skip-without-delay", "mujoco-skips", "mujoco-stochastic-delta", "quickstart"),
            *("theory", "stagger-drift", "stagger-scaling", "wall-smoke", "parity"),
            *("inference-speedup", "latency-to-return"),
            *("atari-realtime", "atari-realtime-deep", "atari-realtime-rainbow", "learning-scaling"),
        },
        "default_policies": {"repeat-last", "noop", "zero", "random"},
        "commands": {
            *("list", "describe", "plugins", "schema", "simulate", "profile"),
            *("plan", "run", "status", "report", "leaderboard", "results"),
            *("evaluate", "figures", "parity", "probe", "regret", "watch"),
        },
    }


@pytest.mark.parametrize("found", REGISTERED, ids=label)
def test_it_loads_and_is_documented(found: plugins.Entry) -> None:
    plugins.verify(found)
    loaded = found.load()
    documented = inspect.getdoc(loaded) if not hasattr(loaded, "info") else loaded.info.help
    assert documented


@pytest.mark.parametrize("found", PARTS, ids=label)
def test_part_keeps_the_contract(found: plugins.Entry) -> None:
    part = plugins.part_class(found.kind, found.name)
    assert "__doc__" in vars(part), "a docstring of its own, not its base class's"
    assert isinstance(part.revision, int)
    assert part.revision >= 1
    assert not inspect.isabstract(part)
    assert isinstance(part.requires, tuple)
    if part.requires:
        assert part.extra, "what to type when it is missing"


@pytest.mark.parametrize("found", PARTS, ids=label)
def test_params_are_frozen_typed_and_documented(found: plugins.Entry) -> None:
    params = plugins.part_class(found.kind, found.name).Params
    assert dataclasses.is_dataclass(params)
    assert params.__dataclass_params__.frozen  # type: ignore[attr-defined]
    for field in dataclasses.fields(params):
        assert field.metadata.get("doc"), f"{field.name} has no doc"
        assert "unit" in field.metadata, f"{field.name} is not made with rtbench.parts.param"


@pytest.mark.parametrize("found", PARTS, ids=label)
def test_defaults_survive_the_way_through_a_row(found: plugins.Entry) -> None:
    """Coerced, written as canonical JSON, read again and coerced: the same parameters."""
    used = plugins.use(found.kind, found.name, NEEDED.get(label(found), {}))
    again = plugins.use(found.kind, found.name, json.loads(parts.canonical_json(dict(used.params))))
    assert again == used


@pytest.mark.parametrize("found", [each for each in REGISTERED if each.kind == "suites"], ids=label)
def test_suite_is_a_file(found: plugins.Entry) -> None:
    path = Path(found.load()(found.name))
    assert path.is_file()
    assert path.suffix == ".toml"


def test_all_names_of_parts_are_there() -> None:
    for name in parts.__all__:
        assert hasattr(parts, name)
