"""What a learner process does: update after update, each applied when it is its turn."""

from __future__ import annotations

import time

from rtbench.realtime.board import Board
from rtbench.realtime.crew import Tell, orphaned
from rtbench.realtime.parameters import Learning, Made, Parameters
from rtbench.realtime.waking import sleep_until


def learn_in_turns(
    tell: Tell, parameters: Parameters, learning: Learning, board: Board, process: int, parent: int
) -> list[Made]:
    """Updates from the run's beginning to its end, through resets; the newest one may be given up at the end."""
    own = parameters.own()
    updates: list[Made] = []

    def wanted() -> bool:
        return not board.over and not orphaned(parent)

    tell()
    while wanted() and not board.begun:
        time.sleep(0.001)
    zero_ns = board.zero_ns
    sleep_until(zero_ns, 0, wanted)
    while wanted():
        begin_ns = time.monotonic_ns() - zero_ns
        done = parameters.learn_in_turn(own, learning.update, process, wanted)
        if done is None:
            break
        read, made = done
        updates.append(Made(made, process, read, begin_ns, own.applied_ns - zero_ns))
    return updates
