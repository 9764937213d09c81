"""What a part is: a class with typed frozen `Params`, a `revision`, `supports(cell)` and `make`.

Every kind of part has its abstract class here, so that a plugin author reads one file. Parts are found by name through
entry points (`rtbench.plugins`); nothing here imports numpy, torch or an environment.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_type_hints

from rtbench.errors import SuiteError

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    from numpy.typing import NDArray

    from rtbench.backends.base import Refreshable
    from rtbench.cell import Cell, RunBatch
    from rtbench.graph import ActingSpec, LayerGraph
    from rtbench.learners.base import Program
    from rtbench.many import Many
    from rtbench.results.places import State
    from rtbench.schedulers.base import SchedulerState

__all__ = [
    "Architecture",
    "Backend",
    "DefaultPolicy",
    "Environment",
    "EnvironmentSpec",
    "Executor",
    "Learner",
    "NoParams",
    "Part",
    "PartUse",
    "PolicyShape",
    "Scheduler",
    "canonical_json",
    "coerce_params",
    "param",
    "params_data",
]


_DIGEST, _SHORT = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}"), r"\1"


def param(
    default: Any = dataclasses.MISSING, *, unit: str = "", doc: str = "", added: bool = False, file: bool = False
) -> Any:
    """A field of a `Params` dataclass with its unit and one line of documentation.

    `added` says that the part was published before this parameter was: at its default it changes nothing and stays out
    of a run's identity, so that earlier results keep theirs. `file` says that the text names a file, which counts by
    its content wherever it lies (`rtbench.contents`).
    """
    metadata = {"unit": unit, "doc": doc, "added": added, "file": file}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NoParams:
    """The parameters of a part that has none."""


class Part:
    """Base of every part: `Params` (frozen dataclass), `revision`, `supports`; each kind adds its `make`.

    `revision` is raised whenever the same parameters would give other results; it is part of a run's identity.
    """

    kind: ClassVar[str] = ""
    Params: ClassVar[type[Any]] = NoParams
    revision: ClassVar[int] = 1
    requires: ClassVar[tuple[str, ...]] = ()
    """Importable modules the part needs and a user may lack (an extra)."""
    extra: ClassVar[str] = ""
    """The extra that brings them, as one would type it: rtbench[mujoco]."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules its work needs beyond its own, packages included: imported once, before workers are forked."""

    def __init__(self, params: Any, files: Mapping[str, str] | None = None) -> None:
        """`files`: where the files lie that parameters name by content, by parameter."""
        self.params = params
        self.files = dict(files or {})

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """None if the part can run this cell, else the reason it cannot."""
        return None


@dataclass(frozen=True)
class EnvironmentSpec:
    """What a policy must know of an environment before any is made.

    `step_s` is τ_M, the duration of one environment step in seconds; `noop` is the action that does nothing. Images are
    kept as they come (`observation_dtype`, bytes), [height, width, channels]; a policy is served float32, times
    `observation_scale`. `training_reward` is what a learner makes of a reward; returns add up what the world gave.
    """

    observation_shape: tuple[int, ...]
    action_size: int
    continuous: bool
    step_s: float
    max_episode_steps: int | None
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    noop: int | None = None
    observation_dtype: str = "float32"
    observation_scale: float = 1.0
    training_reward: Literal["raw", "sign"] = "raw"
    stacked_frames: int = 1
    """Newest frames in the channels of an image; all but the newest were in the observations before."""

    @property
    def observation_size(self) -> int:
        """Numbers in an observation."""
        size = 1
        for length in self.observation_shape:
            size *= length
        return size

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(height, width, channels) if observations are images."""
        return self.observation_shape if len(self.observation_shape) == 3 else None


@dataclass(frozen=True)
class PolicyShape:
    """Widths an architecture needs: observation, action as fed back, and what the head must put out."""

    observation_size: int
    action_size: int
    output_size: int
    observation_shape: tuple[int, int, int] | None = None
    """Of an image: height, width, channels."""

    @classmethod
    def of(cls, spec: EnvironmentSpec, outputs: int) -> PolicyShape:
        """What an environment asks of a network whose head puts out so many numbers."""
        return cls(spec.observation_size, spec.action_size, outputs, spec.image_shape)


class Environment(Part, ABC):
    """An environment family; `make` gives a Gymnasium environment whose episodes are reset with explicit seeds.

    A world may say at every step what it has counted since its reset: `info["rtbench_progress"]`, numbers by name.
    `progress` (what it is about) and `non_idle_actions` become columns of rows, others further numbers
    `rtbench/total_NAME`, all summed over training; `rtbench/eval_NAME` is the mean of the final evaluation's episodes.
    """

    kind = "environments"
    actions: ClassVar[Literal["", "continuous", "discrete"]] = ""
    """What kind of actions the whole family has, known before any is made; empty if it differs."""

    @abstractmethod
    def make(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """A fresh environment, with its time limit, without autoreset."""

    @abstractmethod
    def spec(self) -> EnvironmentSpec:
        """Shapes and the duration of a step."""

    def make_many(self, count: int) -> Many:
        """So many stepped together: a loop over `make()`, unless a family knows something faster."""
        from rtbench.many import OneByOne

        return OneByOne([self.make() for _ in range(count)], self.spec())


class Architecture(Part, ABC):
    """A network family as a `LayerGraph` declaration."""

    kind = "architectures"
    example: ClassVar[PolicyShape] = PolicyShape(17, 6, 12)
    """The widths it is described with: HalfCheetah's, unless it wants images."""

    @abstractmethod
    def make(self, shape: PolicyShape) -> LayerGraph:
        """The graph for these widths; layers are data, no arithmetic."""


class Scheduler(Part, ABC):
    """When inference processes read, start and hand over their actions."""

    kind = "schedulers"

    @abstractmethod
    def make(self, processes: int, step_ns: int, execution: str) -> SchedulerState:
        """A scheduler's state machine: one integer array, told of starts and finishes, answering with times."""


class DefaultPolicy(Part, ABC):
    """β, the action of an environment step for which no new action is ready."""

    kind = "default_policies"
    holds: ClassVar[bool] = False
    """True if a step without a new action repeats the last one, whose observation then keeps ageing."""

    @abstractmethod
    def make(self, spec: EnvironmentSpec) -> Callable[[NDArray[np.float32] | None, np.random.Generator], Any]:
        """β as a function of the last applied action (None before the first; in −1…1 where continuous)."""


class Learner(Part, ABC):
    """How a policy is trained; one program trains a batch of runs of equal shapes."""

    kind = "learners"
    reference_units_per_s: ClassVar[float | None] = None
    """Ticks or environment steps per second on a core of an ordinary machine, which `plan` assumes until measured."""
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """Number formats it can train in."""
    trains_on: ClassVar[tuple[str, ...]] = ("cpu",)
    """Kinds of device its program trains on, as torch names them; on `cuda` many runs share one program."""

    @classmethod
    def run_bytes(cls, cell: Cell) -> int | None:
        """Bytes that one run of a batch keeps where it trains, replay included; None if that is not known."""
        return None

    @abstractmethod
    def make(self, batch: RunBatch) -> Program:
        """The training program of a batch of runs."""


class Backend(Part, ABC):
    """How a graph is executed when acting."""

    kind = "backends"
    start: ClassVar[Literal["fork", "spawn"]] = "fork"
    """How workers that use it are started; an accelerator's driver wants `spawn`."""
    threads_from: ClassVar[Literal["torch", "blas", "parameter", "one"] | None] = None
    """Whose number of threads it computes with: torch's, that of the library under NumPy, a parameter `threads` of its
    own, or always one; None if it does not say. More threads than one are not measured of what has one."""

    @abstractmethod
    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Something that acts tick by tick; RtbenchError with the reason if it `refuses`.

        `parameters`: layer -> {'weight' [inputs, outputs], 'bias' [outputs]}, read as they are at every tick, however
        they were changed in place; if the spec says that they are `fixed`, as they were when it was made or last
        refreshed, which may be faster.
        """

    def refuses(self, spec: ActingSpec) -> str | None:
        """None if it can execute this graph, else the reason it cannot."""
        return None


class Executor(Part, ABC):
    """Where batches of runs are executed."""

    kind = "executors"

    @abstractmethod
    def make(self, state: State, tell: Callable[[dict[str, Any]], None]) -> Any:
        """Something whose `run(jobs)` executes `rtbench.executors.jobs.Job`s with their state in a folder or a bucket.

        `tell` is called with events (see `rtbench.executors.jobs`) as they happen.
        """

    def queued(self, tasks: Sequence[str]) -> Mapping[str, tuple[Literal["queued", "running"], str]]:
        """Of the tasks that it handed on (`rtbench.executors.handed`), those its queue still has, with words on each.

        One that stays until its jobs are done has none. RtbenchError with the reason if the queue does not answer.
        """
        return {}


@dataclass(frozen=True)
class PartUse:
    """A part as a cell uses it: looked up by name, parameters coerced.

    `label` is for tables; `files` says where the files lie that parameters name by content. Neither is identity.
    """

    kind: str
    name: str
    revision: int
    params: Mapping[str, Any]
    label: str = dataclasses.field(default="", compare=False)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)

    def data(self) -> dict[str, Any]:
        """What of this part changes a result."""
        return {"name": self.name, "revision": self.revision, "params": dict(self.params)}

    @property
    def title(self) -> str:
        """The label, or the name with its parameters."""
        if self.label:
            return self.label
        names = {key: where.rpartition("/")[2] for key, where in self.files.items()}
        shown = {key: names.get(key, value) for key, value in self.params.items() if value not in (None, "", "none")}
        inner = ", ".join(f"{key}={_DIGEST.sub(_SHORT, str(value))}" for key, value in shown.items())
        return f"{self.name}({inner})" if inner else self.name


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN: equal values give equal text on any machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def params_data(params: Any) -> dict[str, Any]:
    """A coerced `Params` instance as plain JSON data; parameters `added` later only where they differ from default."""
    data: dict[str, Any] = json.loads(canonical_json(dataclasses.asdict(params)))
    silent = [
        f.name for f in dataclasses.fields(params) if f.metadata.get("added") and getattr(params, f.name) == f.default
    ]
    return {name: value for name, value in data.items() if name not in silent}


@functools.cache
def _adapter(params_type: Any) -> Any:
    """Built once per type: a schedule may build the same part for every episode."""
    from pydantic import TypeAdapter

    return TypeAdapter(params_type)


def coerce_params(params_type: type[Any], given: Mapping[str, Any], *, place: str) -> Any:
    """A `Params` instance from untyped values: unknown names and wrong types are errors, 1 becomes 1.0 for a float.

    Raises SuiteError naming the place, the allowed names and the nearest one.
    """
    fields = {field.name: field for field in dataclasses.fields(params_type)}
    wanted: Any = params_type
    for name in given:
        if name not in fields:
            raise SuiteError(
                f"unknown parameter {name!r}",
                place=place,
                given=name,
                allowed=sorted(fields) or ["(this part has no parameters)"],
            )
    from pydantic import ValidationError

    # JSON mode is strict about types (no "3" for 3, no true for 1) yet reads a list as a tuple and 1 as 1.0.
    try:
        return _adapter(wanted).validate_json(json.dumps(dict(given), default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(step) for step in first["loc"]) or "(whole)"
        if first["type"] == "literal_error":
            choices = [str(choice) for choice in get_args(get_type_hints(params_type)[str(first["loc"][0])])]
            raise SuiteError(
                f"parameter {name!r} cannot be {first['input']!r}",
                place=place,
                given=str(first["input"]),
                allowed=choices,
            ) from None
        unit = fields[str(first["loc"][0])].metadata.get("unit", "") if first["loc"] else ""
        raise SuiteError(
            f"parameter {name!r}: {first['msg']}, got {first['input']!r}" + (f" (unit: {unit})" if unit else ""),
            place=place,
        ) from None
