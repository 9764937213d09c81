"""Scripted players that see what an agent sees, one screen of 84 × 84 bytes, and answer an action; they keep nothing.

They are policies for the learner `frozen`: `policy = "python:rtbench_gameboy.players:falling_blocks"`. With several
screens stacked they look at the newest.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Cells = tuple[tuple[int, int], ...]
NONE, A, B, LEFT, UP, RIGHT, DOWN = range(7)
_WIDTH, _DEPTH, _EDGE = 10, 18, 2
_BLACK, _WHITE = 60, 220


def _pixels(tiles: Any, tile: float) -> Any:
    """Where the middle of a tile of 8 pixels lies on the reduced screen."""
    return ((np.asarray(tiles) * 8 + 4) * tile).astype(int)


_X, _Y = 84 / 160, 84 / 144
_COLUMNS, _ROWS = _pixels(np.arange(_WIDTH) + _EDGE, _X), _pixels(np.arange(_DEPTH), _Y)


def _at(screen: Bytes, column: float, row: float) -> int:
    return int(screen[_pixels(row, _Y), _pixels(column, _X)])


def _newest(observation: Any) -> Bytes:
    screen: Bytes = np.asarray(observation).astype(np.uint8, copy=False)
    return screen[:, :, -1] if screen.ndim == 3 else screen


# ---- falling blocks --------------------------------------------------------------------------------------------------


def falling_blocks(observation: Any) -> int:
    """Turns the piece, moves it over the place that leaves the smoothest well, and hurries it down."""
    cells = _newest(observation)[np.ix_(_ROWS, _COLUMNS)]
    falling = [(int(y), int(x)) for y, x in zip(*np.nonzero(cells < _BLACK), strict=True)]
    if len(falling) != 4:
        return NONE
    form, _, left = _normal(falling)
    if form not in _TURNED:
        return NONE  # two pieces in one picture, or one that is just being laid down
    lying = (cells >= _BLACK) & (cells < _WHITE)
    wanted, column = _best(lying.tobytes(), form)
    if form != wanted:
        return B if _TURNED[_TURNED[_TURNED[form]]] == wanted else A
    return DOWN if left == column else LEFT if left > column else RIGHT


def _normal(cells: Any) -> tuple[Cells, int, int]:
    """A piece's form, its top row and its left column."""
    top, left = (min(cell[k] for cell in cells) for k in (0, 1))
    return tuple(sorted((y - top, x - left) for y, x in cells)), top, left


def _turned(form: Cells) -> Cells:
    """A quarter turn clockwise."""
    return _normal([(x, -y) for y, x in form])[0]


def _all_turns() -> dict[Cells, Cells]:
    found: dict[Cells, Cells] = {}
    for drawn in ("####", "##/##", ".#./###", ".##/##.", "##./.##", "#../###", "..#/###"):
        form = _normal([(y, x) for y, row in enumerate(drawn.split("/")) for x, cell in enumerate(row) if cell == "#"])[
            0
        ]
        for _ in range(4):
            found[form] = form = _turned(form)
    return found


_TURNED = {form: _turned(form) for form in _all_turns()}


@functools.lru_cache(maxsize=256)
def _best(well: bytes, form: Cells) -> tuple[Cells, int]:
    """The turn and column after which the well looks best; a pure function, remembered while a piece falls."""
    lying = np.frombuffer(well, bool).reshape(_DEPTH, _WIDTH)
    found: list[tuple[float, Cells, int]] = []
    turn = form
    for _ in range(4):
        width = 1 + max(x for _, x in turn)
        found += [(_worth(lying, turn, column), turn, column) for column in range(_WIDTH - width + 1)]
        turn = _TURNED[turn]
    _, turn, column = max(found)
    return turn, column


def _worth(lying: NDArray[np.bool_], form: Cells, column: int) -> float:
    """Full rows, less height, holes and unevenness, once the piece lies; −inf where it has no room."""
    tops = np.where(lying.any(0), lying.argmax(0), _DEPTH)
    row = min(int(tops[column + x]) - 1 - y for y, x in form)
    if row < 0:
        return -np.inf
    after = lying.copy()
    for y, x in form:
        after[row + y, column + x] = True
    full = after.all(1)
    kept = after[~full]
    after = np.vstack([np.zeros((int(full.sum()), _WIDTH), bool), kept])
    tops = np.where(after.any(0), after.argmax(0), _DEPTH)
    holes = int((~after & (np.arange(_DEPTH)[:, None] > tops)).sum())
    rough = int(np.abs(np.diff(tops)).sum())
    return float(8 * full.sum() - 5 * (_DEPTH - tops).sum() - 8 * holes - 2 * rough)


# ---- encounters ------------------------------------------------------------------------------------------------------

_MESSAGE, _MENU, _STRIKES = range(3)
_STRIKE, _MEND, _NET = 0, 1, 2
_SUN, _RAIN, _SEED = range(3)


def battles(observation: Any) -> int:
    """Strikes with what harms most, mends when weak."""
    return _play(_newest(observation), catching=False)


def catching(observation: Any) -> int:
    """Weakens what is to be caught, then throws nets."""
    return _play(_newest(observation), catching=True)


def _play(screen: Bytes, *, catching: bool) -> int:
    line = _at(screen, 9, 12)
    asked = _STRIKES if line < _BLACK else _MENU if line < _WHITE else _MESSAGE
    if asked == _MESSAGE:
        return A
    cursors = [place for place in range(4) if _at(screen, 10 if place & 1 else 1, 16 if place & 2 else 14) < _WHITE]
    if len(cursors) != 1:
        return NONE
    place = cursors[0]
    wanted = _choice(screen, catching) if asked == _MENU else _strike(screen, catching)
    if place & 1 != wanted & 1:
        return RIGHT if wanted & 1 else LEFT
    if place & 2 != wanted & 2:
        return DOWN if wanted & 2 else UP
    return A


def _health(screen: Bytes, column: int, row: int) -> float:
    """How much of a bar of eight tiles is black."""
    first, last = int(column * 8 * _X) + 1, int((column + 8) * 8 * _X)
    return float((screen[_pixels(row, _Y), first:last] < _BLACK).mean())


def _choice(screen: Bytes, catching: bool) -> int:
    ours, theirs = _health(screen, 8, 9), _health(screen, 4, 3)
    if catching and theirs < 0.45:
        return _NET
    if ours < 0.35 and _at(screen, 8, 10) < _WHITE:
        return _MEND
    return _STRIKE


def _strike(screen: Bytes, catching: bool) -> int:
    middle = int(screen[int(24 * _Y), int(16 * _X)])
    kind = _SUN if middle < 40 else _SEED if middle < 130 else _RAIN
    if catching and _health(screen, 4, 3) < 0.75:
        return kind  # its own kind harms it, and does not fell it
    return (kind + 1) % 3


def nothing(observation: Any) -> int:
    """Presses nothing."""
    return NONE
