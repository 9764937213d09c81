"""Acting with every backend on the same inputs, for the tests of backends."""

from __future__ import annotations

import numpy as np

from rtbench.backends.measure import random_parameters
from rtbench.graph import ActingSpec
from rtbench.plugins import build, use

TICKS = 7
TOLERANCE = {"rtol": 0, "atol": 1e-5}
"""Single precision sums a few hundred numbers in another order."""
EXECUTIONS = [("instant", 1.0), ("sequential", 1.0), *(("pipelined", delta) for delta in (0.4, 1.0, 2.0))]
CASES = [(execution, delta, start) for execution, delta in EXECUTIONS for start in ("zero", "hold")]


def made(backend, graph, case=("pipelined", 1.0, "zero"), parameters=None, params=None, **how):
    """An acting with random parameters, or those given."""
    parameters = random_parameters(graph, 0) if parameters is None else parameters
    return build(use("backends", backend, params or {})).make(ActingSpec(graph, *case, **how), parameters)


def inputs(graph, ticks=TICKS, batch=1, seed=0):
    """Observations and actions of so many ticks, [ticks, size] or [ticks, batch, size]."""
    rng = np.random.default_rng(seed)
    rows = (ticks, batch) if batch > 1 else (ticks,)
    observations = rng.normal(size=(*rows, graph.observation_size)).astype(np.float32)
    return observations, rng.uniform(-1, 1, size=(*rows, graph.action_size)).astype(np.float32)


def played(policy, observations, actions, restart=True):
    """The head's values: the start rule's, then those of every tick."""
    begun = [policy.restart(observations[0]).copy()] if restart else []
    return np.array([*begun, *(policy.tick(*given).copy() for given in zip(observations, actions, strict=True))])


def refused(backend, graph, case):
    """The reason a backend refuses a graph, if any."""
    return build(use("backends", backend)).refuses(ActingSpec(graph, *case[:2]))
