"""Native code: one C function per tick, on one thread or on several that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.parts import Backend, param

if TYPE_CHECKING:
    from rtbench.backends.base import Refreshable
    from rtbench.cell import Cell
    from rtbench.graph import ActingSpec

Dtype = Literal["fp32", "bf16"]
MOST_THREADS = 1024
DTYPE = "weights; sums are in single precision"


@dataclass(frozen=True)
class Params:
    """The number format."""

    dtype: Dtype = param("fp32", doc=DTYPE)


class Native(Backend):
    """A tick as one call of C, on the caller's thread: product, bias and rectifier of a layer in one pass.

    Compiled once with the system's C compiler for this processor (`rtbench.backends.native_library`). Single precision
    reads the learner's arrays where they lie, unless they are `fixed`: then, and in bfloat16, weights are packed in the
    order of use.
    """

    threads_from = "one"
    Params = Params

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """A C compiler."""
        return _unsupported()

    def refuses(self, spec: ActingSpec) -> str | None:
        """A C compiler."""
        return _unsupported()

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting by native code; RtbenchError with the compiler's words if it cannot be compiled."""
        from rtbench.backends.native_acting import NativeActing

        half = self.params.dtype == "bf16"
        return NativeActing(spec, parameters, half=half)


@dataclass(frozen=True)
class ThreadsParams:
    """How many threads, whether they have cores of their own, how long they wait awake."""

    threads: int = param(2, unit="threads", doc="that share every tick, the caller's among them")
    dtype: Dtype = param("fp32", doc=DTYPE)
    pin: bool = param(
        True, doc="keep every thread on a core of its own, and the caller off theirs; for one acting on the machine"
    )
    spin_us: float = param(50.0, unit="µs", doc="how long a thread waits awake for the next tick before it sleeps")


class Threads(Backend):
    """The code of `native` on threads that stay: each has the same layers (or columns of them) at every tick.

    Pipelined, all layers are shared out at once and threads meet once per tick; sequentially the columns of every layer
    are, and they meet after each. A thread that has waited `spin_us` sleeps until the next tick.
    """

    threads_from = "parameter"
    Params = ThreadsParams

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """A C compiler and a possible number of threads."""
        return _unsupported() or _contradiction(cell.backend.params)

    def refuses(self, spec: ActingSpec) -> str | None:
        """A C compiler and a possible number of threads."""
        return _unsupported() or _contradiction(vars(self.params))

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting by native code; RtbenchError with the compiler's words if it cannot be compiled."""
        from rtbench.backends.native_acting import NativeActing

        p: ThreadsParams = self.params
        how: dict[str, Any] = {"threads": p.threads, "pin": p.pin, "spin_ns": round(p.spin_us * 1000)}
        half = p.dtype == "bf16"
        return NativeActing(spec, parameters, half=half, **how)


def _unsupported() -> str | None:
    from rtbench.backends.native_library import unsupported

    return unsupported()


def _contradiction(params: Mapping[str, Any]) -> str | None:
    if not 1 <= params["threads"] <= MOST_THREADS:
        return f"backend threads: threads must be from 1 to {MOST_THREADS}, got {params['threads']}"
    if not 0 <= params["spin_us"] <= 1e6:
        return f"backend threads: spin_us must be from 0 to 1000000, got {params['spin_us']}"
    return None
