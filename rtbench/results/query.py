"""All rows in reach as one table: for pandas, for SQL.

Rows of the local state and of submissions together, each once. Two views of them: `rows` is everything, every attempt;
`runs` is one row per run, the one that reports and leaderboards take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import RtbenchError, SuiteError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

STATE, RESULTS = ".rtbench", "results"
FOUND_IN = "found_in"
"""The column beside a row's own: `state`, or the submission's file name."""
PARAMETERS = ("environment", "architecture", "scheduler", "default_policy", "learner", "backend")
VIEWS = ("runs", "rows", "leaderboards")


@dataclass(frozen=True)
class Gathered:
    """Rows, where each was found, and a line for each file that holds none that can be read."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    found_in: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def gather(state: str | Path = STATE, results: str | Path = RESULTS, *, every: bool = False) -> Gathered:
    """Rows of submissions and of the local state, equal ones once; one per run, or with `every` all attempts.

    Neither place needs to be there. Files that cannot be read are named in `problems` and passed over.
    """
    from rtbench.results.groups import choose
    from rtbench.results.schema import row_digest

    problems: list[str] = []
    known: dict[str, tuple[Mapping[str, Any], str]] = {}
    for row, place in _all(state, Path(results), problems):
        known.setdefault(row_digest(row), (row, place))
    kept = list(known.values())
    if not every:
        places = {id(row): place for row, place in kept}
        kept = [(row, places[id(row)]) for row in choose(row for row, _ in kept)]
    kept.sort(key=lambda found: (found[0]["suite"], found[0]["run_id"], found[0]["attempt"], found[1]))
    return Gathered([row for row, _ in kept], [place for _, place in kept], problems)


def _all(state: str | Path, results: Path, problems: list[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    from rtbench.results.places import open_store, state_from
    from rtbench.results.rows import RowStore
    from rtbench.results.submissions import readable_submissions, submission_files

    folder = results / "submissions"
    for path in submission_files(folder):
        for row in readable_submissions(folder, problems) if False else _readable(path, problems):
            yield row, path.name
    unread: list[str] = []
    for row in RowStore(open_store(state_from(state))).stream(unread):
        yield row, "state"
    problems += [f"{state}/{problem}" for problem in unread]
