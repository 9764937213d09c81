"""What rtbench checks of this distribution; run by pytest and by `rtbench plugins check rtbench-rlrd`."""

from __future__ import annotations

from typing import Any, ClassVar

from rtbench.cell import Budget, Interaction
from rtbench.plugins import use
from rtbench.testing import HookConformance, LearnerConformance, SuiteConformance

SMALL: dict[str, Any] = {"learning_starts": 12, "batch_size": 4, "replay_size": 50, "critic_width": 8}


def sequential(delta: float, **more: Any) -> Interaction:
    """One process whose layers each take `delta` environment steps, the last action held."""
    one, held = use("schedulers", "one-process"), use("default_policies", "repeat-last")
    return Interaction(one, "sequential", delta, held, **more)


class TestDCAC(LearnerConformance):
    """Two layers in one step: one action in flight."""

    name = "rlrd/dcac"
    params: ClassVar[dict[str, Any]] = SMALL
    interaction = sequential(0.5)


class TestDCACFarAway(LearnerConformance):
    """Three actions in flight: the actuator is two steps away (of 0.02 s)."""

    name = "rlrd/dcac"
    params: ClassVar[dict[str, Any]] = SMALL
    interaction = sequential(0.5, actuator_latency_s=0.04)
    budget = Budget(steps=60, unit="env_steps", eval_every=30, eval_episodes=1, final_eval_episodes=2)


class TestAugmentedSAC(LearnerConformance):
    """Inferences of three steps."""

    name = "rlrd/augmented-sac"
    params: ClassVar[dict[str, Any]] = SMALL
    interaction = sequential(1.5)


class TestHooks(HookConformance):
    """The rows of `mujoco-delta`."""

    name = "rlrd"


class TestHalfCheetahDelay(SuiteConformance):
    """The suite."""

    name = "rlrd/halfcheetah-delay"
