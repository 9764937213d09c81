"""How many runs of one cell are trained in one program: as many as an accelerator's memory holds, one on a core."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rtbench import plugins
from rtbench.parts import Learner

if TYPE_CHECKING:
    from rtbench.cell import Cell

MOST = 64
"""Runs in one program: beyond it a run axis has nothing left to hide (published gains level off at 8 to 64)."""
SHARE = 0.8
"""Of the free memory; the rest is the driver's, the allocator's, and what the model of a run leaves out."""


def automatic(cell: Cell) -> int:
    """Runs of this cell that one process of this machine trains together."""
    learner = plugins.part_class("learners", cell.learner.name)
    assert issubclass(learner, Learner)
    memory = free_bytes() if "cuda" in learner.trains_on else None
    return 1 if memory is None else fitting(learner.run_bytes(cell), memory)


def fitting(run_bytes: int | None, memory_bytes: int) -> int:
    """Runs that fit, at most `MOST`; one where a run's own needs are not known or do not fit either."""
    if not run_bytes:
        return 1
    return max(1, min(MOST, int(SHARE * memory_bytes) // run_bytes))


def free_bytes() -> int | None:
    """Free memory of the first accelerator; None where there is none."""
    import torch

    with contextlib.suppress(RuntimeError, AssertionError):
        if torch.cuda.is_available():
            return int(torch.cuda.mem_get_info()[0])
    return None
