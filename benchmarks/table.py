"""The table of ratios: every learner of rtbench against a plain eager implementation, in one run.

    python benchmarks/table.py [--threads 1] [--rounds 5] [--only delayed] [--json]

Both sides of a line train the same task with the same hyperparameters (batch and width 256) and are timed in turn, two
updates in a row, because every second update also updates the policy. A ratio is the median over rounds of the quotient
of the two medians; beside it the lowest and the highest round. It wants a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import ours
import torch
from plain import delayed_sac, sac
from plain.training import ACT, BATCH, OBS, twice
from plain.windows import WindowReplay
from ratio import Ratio, as_json, compare, table
from side_by_side import side_by_side

REPLAY_ROWS, EPISODE_STEPS, WINDOW_TICKS = 1_000_000, 1_000, 6


@dataclass(frozen=True)
class Effort:
    """How much to measure: calls of a pair of updates per round, and rounds."""

    calls: int
    rounds: int
    threads: int

    def target(self, one: float, two: float | None = None) -> float | None:
        """What the suite's targets ask at this number of threads."""
        return {1: one, 2: two}.get(self.threads)


def _warm_plain(agent: Any) -> Any:
    for _ in range(ours.WARM_UP):
        agent.act()
    return agent


def _step(agent: Any) -> Callable[[], None]:
    def step() -> None:
        agent.act()
        agent.update()

    return step


def undelayed(effort: Effort) -> list[Ratio]:
    """SAC without delay, one update with sampling."""
    plain, program = _warm_plain(sac.SAC(0)), ours.program(delayed=False)
    ours.warm(program)
    return [
        compare(
            "SAC update without delay",
            twice(plain.update),
            twice(program.update),
            calls=effort.calls,
            rounds=effort.rounds,
            units=2,
            target=effort.target(1.7, 2.2),
        )
    ]


def delayed(effort: Effort) -> list[Ratio]:
    """Delayed SAC, three layers, from-obs & aug: the update with sampling, and with acting and the environment."""
    plain, program = _warm_plain(delayed_sac.DelayedSAC(0)), ours.program(delayed=True)
    ours.warm(program)
    return [
        compare(
            name,
            twice(theirs),
            twice(mine),
            calls=effort.calls,
            rounds=effort.rounds,
            units=2,
            target=effort.target(*targets),
        )
        for name, theirs, mine, targets in (
            ("delayed SAC update with sampling", plain.update, program.update, (3.2, 3.9)),
            ("delayed SAC with the environment", _step(plain), program.advance, (3.0, 3.0)),
        )
    ]


def bf16(effort: Effort) -> list[Ratio]:
    """SAC without delay: four runs stacked in bf16, per run, against one plain run in fp32."""
    plain, runs = _warm_plain(sac.SAC(0)), 4
    program = ours.program(delayed=False, runs=runs, precision="bf16")
    ours.warm(program)
    return [
        compare(
            "SAC update, bf16, four runs stacked, per run",
            twice(plain.update),
            twice(program.update),
            calls=effort.calls,
            rounds=effort.rounds,
            units=2,
            ours_units=2 * runs,
            target=effort.target(3.5, 4.0),
        )
    ]


def replay(effort: Effort) -> list[Ratio]:
    """256 windows of 6 out of a million steps, those of the next decisions with them."""
    plain = WindowReplay(REPLAY_ROWS, OBS, ACT, WINDOW_TICKS)
    rng = np.random.default_rng(0)
    plain.o[:] = rng.standard_normal(plain.o.shape, dtype=np.float32)
    plain.a[:] = rng.uniform(-1, 1, plain.a.shape)
    plain.d[EPISODE_STEPS - 1 :: EPISODE_STEPS] = 1
    plain.size = REPLAY_ROWS
    packed = ours.window_replay(REPLAY_ROWS, OBS, ACT, EPISODE_STEPS)
    return [
        compare(
            "256 windows of 6 from a million",
            lambda: plain.sample(rng, BATCH),
            ours.window_sampler(packed, BATCH, WINDOW_TICKS, (OBS, ACT)),
            calls=4 * effort.calls,
            rounds=effort.rounds,
            target=effort.target(30.0),
        )
    ]


def acting(effort: Effort) -> list[Ratio]:
    """From one observation to one sampled action: a module and a distribution of torch against NumPy."""
    plain, program = sac.SAC(0), ours.program(delayed=False)
    ours.warm(program)
    act, observation = ours.acting(program), np.random.default_rng(0).standard_normal(OBS, dtype=np.float32)
    return [
        compare(
            "acting, batch 1, MLP",
            lambda: plain.choose(observation),
            lambda: act(observation),
            calls=20 * effort.calls,
            rounds=effort.rounds,
            target=effort.target(10.0),
        )
    ]


def pair(effort: Effort) -> list[Ratio]:
    """Two runs side by side; each has one thread, whatever `--threads` says."""
    return [side_by_side(seconds=0.04 * effort.calls, rounds=effort.rounds, target=1.8)]


LINES = {part.__name__: part for part in (undelayed, delayed, bf16, replay, acting, pair)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, for both sides")
    parser.add_argument("--calls", type=int, default=50, help="pairs of updates of each side per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=LINES, action="append", help="this line (may be repeated)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    effort = Effort(arguments.calls, arguments.rounds, arguments.threads)
    found = [line for name in arguments.only or LINES for line in LINES[name](effort)]
    conditions = {
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "calls": arguments.calls,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "load_1min": os.getloadavg()[0],
    }
    title = ", ".join(f"{name} {value}" for name, value in conditions.items())
    print(as_json(conditions, found) if arguments.json else table(title, found))


if __name__ == "__main__":
    main()
