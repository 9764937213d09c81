"""What every backend answers to: acting tick by tick, with the graph's memory of earlier ticks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from rtbench.backends.planned import planned
from rtbench.backends.planned import tick as planned_tick
from rtbench.graph import ACTION, OBSERVATION, ActingSpec, Layer, Shape
from rtbench.unrolling import Arithmetic, instant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

A = TypeVar("A")


class Acting(Protocol):
    """A policy that acts; holds the values of earlier ticks, nothing learnt."""

    def restart(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Forget everything; the head's value before the first tick, by the start rule."""
        ...

    def tick(self, observation: NDArray[np.float32], action: NDArray[np.float32]) -> NDArray[np.float32]:
        """One tick: the head's value from the newest observation and the action applied on it.

        Under `instant` that action is what is being decided, so `action` is the one applied before.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Values of earlier ticks and the start rule's, for a checkpoint."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        ...


class Refreshable(Acting, Protocol):
    """What a backend makes: its parameters can be taken anew. With a batch, arrays are [batch, size], in lockstep.

    Parameters are changed in place, in the arrays that were given: those changes are seen at the next tick. Where other
    arrays take their place, `refresh` is called.
    """

    def refresh(self) -> None:
        """Take the arrays and what they hold as they are now; needed if they were said to be fixed, or are others."""
        ...


class ActingMany(Protocol):
    """A policy that acts in many environments, each with a memory of its own; some may step while others wait.

    `rows` [n] are the environments meant, each once; observations [n, size] as the environment gives them (float32, or
    bytes, which the policy is served times its `observation_scale`), actions [n, size], outputs [n, outputs] float32.
    """

    def restart(self, rows: NDArray[np.intp], observations: NDArray[Any]) -> NDArray[np.float32]:
        """As `Acting.restart` in some environments."""
        ...

    def tick(
        self, rows: NDArray[np.intp], observations: NDArray[Any], actions: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """As `Acting.tick` in some environments."""
        ...

    def newest(self, node: str) -> NDArray[np.float32]:
        """What a layer finished in every environment's newest tick, or the start rule's: [environments, width].

        Of layers that are read at a later tick only, as recurrent ones are.
        """
        ...

    def remember(self, node: str, values: NDArray[np.float32]) -> None:
        """Replace what a layer held in every environment's newest ticks: [ticks, environments, width], newest last.

        For a learner that computes them anew with changed parameters; more ticks than are read are left out.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What `restore` needs, for a checkpoint."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        ...


class GraphActing(Generic[A]):
    """Acting by what `rtbench.unrolling.step` says, by a plan made once, for any arithmetic.

    `load`/`unload` convert to and from NumPy vectors. `arithmetic` reads the parameters afresh at every call, so an
    inference uses the parameters of its start. `load` takes [size], or [batch, size] with a batch, and `unload` gives
    it back.
    """

    def __init__(
        self,
        spec: ActingSpec,
        arithmetic: Arithmetic[A],
        load: Callable[[NDArray[np.float32]], A],
        unload: Callable[[A], NDArray[np.float32]],
    ) -> None:
        import numpy as np

        from rtbench.seeds import generator

        graph = spec.graph
        self._rng = generator(spec.seed, "dropout") if graph.random else None
        self._arithmetic = Dropping(arithmetic, self._rng, load, spec.batch) if self._rng else arithmetic
        self._rows = (spec.batch,) if spec.batch > 1 else ()
        self._graph, self._start = graph, spec.start
        self._lags, self._instant = spec.lags, spec.execution == "instant"
        self._plan = planned(graph, self._lags.edges)
        self._load, self._unload = load, unload
        self._past: deque[dict[str, A]] = deque(maxlen=max(1, *self._lags.edges.values()))
        self._no_action = load(np.zeros((*self._rows, graph.action_size), np.float32))
        self._before: dict[str, A] = {}

    def _zero(self, layer: Layer) -> A:
        import numpy as np

        return self._load(np.zeros((*self._rows, layer.state_width), np.float32))

    def _begin(self, observation: NDArray[np.float32]) -> None:
        first = self._load(observation)
        if self._start == "hold":
            self._before = instant(self._graph, self._arithmetic, first, self._no_action, self._zero)
        else:
            self._before = {layer.name: self._zero(layer) for layer in self._graph.layers}
        self._before |= {OBSERVATION: first, ACTION: self._no_action}

    def refresh(self) -> None:
        """Nothing is kept of the parameters: the arithmetic looks them up at every call."""

    def restart(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Forget everything; the head's value before the first tick, by the start rule."""
        self._past.clear()
        self._begin(observation)
        return self._unload(self._before[self._graph.head.name])

    def _earlier(self, node: str, ticks: int) -> A:
        return self._past[ticks - 1][node] if ticks <= len(self._past) else self._before[node]

    def tick(self, observation: NDArray[np.float32], action: NDArray[np.float32]) -> NDArray[np.float32]:
        """One tick; earlier ticks' values are read at the lags of the graph."""
        loaded = self._load(action)
        if self._instant:
            if self._past:
                self._past[0][ACTION] = loaded
            loaded = self._no_action
        values = planned_tick(self._plan, self._arithmetic, self._earlier, self._load(observation), loaded)
        self._past.appendleft(values)
        return self._unload(values[self._graph.head.name])

    def state(self) -> dict[str, Any]:
        """Values of earlier ticks (newest first) and the start rule's.

        The latter were computed with the parameters of the episode's start and cannot be had again from later ones.
        """

        def plain(values: dict[str, A]) -> dict[str, Any]:
            return {node: self._unload(value).copy() for node, value in values.items()}

        state = {"past": [plain(values) for values in self._past], "before": plain(self._before)}
        return state | {"rng": self._rng.bit_generator.state} if self._rng else state

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        import numpy as np

        def loaded(values: dict[str, Any]) -> dict[str, A]:
            return {node: self._load(np.asarray(value, np.float32)) for node, value in values.items()}

        self._before = loaded(state["before"])
        self._past.clear()
        self._past.extend(loaded(values) for values in state["past"])
        if self._rng:
            self._rng.bit_generator.state = state["rng"]


class Dropping(Generic[A]):
    """An arithmetic whose layers with dropout lose neurons at every evaluation, the others scaled by 1 ÷ (1 − p)."""

    def __init__(
        self, inner: Arithmetic[A], rng: np.random.Generator, load: Callable[[NDArray[np.float32]], A], batch: int = 1
    ) -> None:
        self._inner, self._rng, self._load = inner, rng, load
        self._rows = (batch,) if batch > 1 else ()

    def apply(self, layer: Layer, blocks: Sequence[A]) -> A:
        """The inner arithmetic's value, masked."""
        value: Any = self._inner.apply(layer, blocks)
        if layer.dropout:
            kept = self._rng.random((*self._rows, layer.width), dtype="float32") >= layer.dropout
            value = value * self._load((kept / (1 - layer.dropout)).astype("float32"))
        masked: A = value
        return masked

    def total(self, values: Sequence[A], scale: float) -> A:
        """As the inner arithmetic."""
        return self._inner.total(values, scale)

    def visible(self, layer: Layer, value: A) -> A:
        """As the inner arithmetic."""
        return self._inner.visible(layer, value)

    def pool(self, value: A, shape: Shape, size: tuple[int, int]) -> A:
        """As the inner arithmetic."""
        return self._inner.pool(value, shape, size)


Parameters = Mapping[str, Mapping[str, Any]]
"""Layer name -> {'weight': [inputs, outputs], 'bias': [outputs]} as NumPy arrays (views of what a learner trains).

They are changed in place (`Refreshable`).
"""
