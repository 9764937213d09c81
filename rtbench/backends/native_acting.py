"""Acting by the C code of `native.c`."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from rtbench.backends.frames import Array, FrameActing
from rtbench.backends.native_library import library
from rtbench.backends.native_program import Program
from rtbench.backends.weights import Weights
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec

NO_THREADS = 1
"""As in native.c."""


class NativeActing(FrameActing):
    """One C call per tick, which lets other Python threads run; threads of its own start at the first tick.

    Pinned, the thread that ticks keeps a core of its own from then on; where it was allowed before it may be again once
    the acting is gone. RuntimeWarning if there are fewer cores than threads.
    """

    def __init__(
        self,
        spec: ActingSpec,
        parameters: Mapping[str, Any],
        *,
        half: bool,
        threads: int = 1,
        pin: bool = False,
        spin_ns: int = 0,
    ) -> None:
        super().__init__(spec, parameters)
        self._library, self._threads = library(), threads
        in_place = not (spec.fixed or half) and all(map(_readable, parameters.values()))
        self._weights = None if in_place else Weights(parameters, fixed=spec.fixed)
        arrays = partial(_taken, self._weights) if self._weights else partial(_in_place, parameters)
        how: dict[str, Any] = {"threads": threads, "arena": not in_place, "half": half, "spin_ns": spin_ns, "pin": pin}
        self._program = Program(self.layout, arrays, self.frames, self.kept, **how)
        self._handle = self._library.rtbench_open(self._program.address)
        if not self._handle:
            raise RtbenchError("no memory", place="backend native")
        # the program's tables must live until its threads have ended; they do not hold the acting itself
        weakref.finalize(self, _close, self._library, self._handle, self._program)

    def refresh(self) -> None:
        """Take the parameters as they are now."""
        if self._weights:
            self._weights.take()
        self._program.pack()

    def advance(self, slot: int) -> None:
        """The C function; RtbenchError if its threads cannot be started."""
        if self._weights and self._weights.changed():
            self._program.pack()
        if told := self._library.rtbench_tick(self._handle, slot):
            self._tell(told)

    def _tell(self, told: int) -> None:
        if told == NO_THREADS:
            raise RtbenchError("the system starts no further thread", place="backend threads")
        warnings.warn(
            f"backend threads: {self._threads} threads are to have a core each, and this process may use fewer: they "
            "share cores, and a tick may take a hundred times as long; ask for fewer threads",
            RuntimeWarning,
            stacklevel=5,
        )


def _readable(layer: Mapping[str, Any]) -> bool:
    """Whether C can read a layer's arrays where they lie."""
    arrays = [np.asarray(layer[kind]) for kind in ("weight", "bias")]
    return all(array.dtype == np.float32 and array.flags.c_contiguous for array in arrays)


def _taken(weights: Weights, layer: str) -> tuple[Array, Array]:
    return weights.taken[layer]


def _in_place(parameters: Mapping[str, Any], layer: str) -> tuple[Array, Array]:
    if not _readable(parameters[layer]):
        raise RtbenchError(
            f"layer {layer}: the arrays that took the place of others are not float32 in rows",
            place="backend native",
            hint="change parameters in place, or make a new acting",
        )
    return np.asarray(parameters[layer]["weight"]), np.asarray(parameters[layer]["bias"])


def _close(library: Any, handle: int, program: Program) -> None:
    library.rtbench_close(handle)
    del program
