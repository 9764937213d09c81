"""Two training processes of one thread each on two cores, against one of them alone: units per second together."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection

from ratio import Ratio, of_rounds


def _train(pipe: Connection) -> None:
    """Train for as long as each message says, in seconds; answer with (units, seconds)."""
    import ours
    import torch

    torch.set_num_threads(1)
    program = ours.program(delayed=True)
    ours.warm(program)
    pipe.send(None)
    while (wanted_s := pipe.recv()) is not None:
        begin, units = time.perf_counter(), 0
        while time.perf_counter() - begin < wanted_s:
            program.advance()
            program.advance()
            units += 2
        pipe.send((units, time.perf_counter() - begin))


def _measured(pipes: list[Connection], seconds: float) -> float:
    """Milliseconds per unit, of these processes training at once."""
    for pipe in pipes:
        pipe.send(seconds)
    return 1e3 / sum(units / spent for units, spent in (pipe.recv() for pipe in pipes))


def side_by_side(seconds: float, rounds: int, target: float) -> Ratio:
    """Alone and together in turn; the ratio is units per second together ÷ alone."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(2):
        mine, theirs = context.Pipe()
        process = context.Process(target=_train, args=(theirs,), daemon=True)
        process.start()
        pipes.append(mine)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    # The one alone changes places, so that neither core nor seed counts for one side only.
    found = [(_measured([pipes[i % 2]], seconds), _measured(pipes, seconds)) for i in range(rounds)]
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(None)
        process.join()
    return of_rounds("two runs side by side on two cores, against one", found, target)
