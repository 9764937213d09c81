"""The console's screen as an agent sees it: grey, 84 × 84, each pixel the mean of the area it covers."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 84
HEIGHT, WIDTH = 144, 160


def grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[84, 84, 1] bytes of a picture [144, 160, 3]; the console has four greys, which the second channel tells apart.

    84 and a side have a common divisor, so the picture falls into equal blocks that are reduced alike: 12 rows to 7, 40
    columns to 21.
    """
    rows, columns = _shares(HEIGHT), _shares(WIDTH)
    tall = np.matmul(rows, picture[:, :, 1].astype(np.float32).reshape(-1, rows.shape[1], WIDTH))
    small: Any = np.rint(tall.reshape(-1, columns.shape[1]) @ columns.T).astype(np.uint8)
    return small.reshape(SIDE, SIDE, 1)  # type: ignore[no-any-return]


@functools.cache
def _shares(length: int) -> NDArray[np.float32]:
    """[new, old]: the share of every old pixel of a block in every new one."""
    blocks = math.gcd(length, SIDE)
    edges, old = np.arange(SIDE // blocks + 1) * (length / SIDE), np.arange(length // blocks)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.asarray(np.clip(overlap, 0, None) * (SIDE / length), np.float32)
