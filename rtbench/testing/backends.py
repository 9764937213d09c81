"""Conformance of backends: acting on a graph as its simulation in continuous time does, with the parameters of now."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rtbench import plugins
from rtbench.backends.measure import random_parameters
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec, LayerGraph
from rtbench.parts import PartUse, PolicyShape
from rtbench.testing import samples
from rtbench.testing.base import NotApplicable, PartConformance, once, require
from rtbench.testing.continuous_time import ContinuousTime

Array = NDArray[Any]
SHAPE = PolicyShape(5, 2, 3)
TICKS = 9
GRAPHS: tuple[dict[str, Any], ...] = (
    {"layers": 1},
    {"layers": 3},
    {"layers": 4, "skips": "all"},
    {"layers": 4, "skips": "to-action-res", "augmentation": "in-flight"},
    {"layers": 3, "skips": "from-obs", "augmentation": "observation"},
    {"layers": 3, "lstm": True},
)
RUNS = (("instant", 1.0), ("sequential", 1.0), ("pipelined", 0.4), ("pipelined", 1.0), ("pipelined", 2.0))


@dataclass(frozen=True)
class Case:
    """A graph under an execution, from a start rule."""

    graph: LayerGraph
    execution: str
    delta: float
    start: str
    about: str

    def spec(self, **more: Any) -> ActingSpec:
        """What is asked of a backend."""
        return ActingSpec(self.graph, self.execution, self.delta, self.start, **more)


class BackendConformance(PartConformance):
    """Checks a backend with `params` on perceptrons: plain, with skips, augmented, recurrent.

    `tolerance` is how far its outputs may be from those in double precision, absolute and relative; a backend of half
    precision says what it keeps. `graphs` (parameters of `mlp`, `width` neurons) and `runs` (execution, δ) are what it
    is tried with; what it refuses of them is not asked of it. One that compiles for long takes fewer.
    """

    kind = "backends"
    tolerance: ClassVar[float] = 1e-4
    width: ClassVar[int] = 6
    graphs: ClassVar[tuple[dict[str, Any], ...]] = GRAPHS
    runs: ClassVar[tuple[tuple[str, float], ...]] = RUNS

    @once
    def cases(self) -> list[Case]:
        """Everything it supports; AssertionError if that is nothing."""
        found = list(self._supported())
        require(found, "it supports none of the sample graphs and executions")
        return found

    def _supported(self) -> Iterator[Case]:
        use = self.use
        for given in self.graphs:
            architecture = plugins.use("architectures", "mlp", {**given, "width": self.width})
            graph = plugins.build(architecture).make(SHAPE)
            for execution, delta in self.runs:
                if self._refusal(use, architecture, graph, execution, delta) is None:
                    for start in ("zero", "hold"):
                        yield Case(graph, execution, delta, start, f"{given}, {execution}, δ = {delta:g}, {start}")

    def _refusal(
        self, use: PartUse, architecture: PartUse, graph: LayerGraph, execution: str, delta: float
    ) -> str | None:
        met = samples.interaction(execution, 0.0 if execution == "instant" else delta)
        reason: str | None = self.part_class.supports(
            samples.cell(backend=use, architecture=architecture, interaction=met)
        )
        return reason or self.build().refuses(ActingSpec(graph, execution, delta))

    def some(self) -> list[Case]:
        """A few of the cases, for what does not depend on the graph."""
        return self.cases()[::7]

    def agent(self, case: Case, parameters: Any, **more: Any) -> Any:
        """Acting."""
        return self.build().make(case.spec(**more), parameters)

    @staticmethod
    def inputs(case: Case, seed: int = 0) -> tuple[Array, Array]:
        """Observations and actions of an episode."""
        rng = np.random.default_rng(seed)
        seen = rng.normal(size=(TICKS + 2, case.graph.observation_size)).astype(np.float32)
        acted = rng.uniform(-1, 1, size=(TICKS + 2, case.graph.action_size)).astype(np.float32)
        return seen, acted

    def row(self, agent: Any, case: Case, seed: int = 0) -> list[Array]:
        """Copies of what it puts out at the restart and at every tick."""
        seen, acted = self.inputs(case, seed)
        first = [np.array(agent.restart(seen[0]))]
        return first + [np.array(agent.tick(seen[t], _told(case, acted, t))) for t in range(TICKS)]

    # ---- what it puts out ------------------------------------------------------------------------------------------

    def test_equals_a_simulation(self) -> None:
        """Every graph, execution and start rule it supports gives what a simulation in continuous time gives."""
        for case in self.cases():
            seen, acted = self.inputs(case)
            parameters = random_parameters(case.graph, 1)
            weights = {
                name: (np.asarray(v["weight"], float), np.asarray(v["bias"], float)) for name, v in parameters.items()
            }
            truth = ContinuousTime(case.graph, weights, case.execution, case.delta, seen, acted, case.start)
            head = case.graph.lags(case.execution, case.delta).head
            for tick, found in enumerate(self.row(self.agent(case, parameters), case)[1:]):
                if tick + head <= TICKS:
                    self._close(found, truth.head_at(tick + head), f"{case.about}, tick {tick}")

    def test_restart_follows_the_start_rule(self) -> None:
        """Before the first tick: zeros, or one pass on the first observation."""
        for case in self.cases():
            parameters = random_parameters(case.graph, 1)
            expected = self._plain(case, parameters).restart(self.inputs(case)[0][0])
            self._close(self.agent(case, parameters).restart(self.inputs(case)[0][0]), expected, case.about)

    def test_outputs_are_float32_vectors(self) -> None:
        """[head's width], float32."""
        for case in self.cases():
            for found in self.row(self.agent(case, random_parameters(case.graph, 1)), case):
                fits = found.dtype == np.float32 and found.shape == (case.graph.head.width,)
                require(fits, f"{case.about}: {found.dtype} {found.shape}")

    def test_outputs_are_kept(self) -> None:
        """What one tick gave is not overwritten by the next, which a loop has on its way meanwhile."""
        for case in self.some():
            seen, acted = self.inputs(case)
            agent = self.agent(case, random_parameters(case.graph, 1))
            agent.restart(seen[0])
            first = agent.tick(seen[0], _told(case, acted, 0))
            kept = np.array(first)
            agent.tick(seen[1], _told(case, acted, 1))
            require(np.array_equal(first, kept), f"{case.about}: a tick's output changes with the next tick")

    def test_inputs_are_left_alone(self) -> None:
        """Observations, actions and parameters are read, never written."""
        for case in self.some():
            parameters = random_parameters(case.graph, 1)
            before = {name: {key: array.copy() for key, array in layer.items()} for name, layer in parameters.items()}
            seen, acted = self.inputs(case)
            copies = seen.copy(), acted.copy()
            agent = self.agent(case, parameters)
            agent.restart(seen[0])
            agent.tick(seen[1], acted[1])
            same = np.array_equal(seen, copies[0]) and np.array_equal(acted, copies[1])
            same &= all(np.array_equal(parameters[n][k], before[n][k]) for n in before for k in before[n])
            require(same, f"{case.about}: it writes into what it is given")

    # ---- parameters ------------------------------------------------------------------------------------------------

    def test_parameters_are_those_of_now(self) -> None:
        """Changed in place by a learner, they count from the next tick on: stale weights are never served."""
        for case in self.cases():
            old, new = random_parameters(case.graph, 1), random_parameters(case.graph, 2)
            parameters = {name: {key: array.copy() for key, array in layer.items()} for name, layer in old.items()}
            agent, reference = self.agent(case, parameters), self._plain(case, parameters)
            seen, acted = self.inputs(case)
            pairs = [(agent.restart(seen[0]), reference.restart(seen[0]))]
            for tick in range(TICKS):
                if tick == 4:
                    for name, layer in new.items():
                        for key, array in layer.items():
                            parameters[name][key][:] = array
                told = _told(case, acted, tick)
                pairs.append((np.array(agent.tick(seen[tick], told)), np.array(reference.tick(seen[tick], told))))
            for tick, (found, expected) in enumerate(pairs):
                self._close(found, expected, f"{case.about}, output {tick}, parameters changed before output 5")

    def test_fixed_parameters_are_taken_anew_when_asked(self) -> None:
        """Of parameters said to be fixed, `refresh` serves what they are then."""
        for case in self.some():
            old, new = random_parameters(case.graph, 1), random_parameters(case.graph, 2)
            expected = self.row(self.agent(case, new), case)
            agent = self.agent(case, old, fixed=True)
            self.row(agent, case)
            for name, layer in new.items():
                for key, array in layer.items():
                    old[name][key][:] = array
            agent.refresh()
            for index, (found, wanted) in enumerate(zip(self.row(agent, case), expected, strict=True)):
                self._close(found, wanted, f"{case.about}, output {index} after refresh")

    # ---- memory ----------------------------------------------------------------------------------------------------

    def test_same_inputs_same_bits(self) -> None:
        """Two actings give the same bits."""
        for case in self.some():
            parameters = random_parameters(case.graph, 1)
            one, other = (self.row(self.agent(case, parameters), case) for _ in range(2))
            require(_equal(one, other), f"{case.about}: two actings differ")

    def test_nothing_outlives_a_restart(self) -> None:
        """After an episode it acts as a fresh one."""
        for case in self.cases():
            parameters = random_parameters(case.graph, 1)
            agent = self.agent(case, parameters)
            self.row(agent, case, seed=9)
            fresh = self.row(self.agent(case, parameters), case)
            require(_equal(self.row(agent, case), fresh), f"{case.about}: an episode depends on the one before")

    def test_continues_from_a_checkpoint(self) -> None:
        """Its state in the middle of an episode is plain data, with which another acting goes on with the same bits."""
        from rtbench.learners.packing import pack, unpack

        for case in self.cases():
            parameters, (seen, acted) = random_parameters(case.graph, 1), self.inputs(case)
            one, other = (self.agent(case, parameters) for _ in range(2))
            one.restart(seen[0])
            for tick in range(4):
                one.tick(seen[tick], _told(case, acted, tick))
            other.restore(unpack(bytearray(b"".join(bytes(piece) for piece in pack(one.state())))))
            for tick in range(4, TICKS):
                pair = [np.array(agent.tick(seen[tick], _told(case, acted, tick))) for agent in (one, other)]
                require(np.array_equal(pair[0], pair[1]), f"{case.about}: tick {tick} differs after a restore")

    def test_a_state_is_a_copy(self) -> None:
        """A state that was asked for stays as it was while acting goes on."""
        from rtbench.learners.packing import pack

        for case in self.some():
            agent, (seen, acted) = self.agent(case, random_parameters(case.graph, 1)), self.inputs(case)
            agent.restart(seen[0])
            agent.tick(seen[0], acted[0])
            state = agent.state()
            before = [bytes(piece) for piece in pack(state)]
            agent.tick(seen[1], acted[1])
            require([bytes(piece) for piece in pack(state)] == before, f"{case.about}: a state changes afterwards")

    # ---- several ---------------------------------------------------------------------------------------------------

    def test_two_do_not_disturb_each_other(self) -> None:
        """Two actings of one backend, ticking in turn, act as each alone."""
        for case in self.some():
            parameters, part = random_parameters(case.graph, 1), self.build()
            agents = [part.make(case.spec(), parameters) for _ in range(2)]
            given = [self.inputs(case, seed) for seed in (0, 1)]
            found = [[np.array(a.restart(seen[0]))] for a, (seen, _) in zip(agents, given, strict=True)]
            for tick in range(TICKS):
                for agent, (seen, acted), outputs in zip(agents, given, found, strict=True):
                    outputs.append(np.array(agent.tick(seen[tick], _told(case, acted, tick))))
            for seed in (0, 1):
                alone = self.row(self.agent(case, parameters), case, seed)
                require(_equal(found[seed], alone), f"{case.about}: two actings disturb each other")

    def test_threads_do_not_disturb_each_other(self) -> None:
        """Actings in four threads act as each alone."""
        for case in self.some():
            parameters = random_parameters(case.graph, 1)
            alone = [self.row(self.agent(case, parameters), case, seed) for seed in range(4)]
            with ThreadPoolExecutor(4) as threads:
                rows = list(threads.map(lambda s, c=case, p=parameters: self.row(self.agent(c, p), c, s), range(4)))
            require(all(_equal(a, b) for a, b in zip(alone, rows, strict=True)), f"{case.about}: threads disturb")

    def test_batches_are_like_single_ones(self) -> None:
        """With a batch every row of [batch, size] is what it is alone, to its tolerance."""
        batched = [c for c in self.cases() if self.build().refuses(c.spec(batch=3)) is None]
        if not batched:
            raise NotApplicable("it refuses every batch above 1")
        for case in batched:
            parameters, given = random_parameters(case.graph, 1), [self.inputs(case, seed) for seed in range(3)]
            agent = self.agent(case, parameters, batch=3)
            alone = [self.row(self.agent(case, parameters), case, seed) for seed in range(3)]
            rows = [np.array(agent.restart(np.stack([seen[0] for seen, _ in given])))]
            for tick in range(TICKS):
                seen = np.stack([seen[tick] for seen, _ in given])
                rows.append(np.array(agent.tick(seen, np.stack([_told(case, acted, tick) for _, acted in given]))))
            for index, outputs in enumerate(rows):
                expected = np.stack([each[index] for each in alone])
                self._close(outputs, expected, f"{case.about}, a batch of 3, output {index}")

    def test_refusals_have_reasons(self) -> None:
        """What it cannot do is refused by `supports` or `refuses`, and then by an error a user can act on."""
        for given in self.graphs:
            use = plugins.use("architectures", "mlp", {**given, "width": self.width})
            graph = plugins.build(use).make(SHAPE)
            for execution, delta in self.runs:
                reason = self._refusal(self.use, use, graph, execution, delta)
                require(reason is None or reason.strip(), f"{given}, {execution}: refused without a reason")
                try:
                    self.build().make(ActingSpec(graph, execution, delta), random_parameters(graph, 1))
                except RtbenchError:
                    require(reason is not None, f"{given}, {execution}: `make` refuses what nothing else does")

    # ---- helpers ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _plain(case: Case, parameters: Any) -> Any:
        plain = plugins.build(plugins.use("backends", "numpy"))
        return plain.make(case.spec(), parameters)

    def _close(self, found: Array, expected: Array, where: str) -> None:
        close = np.allclose(found, expected, rtol=self.tolerance, atol=self.tolerance)
        require(close, f"{where}: {found}, expected {expected}")


def _told(case: Case, acted: Array, tick: int) -> Array:
    """The action a tick is told: under `instant` the one before, as this tick's is being decided."""
    told: Array = acted[max(0, tick - 1)] if case.execution == "instant" else acted[tick]
    return told


def _equal(one: list[Array], other: list[Array]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
