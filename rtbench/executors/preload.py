"""What the warm parent imports for a set of jobs, and how their workers are started."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Literal

from rtbench import plugins
from rtbench.executors.jobs import Job
from rtbench.parts import Backend

ALWAYS = ("torch", "gymnasium", "rtbench.learners.checkpoint")


def modules(jobs: Iterable[Job]) -> list[str]:
    """Modules of the parts that the jobs use, what these want loaded beforehand, and the programs of their learners.

    Not the packages that they require: of some only a part is needed, which `preload` names.
    """
    cells = {id(job.cell): job.cell for job in jobs}.values()
    parts = sorted({(part.kind, part.name) for cell in cells for part in cell.parts.values()})
    found = dict.fromkeys(ALWAYS)
    for kind, name in parts:
        part = plugins.part_class(kind, name)
        module = plugins.entry(kind, name).target.partition(":")[0]
        found |= dict.fromkeys([module, *part.preload])
    return list(found)


def start_method(job: Job) -> Literal["fork", "spawn"]:
    """Whether a worker may be forked: not where a backend says otherwise (an accelerator's driver), nor off Linux."""
    backend = plugins.part_class("backends", job.cell.backend.name)
    assert issubclass(backend, Backend)
    return backend.start if sys.platform == "linux" else "spawn"
