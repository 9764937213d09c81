"""Parts that each break one promise: the check that stands for it fails, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from rtbench.testing.discovery import plain_class
from rtbench.testing.report import run

COMMON = """
import numpy as np
from dataclasses import dataclass
from rtbench.parts import *
from rtbench.parts import param
"""
ENVIRONMENT = """
import gymnasium
class World(gymnasium.Env):
    left = 0
    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(-9, 9, (1,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.x = 0, {start}
        return np.asarray([self.x], np.float32), {{}}
    def step(self, action):
        self.at += 1
        World.left += 1
        return np.asarray([{observation}], np.float32), 0.0, False, self.at >= {limit}, {{}}
class Broken(Environment):
    "A world."
    def make(self, render_mode=None):
        return World()
    def spec(self):
        return EnvironmentSpec((1,), 1, True, {step_s}, 20, (-1.0,), (1.0,))
"""
SCHEDULER = """
from rtbench.schedulers.base import SchedulerState, Steady
class State(SchedulerState):
    calls = 0
    def start(self, process, now_ns):
        {start}
    def register(self, process, now_ns, took_ns):
        {register}
    def steady(self):
        return {steady}
class Broken(Scheduler):
    "A scheduler."
    def make(self, processes, step_ns, execution):
        if processes < 1:
            from rtbench.errors import SuiteError
            raise SuiteError("no process")
        return State(processes, step_ns, [0] * processes)
"""
ARCHITECTURE = """
from rtbench.graph import GraphBuilder
class Broken(Architecture):
    "A network."
    def make(self, shape):
        graph = GraphBuilder(shape.observation_size, shape.action_size)
        first = graph.layer(4, [graph.observation])
        second = graph.layer(4, [{second}])
        return graph.head({width}, [{head}])
"""
BACKEND = """
class Acting:
    def __init__(self, inner): self.inner = inner
    def restart(self, observation): {restart}
    def tick(self, observation, action): return self.inner.tick(observation, action)
    def refresh(self): pass
    def state(self): return self.inner.state()
    def restore(self, state): {restore}
class Broken(Backend):
    "A backend."
    def make(self, spec, parameters):
        from rtbench.plugins import build, use
        kept = {kept}
        return Acting(build(use("backends", "numpy")).make(spec, kept))
"""
POLICY = """
class Broken(DefaultPolicy):
    "A default policy."
    holds = {holds}
    def make(self, spec):
        kept = np.zeros(spec.action_size, np.float32)
        def policy(last, rng):
            {act}
        return policy
"""
LEARNER = """
from rtbench.learners.untrained import Untrained
class Program:
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name): return getattr(self.inner, name)
    def state(self): return {state}
    def restore(self, state, segments): {restore}
    def outcomes(self): return {outcomes}
class Broken(Untrained):
    "A learner."
    def make(self, batch): return Program(super().make(batch))
"""
WORLD = {"start": "self.np_random.uniform(-1, 1)", "observation": "self.x + self.at", "limit": "20", "step_s": "0.02"}
PLAIN = {"start": "return -(-now_ns // self.step_ns) * self.step_ns", "register": "return now_ns", "steady": "None"}
NETWORK = {"second": "first", "head": "graph.observation, second", "width": "shape.output_size"}
NUMPY = {
    "restart": "return self.inner.restart(observation)",
    "restore": "self.inner.restore(state)",
    "kept": "parameters",
}
ACTS = {"holds": "False", "act": "return np.zeros(spec.action_size, np.float32) if spec.continuous else 0"}
PASSES = {
    **{"state": "self.inner.state()", "restore": "self.inner.restore(state, segments)"},
    "outcomes": "self.inner.outcomes()",
}
WORKING = {
    "environments": (ENVIRONMENT, WORLD),
    "schedulers": (SCHEDULER, PLAIN),
    "architectures": (ARCHITECTURE, NETWORK),
    "backends": (BACKEND, NUMPY),
    "default_policies": (POLICY, ACTS),
    "learners": (LEARNER, PASSES),
}
LISTED = "return (-(-now_ns // self.step_ns) + {}) * self.step_ns"
BROKEN: list[tuple[str, dict[str, str], str]] = [
    ("environments", {"start": "np.random.uniform(-1, 1)"}, "test_global_randomness_does_not_matter"),
    ("environments", {"start": "0.5"}, "test_the_seed_matters"),
    ("environments", {"observation": "World.left"}, "test_two_do_not_disturb_each_other"),
    ("environments", {"limit": "30"}, "test_no_episode_outlasts_its_limit"),
    ("environments", {"step_s": "0.0"}, "test_spec_has_a_duration_of_a_step"),
    ("schedulers", {"start": "return now_ns - 1"}, "test_nothing_happens_in_the_past"),
    ("schedulers", {"start": "return now_ns + 0.5"}, "test_nothing_happens_in_the_past"),
    (
        "schedulers",
        {"start": "State.calls += 1; " + LISTED.format("State.calls % 2")},
        "test_same_draws_same_answers",
    ),
    (
        "schedulers",
        {"start": "self.mine = getattr(self, 'mine', 0) + 1; " + LISTED.format("self.mine % 3")},
        "test_state_is_all_it_remembers",
    ),
    (
        "schedulers",
        {"start": "self.state[process] += 1; " + LISTED.format("self.state[process] ** 2")},
        "test_no_process_starves",
    ),
    ("schedulers", {"steady": "Steady(self.step_ns, 0, 1, 10**12)"}, "test_the_virtual_clock_agrees"),
    ("schedulers", {"register": "self.state.append(1); return now_ns"}, "test_state_is_integers"),
    ("architectures", {"second": "first.now()"}, "test_keeps_the_constraint_of_time"),
    ("architectures", {"head": "first"}, "test_every_layer_reaches_the_action"),
    ("architectures", {"width": "1"}, "test_graph_has_the_widths_it_was_asked_for"),
    (
        "backends",
        {"kept": "{n: {k: a.copy() for k, a in v.items()} for n, v in parameters.items()}"},
        "test_parameters_are_those_of_now",
    ),
    ("backends", {"restore": "pass"}, "test_continues_from_a_checkpoint"),
    (
        "backends",
        {"restart": "return np.ones(self.inner.restart(observation).shape, 'f4')"},
        "test_restart_follows_the_start_rule",
    ),
    (
        "default_policies",
        {"act": "return np.full(spec.action_size, 2, np.float32)"},
        "test_actions_are_within_their_space",
    ),
    ("default_policies", {"act": "kept[:] = rng.random(); return kept"}, "test_actions_have_their_type"),
    ("default_policies", {"act": "return np.random.uniform(-1, 1, spec.action_size)"}, "test_actions_have_their_type"),
    ("default_policies", {"holds": "True"}, "test_what_it_says_of_holding_is_true"),
    (
        "learners",
        {"restore": "self.inner.restore(state, segments); self.inner.loops[0].returns.append(9.0)"},
        "test_continues_exactly",
    ),
    ("learners", {"state": "{'what': object()}"}, "test_state_is_plain_data"),
    ("learners", {"outcomes": "self.inner.outcomes()[:1]"}, "test_every_run_has_an_outcome"),
]


def part(kind: str, changed: dict[str, str]) -> str:
    source, plain = WORKING[kind]
    return COMMON + source.format(**{**plain, **changed})


def checked(distributions: Any, kind: str, source: str) -> dict[str, str]:
    """What became of every check of a part, by name: empty where it passed."""
    distributions.add(
        "acme-broken", {f"rtbench.{kind}": {"acme/broken": "acme_broken:Broken"}}, {"acme_broken": source}
    )
    found = plain_class(kind, "acme/broken", **({"steps": 30} if kind == "environments" else {}))
    done = run(found)
    return {check.name: check.message for check in done.checks if check.outcome == "failed"}


@pytest.mark.parametrize("kind", WORKING)
def test_the_unbroken_part_passes(distributions: Any, kind: str) -> None:
    heavy = {"environments": {"test_registration_is_light"}}.get(kind, set())
    assert set(checked(distributions, kind, part(kind, {}))) == heavy  # for brevity it imports gymnasium at once


@pytest.mark.parametrize(("kind", "changed", "check"), BROKEN, ids=lambda value: str(value)[:60])
def test_the_check_that_stands_for_it_fails(distributions: Any, kind: str, changed: dict[str, str], check: str) -> None:
    source = part(kind, changed)
    failed = checked(distributions, kind, source)
    assert check in failed
    assert failed[check].strip()


def test_undocumented_parameters_and_heavy_imports_are_seen(distributions: Any) -> None:
    source = (
        COMMON
        + "import torch\n@dataclass(frozen=True)\nclass Params:\n    width: int = 3\n"
        + ARCHITECTURE.format(**NETWORK)
    )
    failed = checked(distributions, "architectures", source + "    Params = Params\n")
    assert set(failed) == {"test_every_parameter_is_documented", "test_registration_is_light"}
    assert "torch" in failed["test_registration_is_light"]
