"""Small cells for tests of learners of action values: a game of MinAtar, a narrow network."""

from __future__ import annotations

from helpers.cells import interaction

from rtbench.cell import Budget, Cell, Latency
from rtbench.plugins import use


def constant(seconds):
    """A duration that never varies."""
    return Latency("constant", mean_s=seconds)


def drawn(seconds, cv=0.3):
    """A duration that does."""
    return Latency("lognormal", mean_s=seconds, cv=cv)


def whole(scheduler="one-process", latency=0.1, *, params=None, **kwargs):
    """Whole inferences of a network; nobody acts otherwise. MinAtar's steps take 50 ms."""
    met = {"on_reset": "continue", "latency": constant(latency)} | kwargs
    return interaction("sequential", 0.0, scheduler=scheduler, scheduler_params=params, default="noop", **met)


SMALL = {
    "dqn": {"learning_starts": 40, "epsilon_steps": 200, "target_every": 7},
    "rainbow": {"learning_starts": 40, "epsilon_steps": 200, "target_every": 7},
    "stream-q": {"epsilon_steps": 100},
    "stream-ac": {},
}


def dqn_cell(learner="dqn", params=None, met=None, *, env=None, budget=None, precision="fp32"):
    """One cell."""
    return Cell(
        use("environments", "minatar", {"game": "asterix", "max_steps": 37} | (env or {})),
        use("architectures", "cnn", {"channels": [3, 4, 3], "width": 12}),
        met or whole(),
        use("learners", learner, SMALL[learner] | (params or {})),
        use("backends", "eager"),
        budget or Budget(steps=180, unit="env_steps", eval_every=90, eval_episodes=1, final_eval_episodes=1),
        precision,
    )
