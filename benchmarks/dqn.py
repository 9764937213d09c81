"""A whole DQN update of the residual network, batch 16 of 84 × 84 bytes: rtbench against a plain implementation.

    python benchmarks/dqn.py [--threads 1] [--rounds 5] [--precision fp32] [--k 1] [--cpu-time] [--json]

Both sides have their batch at hand; drawing it from a million frames is measured apart (`--draw`: how long). Aimed at:
1.6× in fp32, 2.7× in bf16. It wants a quiet machine; `--cpu-time` counts the processor's time, not the wall's, where
there is none.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from plain.dqn import DQN
from ratio import as_json, compare, of_rounds, table

from rtbench.cell import Budget, Cell, Interaction
from rtbench.learners.experience import Experience
from rtbench.learners.update_timing_program import update_of
from rtbench.parts import EnvironmentSpec
from rtbench.plugins import use

BATCH, ACTIONS = 16, 18


def ours(k: float, precision: str):
    """One update of ours as a function."""
    interaction = Interaction(
        use("schedulers", "one-process"), "sequential", 0.0, use("default_policies", "noop"), clock="wall"
    )
    cell = Cell(
        use("environments", "atari", {"id": "BoxingNoFrameskip-v4", "frames": 1}),
        use("architectures", "residual", {"k": k}),
        interaction,
        use("learners", "update-timing"),
        use("backends", "eager"),
        Budget(1, "env_steps", 1, 1, 1),
        precision,
    )
    return update_of(cell, BATCH, 0)


def theirs(k: float):
    """One update of the plain side as a function."""
    rng = torch.Generator().manual_seed(0)
    seen, following = (torch.randint(0, 255, (BATCH, 1, 84, 84), generator=rng).byte() for _ in range(2))
    actions = torch.randint(ACTIONS, (BATCH,), generator=rng)
    agent, ones = DQN(ACTIONS, k), torch.ones(BATCH)
    return lambda: agent.update(seen, actions, ones, ones, following)


def cpu_ms(work, calls: int) -> float:
    """Median milliseconds of the processor per call."""
    found = []
    for _ in range(calls):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return float(np.median(found)) * 1e3


def draw_ms(rows: int = 200_000) -> float:
    """Milliseconds of the processor to draw a batch from so many frames."""
    spec = EnvironmentSpec((84, 84, 1), ACTIONS, False, 1 / 60, None, observation_dtype="uint8")
    experience = Experience(spec, decisions=rows, rows=rows)
    frame, action = (
        np.random.default_rng(0).integers(0, 255, 84 * 84).astype(np.uint8),
        np.eye(ACTIONS, dtype=np.float32),
    )
    experience.begin_episode(frame)
    for step in range(rows - 1):
        experience.begin_inference(step)
        experience.apply(step)
        experience.end_step(action[0], 0.0, frame)
    rng = np.random.default_rng(1)
    return cpu_ms(lambda: experience.draw(rng, BATCH), 50)


def main() -> None:
    """One line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=7)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--k", type=float, default=1.0)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.draw:
        print(f"drawing {BATCH} transitions: {draw_ms():.3f} ms")
        return
    name = f"DQN update, residual network k = {given.k:g}, batch {BATCH}, {given.precision}"
    plain, mine, target = theirs(given.k), ours(given.k, given.precision), {"fp32": 1.6, "bf16": 2.7}[given.precision]
    if given.cpu_time:
        for work in (plain, mine) * 3:
            work()
        found = [(cpu_ms(plain, given.calls), cpu_ms(mine, given.calls)) for _ in range(given.rounds)]
        line = of_rounds(name + ", processor time", found, target)
    else:
        line = compare(name, plain, mine, calls=given.calls, rounds=given.rounds, target=target)
    conditions = {"threads": given.threads, "rounds": given.rounds, "precision": given.precision, "k": given.k}
    print(as_json(conditions, [line]) if given.json else table("DQN", [line]))


if __name__ == "__main__":
    main()
