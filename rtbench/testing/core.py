"""The core's own parts under the classes that strangers' parts go through: what each is checked with.

Registered in the group `rtbench.conformance` like anybody's; `rtbench plugins check rtbench` runs it.
"""

from __future__ import annotations

from typing import Any

from rtbench import plugins
from rtbench.cell import Budget, Latency
from rtbench.parts import PolicyShape
from rtbench.testing import samples
from rtbench.testing.backends import GRAPHS
from rtbench.testing.base import Conformance
from rtbench.testing.discovery import plain_class
from rtbench.testing.latencies import LatencyConformance

VECTOR = PolicyShape(5, 2, 4)
IMAGE = PolicyShape(6 * 6 * 2, 3, 3, (6, 6, 2))
WALL = samples.interaction("sequential", 0.0, clock="wall")
EPISODES = Budget(steps=3, unit="episodes", eval_every=3, eval_episodes=1, final_eval_episodes=2)
STEPS = Budget(steps=400, unit="env_steps", eval_every=400, eval_episodes=1, final_eval_episodes=2)

RUNS = (("pipelined", 1.0),)
"""Fewer, for a network that takes long to be simulated pixel by pixel."""
MEASURING = dict.fromkeys(
    (
        *("test_same_seeds_same_outcomes", "test_threads_do_not_matter", "test_global_randomness_does_not_matter"),
        *("test_saving_disturbs_nothing", "test_continues_exactly", "test_checkpoints_follow_each_other"),
    ),
    "it measures times, which are never the same twice",
)
"""Expected failures of a learner that measures."""

DECLARED: dict[str, list[dict[str, Any]]] = {
    "environments/analytic": [
        {"params": {"id": "delay-cycle", "steps": 30}},
        {"params": {"id": "inaction", "steps": 30, "distractors": 3}},
        {"params": {"id": "additive", "states": 4, "steps": 30}},
    ],
    "environments/atari": [{"params": {"id": "ALE/Pong-v5"}, "steps": 20}],
    "environments/clock": [
        {
            "params": {"steps": 30},
            "expected_failures": {"test_the_seed_matters": "nothing in it is random: only time passes"},
        }
    ],
    "environments/minatar": [{"params": {"game": "breakout"}}],
    "environments/minigrid": [{"params": {"id": "MiniGrid-Empty-Random-5x5-v0"}}],
    "environments/mujoco": [
        {"params": {"id": "InvertedPendulum-v4"}},
        {"params": {"id": "Hopper-v4", "action_repeat": 2}},
    ],
    "architectures/mlp": [
        {"params": {"layers": 3, "width": 6, **more}, "shape": VECTOR}
        for more in (
            {},
            {"skips": "all", "augmentation": "in-flight"},
            {"skips": "to-action-res", "augmentation": "observation"},
            {"skips": "from-obs", "lstm": True},
            {"dropout": 0.2},
        )
    ],
    "architectures/cnn": [
        {"params": {"channels": [2, 3, 2], "width": 4, **more}, "shape": IMAGE}
        for more in ({}, {"skips": "to-action-res", "frames": 2}, {"skips": "from-obs", "lstm": True})
    ],
    "architectures/cnn-published": [
        {"params": {"channels": [2, 3, 2], "width": 4, "residual": False}, "shape": IMAGE},
        {
            "params": {"channels": [2, 3, 2], "width": 4},
            "shape": IMAGE,
            "expected_failures": {"test_keeps_the_constraint_of_time": "as published, sums come too early"},
        },
    ],
    "backends/compiled": [{"graphs": GRAPHS[1:2], "runs": RUNS}],
    "architectures/residual": [
        {
            "params": {"k": 0.125, "width": 4},
            "shape": PolicyShape(44 * 44, 3, 3, (44, 44, 1)),
            "ticks": 20,
            "runs": RUNS,
        }
    ],
    "learners/clockwork": [{"budget": STEPS}],
    "learners/known": [{"environment": samples.DISCRETE, "architecture": ("whole", {}), "budget": EPISODES}],
    "learners/distillation": [
        {
            "params": {"teacher_ticks": 30, "teacher_learning_starts": 10, "learning_starts": 10, "batch_size": 8},
            "interaction": samples.interaction("pipelined", 2.0),
            "budget": Budget(steps=16, unit="ticks", eval_every=8, eval_episodes=1, final_eval_episodes=1),
            "seeds": (1,),
        }
    ],
    "learners/frozen": [{"params": {"policy": "python:rtbench.testing.samples:still"}}],
    "learners/ppo": [{"params": {"environments": 2, "rollout": 6, "epochs": 2}}],
    "learners/stopwatch": [
        {
            "params": {"rounds": 2, "warmup": 1, "against": []},
            "interaction": WALL,
            "budget": Budget(steps=2_000, unit="ticks", eval_every=2_000, eval_episodes=0, final_eval_episodes=0),
            "seeds": (1,),
            "expected_failures": MEASURING,
        }
    ],
    "learners/update-timing": [
        {
            "params": {"calls": 3, "batch_size": 2, "measures": "inference"},
            "environment": ("minatar", {"game": "breakout"}),
            "architecture": ("cnn", {"channels": [2, 3, 2], "width": 4}),
            "interaction": WALL,
            "seeds": (1,),
            "expected_failures": MEASURING,
        }
    ],
    "learners/sac": [
        {
            "params": {"batch_size": 8, "critic_width": 8, "learning_starts": 20},
            "interaction": samples.interaction("sequential", 0.0, latency=Latency("lognormal", mean_s=0.02, cv=0.3)),
        }
    ],
}
"""Class attributes by kind/name, one class for each entry; a part that is not named is checked with its defaults."""

LATENCIES = (
    "40ms",
    "uniform:30ms:50ms",
    "lognormal:40ms:0.3",
    "mixture:0.9:40ms:0.1:1ms",
)


def conformance() -> list[type[Conformance]]:
    """A class for every part of the core and every variant above, and for every form of inference time."""
    found: list[type[Conformance]] = []
    for kind in (*plugins.KINDS, plugins.HOOK_GROUP):
        for entry in plugins.registrations(kind):
            if not entry.third_party:
                for given in DECLARED.get(f"{kind}/{entry.name}", [{}]):
                    found.append(plain_class(kind, entry.name, **given))
    found += [type("TestLatency", (LatencyConformance,), {"name": latency}) for latency in LATENCIES]
    return found
