"""Whether the baseline of every speed-up is an honest one: backend `eager` against nn.Sequential, in one run.

    python benchmarks/eager.py [--threads 1] [--rounds 5]

Both evaluate the same network of layers of 256 on one observation as NumPy gives it, without gradients, in turn. Where
the ratio is below 1, speed-ups against `eager` flatter whoever is compared with it.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from ratio import compare, table
from torch import nn

from rtbench.backends.measure import random_parameters
from rtbench.graph import ActingSpec
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use

WIDTH, LAYERS = 256, (1, 3, 10, 30, 100)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="nn.Sequential against the backend `eager`, per inference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    observation, action = np.ones(WIDTH, np.float32), np.zeros(1, np.float32)
    lines = []
    for layers in LAYERS:
        graph = build(use("architectures", "mlp", {"layers": layers, "width": WIDTH})).make(
            PolicyShape(WIDTH, 1, WIDTH)
        )
        acting = build(use("backends", "eager")).make(ActingSpec(graph, "sequential", 1.0), random_parameters(graph, 0))
        acting.restart(observation)
        modules = [module for _ in range(layers) for module in (nn.Linear(WIDTH, WIDTH), nn.ReLU())][:-1]
        network = nn.Sequential(*modules)

        def plain(network: nn.Module = network) -> object:
            with torch.no_grad():
                return network(torch.from_numpy(observation)).numpy()

        def ours(acting: object = acting) -> object:
            return acting.tick(observation, action)  # type: ignore[attr-defined]

        lines.append(compare(f"{layers} layers", plain, ours, calls=200, rounds=given.rounds, target=1.0))
    print(table(f"nn.Sequential against backend eager, {given.threads} thread(s), milliseconds an inference", lines))


if __name__ == "__main__":
    main()
