"""Conformance of architectures: graphs whose timing, unrolling and acting are those of a simulation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rtbench import plugins
from rtbench.backends.measure import random_parameters
from rtbench.errors import SuiteError
from rtbench.graph import SOURCES, ActingSpec, LayerGraph, outputs
from rtbench.parts import PolicyShape
from rtbench.testing.base import NotApplicable, PartConformance, once, require
from rtbench.testing.continuous_time import ContinuousTime

Array = NDArray[Any]
DELTAS = (0.4, 0.5, 1.0, 1.5, 2.0, 4.0)
WIDTHS = (PolicyShape(1, 1, 1), PolicyShape(17, 6, 12), PolicyShape(348, 17, 34))
EXACT = 1e-9
"""Absolute and relative: double precision, sums in another order."""


def acting(backend: str, graph: LayerGraph, parameters: Any, execution: str, delta: float, start: str) -> Any:
    """A graph acting on one of the core's backends."""
    return plugins.build(plugins.use("backends", backend)).make(ActingSpec(graph, execution, delta, start), parameters)


class ArchitectureConformance(PartConformance):
    """Checks an architecture with `params`: its graph, its ages, and every way of running it.

    `shape` are the widths it is made for (default: the part's `example`), `runs` the (execution, δ) under which it is
    compared with the simulation, `ticks` for how long, both from zero and from the first observation held.
    """

    kind = "architectures"
    shape: ClassVar[PolicyShape | None] = None
    runs: ClassVar[tuple[tuple[str, float], ...]] = (("instant", 1.0), ("pipelined", 0.4), ("pipelined", 1.0))
    ticks: ClassVar[int] = 10

    @property
    @once
    def graph(self) -> LayerGraph:
        """Its graph."""
        graph: LayerGraph = self.build().make(self._shape)
        return graph

    @property
    def _shape(self) -> PolicyShape:
        return self.shape or self.part_class.example

    @once
    def inputs(self) -> tuple[Array, Array, dict[str, Any]]:
        """Observations and actions of an episode, and random parameters, in double precision."""
        rng, graph = np.random.default_rng(0), self.graph
        seen = rng.normal(size=(self.ticks + 1, graph.observation_size))
        acted = rng.uniform(-1, 1, size=(self.ticks + 1, graph.action_size))
        parameters = random_parameters(graph, 0)
        double = {name: {key: np.float64(value) for key, value in layer.items()} for name, layer in parameters.items()}
        return seen, acted, double

    def truth(self, execution: str, delta: float, start: str) -> ContinuousTime:
        """The simulation of its graph."""
        seen, acted, parameters = self.inputs()
        weights = {name: (layer["weight"], layer["bias"]) for name, layer in parameters.items()}
        return ContinuousTime(self.graph, weights, execution, delta, seen, acted, start)

    # ---- the graph -------------------------------------------------------------------------------------------------

    def test_graph_is_the_same_every_time(self) -> None:
        """Equal parameters and widths give equal graphs, also in two threads at once."""
        with ThreadPoolExecutor(2) as threads:
            made = list(threads.map(lambda _: self.build().make(self._shape), range(4)))
        require(all(each == self.graph for each in made), "make gives another graph every time")

    def test_graph_has_the_widths_it_was_asked_for(self) -> None:
        """Observation, action and head are as wide as the shape says."""
        graph, shape = self.graph, self._shape
        found = (graph.observation_size, graph.action_size, graph.head.width)
        wanted = (shape.observation_size, shape.action_size, shape.output_size)
        require(found == wanted, f"observation, action and head are {found} wide, asked for were {wanted}")

    def test_graph_takes_other_widths(self) -> None:
        """It is made for one number in and out as for hundreds, unless it wants images."""
        if self._shape.observation_shape:
            raise NotApplicable("it reads images of one size")
        for shape in WIDTHS:
            graph = self.build().make(shape)
            require(graph.head.width == shape.output_size, f"for {shape} the head is {graph.head.width} wide")

    def test_layers_have_names_of_their_own(self) -> None:
        """No two layers share a name, none is called like a source."""
        names = [layer.name for layer in self.graph.layers]
        require(len({*names, *SOURCES}) == len(names) + len(SOURCES), f"names are not unique: {names}")

    def test_layers_read_what_is_there(self) -> None:
        """Every layer reads something, and only sources, earlier layers, or any layer back in time."""
        graph, before = self.graph, set(SOURCES)
        for layer in graph.layers:
            require(layer.reads, f"{layer.name} reads nothing")
            known = {each.name for each in graph.layers}
            for read in layer.reads:
                there = known if read.recurrent else before
                require(read.source in there, f"{layer.name} reads {read.source}, which is not evaluated before it")
            before.add(layer.name)

    def test_every_layer_reaches_the_action(self) -> None:
        """No layer is computed for nothing."""
        graph = self.graph
        read = {each.source for layer in graph.layers for each in layer.reads if each.source != layer.name}
        idle = [layer.name for layer in graph.layers[:-1] if layer.name not in read]
        require(not idle, f"nothing reads {', '.join(idle)}")

    def test_parameters_are_counted(self) -> None:
        """The parameter count is that of the arrays a backend is given; an evaluation costs something."""
        graph = self.graph
        counted = sum((graph.input_width(layer) + 1) * outputs(layer) for layer in graph.layers)
        arrays = sum(array.size for layer in random_parameters(graph, 0).values() for array in layer.values())
        require(graph.parameter_count() == counted == arrays, f"{graph.parameter_count()} are told, {arrays} there")
        require(graph.flops() > 0, "an evaluation costs nothing")

    def test_it_can_be_drawn(self) -> None:
        """Its layers against time have a picture, or a reason why not."""
        from rtbench.drawing.picture import picture
        from rtbench.drawing.text import text

        try:
            lines = text(picture(self.graph, "pipelined", 1.0))
        except SuiteError as error:
            require(error.message, "it cannot be drawn, and nothing says why")
            return
        require(any(line.strip() for line in lines), "its drawing is empty")

    # ---- time ------------------------------------------------------------------------------------------------------

    def test_keeps_the_constraint_of_time(self) -> None:
        """No path passes more layers than had time to be computed: L(s_{t−k}, a_t) ≤ ⌊k/δ⌋ for any δ."""
        for delta in DELTAS:
            broken = self.graph.violations(delta)
            require(not broken, f"with δ = {delta:g}: {'; '.join(broken)}")

    def test_ages_are_those_of_a_simulation(self) -> None:
        """The age of every path from an observation to the action is what a simulation in continuous time finds."""
        graph = self.graph
        for execution, delta in (("instant", 1.0), *(("pipelined", delta) for delta in DELTAS)):
            told = graph.ages(execution, delta)
            require(told, "no path leads from an observation to the action")
            far = 3 + max(age for age, _ in told)
            found = self.truth(execution, delta, "zero").ages_at(far)
            require(found == told, f"{execution}, δ = {delta:g}: told {sorted(told)}, simulated {sorted(found)}")

    def test_a_plan_reads_a_finite_window(self) -> None:
        """What one action needs lies in a window that its oldest path fits into, and ends with the head."""
        for execution, delta in self.runs:
            plan, ages = self.graph.plan(execution, delta, 2), self.graph.ages(execution, delta)
            oldest = max(age for age, _ in ages) - self.graph.lags(execution, delta).head
            require(plan.nodes[-1] == (self.graph.head.name, 0), "a plan must end with the head at its own tick")
            require(plan.window_ticks > oldest, f"a window of {plan.window_ticks} ticks misses age {oldest}")

    # ---- running ---------------------------------------------------------------------------------------------------

    def test_steps_equal_a_simulation(self) -> None:
        """Tick by tick, from zero and from the first observation held, the head is what a simulation gives."""
        self._steady()
        seen, acted, parameters = self.inputs()
        for execution, delta, start in self._settings():
            truth, agent = (
                self.truth(execution, delta, start),
                acting("numpy", self.graph, parameters, execution, delta, start),
            )
            head = self.graph.lags(execution, delta).head
            agent.restart(seen[0])
            for tick in range(self.ticks - head):
                # Under `instant` an acting is told the action before; this tick's is what it decides.
                told = acted[max(0, tick - 1)] if execution == "instant" else acted[tick]
                found = agent.tick(seen[tick], told)
                self._close(found, truth.head_at(tick + head), f"{execution}, δ = {delta:g}, {start}, tick {tick}")

    def test_unrolling_equals_a_simulation(self) -> None:
        """A window trained on gives the head that a simulation of the whole episode gives."""
        self._steady()
        seen, acted, _ = self.inputs()
        for execution, delta, start in self._settings():
            truth, head = self.truth(execution, delta, start), self.graph.lags(execution, delta).head
            for tick in (0, 1, 2, self.ticks - head - 1):
                found = self._unrolled(execution, delta, start, tick, seen, acted)
                self._close(found, truth.head_at(tick + head), f"{execution}, δ = {delta:g}, {start}, tick {tick}")

    def _unrolled(self, execution: str, delta: float, start: str, tick: int, seen: Array, acted: Array) -> Array:
        from rtbench.backends.numpy_backend import NumPyArithmetic
        from rtbench.unrolling import instant, unroll

        graph, parameters = self.graph, self.inputs()[2]
        arithmetic, nothing = NumPyArithmetic(parameters), np.zeros(graph.action_size)
        before: dict[str, Array] = {layer.name: np.zeros(layer.state_width) for layer in graph.layers}
        if start == "hold":
            before = instant(graph, arithmetic, seen[0], nothing, lambda layer: np.zeros(layer.state_width))
        return unroll(
            graph,
            graph.lags(execution, delta),
            graph.plan(execution, delta, self.ticks),
            arithmetic,
            observation=lambda k: seen[max(0, tick - k)],
            action=lambda k: acted[tick - k] if tick >= k else nothing,
            started=lambda node, k, value: value if k <= tick else before[node],
            before=lambda layer, k: before[layer.name],
        )

    def test_backends_agree(self) -> None:
        """NumPy and torch give the same head, to single precision."""
        self._steady()
        seen, acted, parameters = self._single()
        for execution, delta, start in self._settings():
            one, other = (acting(name, self.graph, parameters, execution, delta, start) for name in ("numpy", "eager"))
            pairs = [(one.restart(seen[0]), other.restart(seen[0]))]
            pairs += [(one.tick(s, a), other.tick(s, a)) for s, a in zip(seen, acted, strict=True)]
            for tick, (a, b) in enumerate(pairs):
                close = np.allclose(a, b, rtol=1e-4, atol=1e-5)
                require(close, f"{execution}, δ = {delta:g}, {start}, tick {tick}: numpy {a}, eager {b}")

    def test_acting_continues_from_a_checkpoint(self) -> None:
        """Saved in the middle of an episode and restored into another acting, it goes on with the same bits."""
        seen, acted, parameters = self._single()
        for execution, delta, start in self._settings():
            one, other = (acting("numpy", self.graph, parameters, execution, delta, start) for _ in range(2))
            one.restart(seen[0])
            for tick in range(4):
                one.tick(seen[tick], acted[tick])
            other.restore(one.state())
            for tick in range(4, self.ticks):
                same = np.array_equal(one.tick(seen[tick], acted[tick]), other.tick(seen[tick], acted[tick]))
                require(same, f"{execution}, δ = {delta:g}, {start}: tick {tick} differs after a restore")

    def test_nothing_outlives_an_episode(self) -> None:
        """After a restart it acts as if there had been no episode before."""
        self._steady()
        seen, acted, parameters = self._single()
        for execution, delta, start in self._settings():
            used, fresh = (acting("numpy", self.graph, parameters, execution, delta, start) for _ in range(2))
            used.restart(seen[1])
            for tick in range(5):
                used.tick(seen[tick], acted[tick])
            same = np.array_equal(used.restart(seen[0]), fresh.restart(seen[0]))
            for tick in range(5):
                same &= np.array_equal(used.tick(seen[tick], acted[tick]), fresh.tick(seen[tick], acted[tick]))
            require(same, f"{execution}, δ = {delta:g}, {start}: an episode depends on the one before it")

    # ---- helpers ---------------------------------------------------------------------------------------------------

    def _settings(self) -> list[tuple[str, float, str]]:
        return [(execution, delta, start) for execution, delta in self.runs for start in ("zero", "hold")]

    def _single(self) -> tuple[Array, Array, dict[str, Any]]:
        seen, acted, _ = self.inputs()
        return seen.astype(np.float32), acted.astype(np.float32), random_parameters(self.graph, 0)

    def _steady(self) -> None:
        if self.graph.random:
            raise NotApplicable("its layers draw (dropout), so equal inputs give different outputs")

    @staticmethod
    def _close(found: Array, expected: Array, where: str) -> None:
        require(np.allclose(found, expected, rtol=EXACT, atol=EXACT), f"{where}: {found}, simulated {expected}")
