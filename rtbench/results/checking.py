"""What is wrong with a folder of submissions: schema, digests, identities, duplicates, values, size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.results.columns import FINAL_STATUSES
from rtbench.results.export import DIGEST_LETTERS, digest_of
from rtbench.results.plausible import implausible
from rtbench.results.schema import identity_problem, row_digest
from rtbench.results.submissions import read_submission, submission_files

LARGEST_BYTES = 16 * 2**20
"""A submission beyond this does not belong into a repository that everybody clones; 100 runs take about 50 kB."""


@dataclass(frozen=True)
class Checked:
    """The rows of a folder of submissions, in the order of file names, and what is wrong with them, one line each."""

    rows: list[Mapping[str, Any]]
    problems: list[str]


def check_submissions(folder: Path | str) -> Checked:
    """Read and check every submission: schema and types, the digest in the name, identities, doubles, values, size.

    Identities are run_id and cell_id, recomputed from the stored parts and seed. Rows of files that cannot be read are
    not there.
    """
    every: list[Mapping[str, Any]] = []
    problems: list[str] = []
    seen: dict[str, str] = {}
    for path in submission_files(folder):
        if path.is_file() and path.stat().st_size > LARGEST_BYTES:
            problems.append(
                f"{path.name}: {path.stat().st_size:,} bytes, more than {LARGEST_BYTES:,} (export fewer runs)"
            )
            continue
        try:
            rows = read_submission(path)
        except InvalidResults as error:
            where = f" ({error.place})" if error.place != str(path) else ""
            problems.append(f"{path.name}: {error.message}{where}")
            continue
        every += rows
        digests = [row_digest(row) for row in rows]
        if not path.stem.endswith(f"-{digest_of(rows, digests)[:DIGEST_LETTERS]}"):
            problems.append(f"{path.name}: the digest in the name is not that of the content")
        for row, told in zip(rows, digests, strict=True):
            problems += [f"{path.name}: run {row['run_id'][:12]}: {line}" for line in _row_problems(row)]
            twin = seen.setdefault(told, path.name)
            if twin != path.name:
                problems.append(f"{path.name}: run {row['run_id'][:12]} is also in {twin}")
        problems += _twice(rows, path.name)
    return Checked(every, problems)


def _row_problems(row: Mapping[str, Any]) -> list[str]:
    found = [identity_problem(row), implausible(row)]
    if row["status"] not in FINAL_STATUSES:
        found.append(f"status {row['status']!r} is not final")
    return [line for line in found if line]


def _twice(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    runs = Counter(row["run_id"] for row in rows)
    return [f"{name}: run {run[:12]} is there twice" for run in sorted(runs) if runs[run] > 1]
