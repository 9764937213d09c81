"""What is measured and what is told of it: contenders, weights, inputs, figures. `stopwatch` does the timing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from rtbench.backends.limits import BYTES_PER_WEIGHT
from rtbench.cell import Budget, Cell, Execution, Interaction
from rtbench.errors import SuiteError
from rtbench.graph import outputs
from rtbench.interaction.profile import ProfileGroup, summary
from rtbench.parts import PartUse, PolicyShape
from rtbench.plugins import missing_requirement, part_class, use
from rtbench.seeds import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtbench.graph import LayerGraph

    Array = NDArray[np.float32]

EXECUTIONS: tuple[Execution, ...] = ("sequential", "pipelined")
FEWEST_SAMPLES = 2000
"""A 99th percentile stands on 20 samples then."""
INPUTS = 256
"""Different observations that are fed in turn."""
MOST_DRIFT, MOST_MEAN = 0.25, 1.5
"""Medians of rounds further apart (as a share), or a mean so many times the median, and the machine was not quiet."""


@dataclass(frozen=True)
class Measurement:
    """How to measure: samples kept, ticks before them, batch, seed of weights and inputs, in how many rounds.

    In each round every contender has its turn, so that what changes in the machine meanwhile meets all alike.
    """

    samples: int = FEWEST_SAMPLES
    warmup: int = 200
    batch: int = 1
    seed: int = 0
    rounds: int = 10

    def check(self) -> None:
        """SuiteError for what would give no honest profile."""
        for name, value, least in (
            ("samples", self.samples, FEWEST_SAMPLES),
            ("warmup", self.warmup, 1),
            ("batch", self.batch, 1),
            ("rounds", self.rounds, 1),
        ):
            if value < least:
                raise SuiteError(f"{name} must be at least {least}, got {value}", place=f"--{name}")
        if self.samples % self.rounds:
            raise SuiteError(f"{self.samples} samples do not divide into {self.rounds} rounds", place="--samples")


@dataclass(frozen=True)
class Contender:
    """A backend under one execution with so many threads."""

    backend: PartUse
    execution: Execution
    threads: int = 1

    @property
    def title(self) -> str:
        """In a few words."""
        return f"{backend_text(self.backend)}, {self.execution}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def random_parameters(graph: LayerGraph, seed: int) -> dict[str, dict[str, Array]]:
    """Uniform weights [inputs, outputs] and biases [outputs] for every layer, float32; an LSTM has four gates.

    Bounds are those of `rtbench.backends.torch_arithmetic.initial_parameters`: 1/√inputs, for an LSTM 1/√width. How
    long a layer takes does not depend on them as long as no value becomes denormal.
    """
    import numpy as np

    found = {}
    for layer in graph.layers:
        inputs = graph.input_width(layer)
        columns = outputs(layer)
        bound = 1 / sqrt(layer.width if layer.op == "lstm" else inputs)
        stream = generator(seed, "parameters", layer.name)
        found[layer.name] = {
            "weight": stream.uniform(-bound, bound, (inputs, columns)).astype(np.float32),
            "bias": stream.uniform(-bound, bound, columns).astype(np.float32),
        }
    return found


def inputs(shape: PolicyShape, how: Measurement) -> tuple[Array, Array]:
    """Observations and actions [inputs, size], or [inputs, batch, size]."""
    import numpy as np

    stream = generator(how.seed, "inputs")
    rows = (INPUTS, how.batch) if how.batch > 1 else (INPUTS,)
    observations = stream.standard_normal((*rows, shape.observation_size), dtype=np.float32)
    actions = stream.uniform(-1, 1, (*rows, shape.action_size)).astype(np.float32)
    return observations, actions


def dtype(backend: PartUse) -> str:
    """The number format a backend keeps weights in."""
    found = str(backend.params.get("dtype", "fp32"))
    return found if found in BYTES_PER_WEIGHT else "fp32"


def architecture_text(architecture: PartUse) -> str:
    """The architecture's name with the parameters that are not its defaults; layers and width stand elsewhere."""
    return _text(architecture, ("layers", "width"))


def backend_text(backend: PartUse) -> str:
    """The backend's name with the parameters that are not its defaults; threads stand elsewhere."""
    return _text(backend, ("threads",))


def _text(part: PartUse, elsewhere: Sequence[str]) -> str:
    fields = dataclasses.fields(part_class(part.kind, part.name).Params)
    defaults = {field.name: field.default for field in fields}
    differing = [
        f"{name}={value}"
        for name, value in part.params.items()
        if name not in elsewhere and value != defaults.get(name)
    ]
    return part.name + (f"({', '.join(differing)})" if differing else "")


def with_threads(backend: PartUse, threads: int) -> PartUse:
    """A backend that has a parameter `threads` with so many, any other as it is."""
    names = {field.name for field in dataclasses.fields(part_class(backend.kind, backend.name).Params)}
    if "threads" not in names:
        return backend
    return use(backend.kind, backend.name, {**backend.params, "threads": threads}, label=backend.label)


def one_thread(backend: PartUse, threads: int) -> str | None:
    """The reason why more threads than one say nothing of a backend, if they are asked for and it has one."""
    if threads == 1 or getattr(part_class(backend.kind, backend.name), "threads_from", None) != "one":
        return None
    return f"backend {backend.name} computes on one thread: {threads} threads would be told of what one has done"


def refusal(architecture: PartUse, contender: Contender) -> str | None:
    """The reason the architecture or the backend gives why they do not go together, or None."""
    if reason := one_thread(contender.backend, contender.threads):
        return reason
    blank = PartUse("", "", 1, {})
    met = Interaction(blank, contender.execution, 1.0, blank)
    cell = Cell(blank, architecture, met, blank, contender.backend, Budget(1))
    for part in (architecture, contender.backend):
        found = part_class(part.kind, part.name)
        try:
            reason = missing_requirement(found) or found.supports(cell)
        except KeyError:  # it asks about a part of the cell that a measurement does not have
            reason = None
        if reason:
            return reason
    return None


# ---- what is told --------------------------------------------------------------------------------------------------


def figures(group: ProfileGroup) -> dict[str, Any]:
    """Percentiles, maximum, jitter (p95 − p50) and limit in nanoseconds, and inferences (of a whole batch) per second.

    `drift` is how far the medians of rounds lie apart, as a share of the median of all; `limit_share` the limit ÷ p50.
    """
    found = summary(group)
    limit_ns = group.limit_ns
    return {
        **dataclasses.asdict(found),
        "jitter_ns": found.p95_ns - found.p50_ns,
        "per_s": 1e9 * found.count / sum(group.samples_ns),
        "drift": drift(group),
        "limit_ns": limit_ns,
        "limited_by": group.limited_by,
        "limit_share": None if limit_ns is None else limit_ns / found.p50_ns,
    }


def drift(group: ProfileGroup) -> float | None:
    """The greatest less the least median of a round, over the median of all; None without rounds."""
    if not group.rounds or len(group.samples_ns) % group.rounds:
        return None
    size = len(group.samples_ns) // group.rounds
    parts = (group.samples_ns[at : at + size] for at in range(0, len(group.samples_ns), size))
    medians = [summary(dataclasses.replace(group, samples_ns=part)).p50_ns for part in parts]
    return (max(medians) - min(medians)) / summary(group).p50_ns


def doubts(group: ProfileGroup, cores: int) -> list[str]:
    """Why a measurement on a machine of so many cores may tell more of what else ran than of the backend."""
    found, mean = figures(group), sum(group.samples_ns) / len(group.samples_ns)
    told = []
    if group.load_before is not None and group.load_before >= cores:
        told.append(f"the load before was {group.load_before:.3g} on {cores} cores")
    if found["drift"] is not None and found["drift"] > MOST_DRIFT:
        told.append(f"medians of rounds lie {found['drift']:.0%} apart (at most {MOST_DRIFT:.0%} is quiet)")
    if mean > MOST_MEAN * found["p50_ns"]:
        told.append(f"the mean is {mean / found['p50_ns']:.3g} × the median (at most {MOST_MEAN:g} is quiet)")
    return told
