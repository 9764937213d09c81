"""The command that computes one run again, from the suite file alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rtbench.errors import RtbenchError
from rtbench.suites.expand import SuiteCell
from rtbench.suites.match import View, holds, view
from rtbench.suites.model import PAPER, Suite, find_suite

_PREFERRED = (
    *("environment.id", "environment.label", "architecture.label", "interaction.execution", "interaction.delta"),
    *("interaction.scheduler_label", "interaction.processes", "interaction.latency_s", "learner.label"),
)
"""What a reader understands at a glance comes first."""


def suite_argument(suite: Suite) -> str:
    """What names the suite on a command line: its registered name, or its file's."""
    try:
        known = find_suite(suite.name).resolve() == suite.path.resolve()
    except RtbenchError:
        known = False
    return suite.name if known else suite.path.name


def conditions(cell: SuiteCell, cells: Sequence[SuiteCell]) -> list[str] | None:
    """`--only` conditions that fit this cell and no other of `cells`; None if no such tell them apart."""
    mine, views = view(cell.cell), [view(each.cell) for each in cells]
    match: dict[str, dict[str, Any]] = {}
    out: list[str] = []
    left = len(views)
    for axis, key in _keys(mine):
        if left == 1:
            break
        value = mine[axis][key]
        if isinstance(value, list | tuple | dict):
            continue
        trial = {**match, axis: {**match.get(axis, {}), key: value}}
        fits = sum(holds(trial, seen) for seen in views)
        if fits < left:
            match, left = trial, fits
            out.append(f"{axis}.{key}={_written(value)}")
    return out if left == 1 else None


def _keys(mine: View) -> Iterator[tuple[str, str]]:
    every = [(axis, key) for axis, keys in mine.items() for key in keys]
    named = [(axis, key) for axis, _, key in (name.partition(".") for name in _PREFERRED) if key in mine[axis]]
    yield from dict.fromkeys((*named, *every))


def _written(value: Any) -> str:
    """A value as `--only` reads it: JSON, or a text that is no JSON."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value, ensure_ascii=False)


def run_command(suite: Suite, cell: SuiteCell, cells: Sequence[SuiteCell], seeds: Sequence[int]) -> str | None:
    """`rtbench run` of these seeds of one cell of the suite's profile; None if it cannot be singled out.

    `cells` are all of the profile, as `rtbench.suites.expand.expand` gives them.
    """
    only = conditions(cell, cells)
    if only is None:
        return None
    words = ["rtbench", "run", suite_argument(suite)]
    words += ["--profile", suite.profile] if suite.profile != PAPER else []
    for condition in only:
        words += ["--only", condition]
    return shlex.join([*words, "--seeds", ",".join(map(str, seeds)), "--rerun", "all"])


def origin(row: Mapping[str, Any]) -> list[str]:
    """What comes before it: the code as it was, and its packages; nothing where no commit is known."""
    if not row["git_commit"]:
        return []
    return [f"git checkout {row['git_commit']}", "pip install -c constraints.txt -e '.[all]'"]
