"""What a trained run leaves behind: its policy as a value, as a file, and acting again under any interaction."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench import files
from rtbench.cell import Cell, Interaction, cell_from_json, cell_to_json
from rtbench.errors import RtbenchError
from rtbench.graph import LayerGraph, outputs
from rtbench.interaction.timing import contradiction, graph_execution
from rtbench.learners.acting import actings
from rtbench.learners.categorical import Categorical
from rtbench.learners.heads import ATOMS, dueling, unchanged
from rtbench.learners.loop import Loop
from rtbench.learners.recorder import Recorder
from rtbench.parts import PolicyShape, canonical_json
from rtbench.plugins import build
from rtbench.seeds import generator

if TYPE_CHECKING:
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]
FORMAT = 1
POLICIES = "policies"
SUFFIX = ".npz"
_ABOUT = "about"


@dataclass(frozen=True)
class Head:
    """What a head's output means: how wide it is per action, and the action it stands for (in −1…1, or one-hot).

    `draws`: actions are drawn, and `decide` is the likeliest; `decider` draws. `graph`: what becomes of the
    architecture's own layers.
    """

    outputs_per_action: int
    decide: Callable[[Array], Array]
    draws: bool = False
    graph: Callable[[LayerGraph], LayerGraph] = unchanged

    def decider(self, seed: int, phase: str, *path: int) -> Callable[[Array], Array]:
        """What turns outputs into actions in a phase of a run (or one process), with a random stream of its own."""
        return Categorical(generator(seed, phase, "actions", *path)) if self.draws else self.decide


def mean_action(output: Array) -> Array:
    """tanh of the mean, from means [A] followed by as many spreads."""
    action: Array = np.tanh(output[: len(output) // 2])
    return action


def greedy_action(output: Array) -> Array:
    """The discrete action of the greatest value, one-hot, from one value per action [A]."""
    action: Array = np.zeros(len(output), np.float32)
    action[output.argmax()] = 1.0
    return action


def likely_best_action(output: Array) -> Array:
    """The discrete action whose distribution of returns has the greatest mean, from logits [A · ATOMS].

    The atoms are equally far apart, so that where they lie changes no comparison.
    """
    logits = output.reshape(-1, ATOMS)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return greedy_action(shares @ np.arange(ATOMS, dtype=np.float32) / shares.sum(axis=1))


HEADS: Mapping[str, Head] = {
    "tanh-mean": Head(2, mean_action),
    "greedy": Head(1, greedy_action),
    "dueling": Head(1, greedy_action, graph=dueling),
    "distribution": Head(ATOMS, likely_best_action),
    "dueling-distribution": Head(ATOMS, likely_best_action, graph=dueling),
    "categorical": Head(1, greedy_action, draws=True),
}
"""Every kind of head, by the name a policy's file gives it."""


def policy_key(run_id: str) -> str:
    """Where a run's policy lies in the local state."""
    return f"{POLICIES}/{run_id}{SUFFIX}"


@dataclass(frozen=True, eq=False)
class Policy:
    """A trained policy: the cell and seed it comes from, and its parameters.

    `parameters`: layer -> {'weight' [inputs, outputs], 'bias' [outputs]}, float32. `start`: what layers hold before an
    episode's first tick ('zero' or 'hold').
    """

    cell: Cell
    seed: int
    run_id: str
    parameters: Mapping[str, Mapping[str, Array]]
    head: str = "tanh-mean"
    start: str = "zero"

    def to_bytes(self) -> bytes:
        """An .npz of plain arrays; equal policies give equal bytes."""
        about = {
            "format": FORMAT,
            "cell": cell_to_json(self.cell),
            "seed": self.seed,
            "run_id": self.run_id,
            "head": self.head,
            "start": self.start,
        }
        arrays = {_ABOUT: np.frombuffer(canonical_json(about).encode(), np.uint8)} | {
            f"{name}/{kind}": np.asarray(value, np.float32)
            for name, layer in self.parameters.items()
            for kind, value in layer.items()
        }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes | bytearray, *, place: str = "") -> Policy:
        """The inverse of `to_bytes`; runs nothing that is in the file. RtbenchError if it is no policy."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            about = json.loads(arrays.pop(_ABOUT).tobytes())
            if about["format"] != FORMAT:
                raise ValueError(f"it has format {about['format']}, this rtbench reads {FORMAT}")
            if about["head"] not in HEADS:
                raise ValueError(f"this rtbench knows no head {about['head']!r}")
            parameters: dict[str, dict[str, Array]] = {}
            for key, value in arrays.items():
                name, _, kind = key.rpartition("/")
                parameters.setdefault(name, {})[kind] = value.astype(np.float32, copy=False)
            for name, layer in parameters.items():
                if layer["bias"].shape != layer["weight"].shape[1:]:
                    raise ValueError(f"layer {name!r} has weight {layer['weight'].shape}, bias {layer['bias'].shape}")
            cell = cell_from_json(about["cell"])
            return cls(cell, about["seed"], about["run_id"], parameters, about["head"], about["start"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise RtbenchError(
                f"not a policy of rtbench: {error}", place=place, hint="`rtbench run` writes them"
            ) from error

    @classmethod
    def read(cls, path: Path) -> Policy:
        """From a file; RtbenchError if it is not there or no policy."""
        try:
            return cls.from_bytes(files.read(path), place=str(path))
        except OSError as error:
            raise RtbenchError(f"cannot read: {error.strerror}", place=str(path)) from error

    def graph(self, spec: EnvironmentSpec) -> LayerGraph:
        """Its architecture's graph for an environment; RtbenchError if the parameters do not fit it."""
        size = spec.action_size
        width = HEADS[self.head].outputs_per_action * size
        shape = PolicyShape.of(spec, width)
        graph: LayerGraph = HEADS[self.head].graph(build(self.cell.architecture).make(shape))
        wanted = {layer.name: (graph.input_width(layer), outputs(layer)) for layer in graph.layers}
        given = {name: tuple(layer["weight"].shape) for name, layer in self.parameters.items()}
        if wanted != given:
            raise RtbenchError(
                f"the policy's layers do not fit this environment: it has {given}, needed are {wanted}",
                place=f"policy of run {self.run_id[:12]}",
                hint=f"it was trained in {self.cell.environment.title}",
            )
        return graph

    def loop(
        self,
        interaction: Interaction | None = None,
        *,
        parameters: Any = None,
        phase: str = "probe",
        env: Any = None,
        recorder: Recorder | None = None,
        decide: Callable[[Array], Array] | None = None,
    ) -> Loop:
        """The loop that evaluates it, by default as it was trained; RtbenchError if the interaction cannot be.

        `parameters` replace its own (a cut), `env` an environment made elsewhere (one that
        renders); `recorder` is told every step; `decide` stands in for the head's own `decider`.
        """
        cell = self.cell if interaction is None else replace(self.cell, interaction=interaction)
        reason = contradiction(cell.interaction)
        if reason:
            raise RtbenchError(f"this interaction contradicts itself: {reason}", place="interaction")
        spec = build(cell.environment).spec()
        graph = self.graph(spec)
        own = self.parameters if parameters is None else parameters
        return Loop(
            cell,
            graph,
            actings(cell, graph, own, self.start, self.seed, fixed=True),
            decide or HEADS[self.head].decider(self.seed, phase),
            seed=self.seed,
            phase=phase,
            recorder=recorder,
            env=env,
            spec=spec,
            start=self.start,
        )


@dataclass(frozen=True)
class PolicyScores:
    """Whole episodes of one policy: returns, lengths in environment steps, and the real-time columns over them."""

    returns: tuple[float, ...]
    lengths_steps: tuple[int, ...]
    columns: Mapping[str, Any]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def sd(self) -> float | None:
        """Standard deviation of the episodes' returns (n − 1); None of one episode."""
        return float(np.std(self.returns, ddof=1)) if len(self.returns) > 1 else None

    def data(self) -> dict[str, Any]:
        """Plain data."""
        ages = {key: value for key, value in self.columns.items() if "age" in key or key == "inaction_share"}
        return {
            "return_mean": self.mean,
            "return_sd": self.sd,
            "returns": list(self.returns),
            "lengths_steps": list(self.lengths_steps),
            **ages,
        }


def evaluated(loop: Loop, episodes: int) -> PolicyScores:
    """So many episodes of a loop."""
    for _ in range(episodes):
        loop.run_episode()
    return PolicyScores(tuple(loop.returns), tuple(loop.lengths), loop.tally.columns())


def evaluate(
    policy: Policy,
    episodes: int,
    interaction: Interaction | None = None,
    *,
    parameters: Any = None,
    phase: str = "probe",
) -> PolicyScores:
    """Episodes of a policy; equal `phase`s begin their episodes alike, whatever the interaction or the parameters."""
    return evaluated(policy.loop(interaction, parameters=parameters, phase=phase), episodes)


def graph_columns(graph: LayerGraph, interaction: Interaction) -> dict[str, Any]:
    """What a graph says of itself in a row: its size, and paths that break the constraint of pipelined execution."""
    pipelined = graph_execution(interaction) == "pipelined"
    broken = graph.violations(interaction.delta or 1) if pipelined else []
    return {
        "parameters": graph.parameter_count(),
        "flops": graph.flops(),
        "constraint_violation": "; ".join(broken) or None,
    }
