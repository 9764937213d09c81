"""What drawings say in words: how a graph is executed, ages with as many numbers as there is room for."""

from __future__ import annotations

from rtbench.drawing.picture import Applied, Path, Picture
from rtbench.drawing.routes import OUTPUT
from rtbench.graph import ACTION, OBSERVATION

_ROWS = {OBSERVATION: "observation", ACTION: "past action", OUTPUT: "action"}
_HOW = {
    "instant": "instant: every layer on the newest observation, no time passes",
    "pipelined": "pipelined: each layer on what is ready when it starts",
    "sequential": "sequential: layer after layer on one observation",
}


def row_name(row: str) -> str:
    """A row's name for people."""
    return _ROWS.get(row, row)


def execution(drawn: Picture) -> str:
    """How layers are executed, and how long each takes."""
    how = _HOW[drawn.execution]
    return f"{how} · δ = {_counted(float(drawn.delta), 'environment step')} a layer" if drawn.delta else how


def path(of: Path) -> str:
    """'2 steps old, through 1 or 2 layers'."""
    *others, most = of.layers
    through = " or ".join([*filter(None, [", ".join(map(str, others))]), str(most)])
    return f"{_counted(of.age_steps, 'step')} old, through {through} layer{'s' * (most != 1)}"


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'s' * (number != 1)}"


def ages(bar: list[Applied], room: float) -> list[str]:
    """The ages behind every step of a bar: all, newest and oldest, or the newest, as `room` characters a step allow."""
    for form in (_every, _ends, _newest):
        told = [form(each.ages_steps) if each.ages_steps else "–" for each in bar]
        if all(len(each) <= room for each in told):
            return told
    return [""] * len(bar)


def _every(of: tuple[int, ...]) -> str:
    return "·".join(map(str, of))


def _ends(of: tuple[int, ...]) -> str:
    return f"{of[0]}–{of[-1]}" if len(of) > 1 else str(of[0])


def _newest(of: tuple[int, ...]) -> str:
    return str(of[0])


def held(applied: tuple[Applied, ...]) -> list[list[Applied]]:
    """Steps grouped by the action they use, those before the first action in front."""
    groups: list[list[Applied]] = []
    for each in applied:
        if each.fresh or not groups:
            groups.append([])
        groups[-1].append(each)
    return groups


def stride(per_step: float, room: float) -> int:
    """Every how many steps there is room for a number: 1, 2, 5, 10, …"""
    scale = 1
    while True:
        for factor in (1, 2, 5):
            if scale * factor * per_step >= room:
                return scale * factor
        scale *= 10
