"""A tick compiled by torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtbench.parts import Backend

if TYPE_CHECKING:
    from rtbench.backends.base import Refreshable
    from rtbench.cell import Cell
    from rtbench.graph import ActingSpec


class Compiled(Backend):
    """A tick traced once and compiled by TorchInductor; it reads the learner's arrays where they lie.

    Compiling takes seconds to minutes, with a C++ compiler; torch keeps what it has compiled for the next time.
    """

    threads_from = "torch"
    requires = ("torch",)
    extra = "torch"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """A C++ compiler."""
        return _unsupported()

    def refuses(self, spec: ActingSpec) -> str | None:
        """A C++ compiler."""
        return _unsupported()

    def make(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> Refreshable:
        """Acting by compiled code; RtbenchError without a C++ compiler."""
        from rtbench.backends.compiled_acting import CompiledActing
        from rtbench.backends.refusals import check

        check(self, "compiled", spec)
        return CompiledActing(spec, parameters)


def _unsupported() -> str | None:
    import os
    import shutil

    asked = os.environ.get("CXX", "")
    if any(shutil.which(name) for name in ((asked,) if asked else ("g++", "clang++", "c++"))):
        return None
    return "backend compiled: TorchInductor needs a C++ compiler, and none was found (g++, clang++; CXX names one)"
