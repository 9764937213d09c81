"""Randomness by name: every stream of a run is derived from its seed and a path, never from the order of calls."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for the stream that `path` names, e.g. derive(0, "train", "episode", 12)."""
    text = "/".join(str(step) for step in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """The NumPy generator of the stream that `path` names."""
    import numpy as np

    return np.random.default_rng(derive(seed, *path))


def episode_seed(seed: int, phase: str, episode: int) -> int:
    """The seed an environment's episode is reset with (31 bits, as Gymnasium's environments accept)."""
    return derive(seed, phase, "episode", episode) % (2**31)
