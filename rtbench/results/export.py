"""Submissions: rows given to everyone, one immutable Parquet file each, its content's digest in its name.

Contributions only add files, so they never conflict. The digest is over canonical content and never over Parquet bytes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtbench.errors import InvalidResults
from rtbench.results.columns import FINAL_STATUSES
from rtbench.results.plausible import implausible
from rtbench.results.rows import latest
from rtbench.results.schema import Row, arrow_schema, identity_problem, normal_row, row_digest
from rtbench.results.store import FolderStore, KeyTaken
from rtbench.suites.identity import digest

if TYPE_CHECKING:
    import pyarrow as pa

DIGEST_LETTERS = 12


def final_rows(rows: Iterable[Row]) -> list[Row]:
    """The newest attempt of every run that is over, sorted by run_id."""
    newest = latest(list(rows))
    return [newest[run] for run in sorted(newest) if newest[run]["status"] in FINAL_STATUSES]


def export(rows: Iterable[Row], folder: Path | str, *, suite: str, allow_dirty: bool = False) -> Path:
    """Write the final rows among `rows` as one submission of `suite` into `folder`; the same rows give the same file.

    Raises InvalidResults if there is nothing to export, if a row does not pass the checks of `check_submissions`, or if
    it comes from a checkout with uncommitted changes and `allow_dirty` is not set.
    """
    chosen = final_rows(rows)
    if not chosen:
        raise InvalidResults(f"suite {suite!r} has no finished run to export", hint=f"rtbench run {suite}")
    for row in chosen:
        problem = identity_problem(row) or implausible(row)
        if problem:
            raise InvalidResults(problem, place=f"run {row['run_id'][:12]}")
    dirty = [row["run_id"][:12] for row in chosen if row["dirty"] is not False]
    if dirty and not allow_dirty:
        raise InvalidResults(
            f"{len(dirty)} of {len(chosen)} rows were made from a checkout with uncommitted (or unknown) changes",
            place=", ".join(dirty[:3]) + (" …" if len(dirty) > 3 else ""),
            hint="commit and run them again (--rerun all), or export with --allow-dirty",
        )
    name = f"{suite.replace('/', '--')}-{content_digest(chosen)[:DIGEST_LETTERS]}.parquet"
    with contextlib.suppress(KeyTaken):  # the name is the content's digest: these rows are there already
        FolderStore(folder, kind="submission").write_new(name, _parquet(chosen))
    return Path(folder) / name


def content_digest(rows: Iterable[Row]) -> str:
    """SHA-256 of rows in the order of run and attempt; columns without a value do not count."""
    ordered = sorted(rows, key=lambda row: (row["run_id"], row["attempt"], row["machine_class"] or ""))
    return digest([row_digest(row) for row in ordered])


def _parquet(rows: list[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [{**row, "extras": list(row["extras"].items())} for row in rows]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, schema=arrow_schema()), buffer, compression="zstd")
    return buffer.getvalue()


def submission_files(folder: Path | str) -> list[Path]:
    """The submissions of a folder in the order of their names; none if the folder is not there."""
    return sorted(Path(folder).glob("*.parquet"))


def read_submission(path: Path) -> list[Row]:
    """The rows of one submission; columns that it lacks because it is older are None.

    Raises InvalidResults if it cannot be read, has a column that the schema lacks, or one of another type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidResults(f"the submission cannot be read: {error}", place=str(path)) from None
    _check_schema(table.schema, path)
    return [normal_row(record, place=f"{path}, row {number}") for number, record in enumerate(table.to_pylist())]


def _check_schema(found: pa.Schema, path: Path) -> None:
    import pyarrow as pa

    wanted = arrow_schema()
    for field in found:
        index = wanted.get_field_index(field.name)
        if index < 0:
            raise InvalidResults(
                f"unknown column {field.name!r}", place=str(path), given=field.name, hint="it may need a newer rtbench"
            )
        # Parquet names the inside of lists its own way; what is in them counts.
        expected = wanted.field(index).type
        same = field.type.equals(expected) or (
            pa.types.is_list(field.type) and pa.types.is_list(expected) and field.type.value_type == expected.value_type
        )
        if not same:
            raise InvalidResults(
                f"column {field.name!r} has type {field.type}, the schema says {expected}", place=str(path)
            )


def read_submissions(folder: Path | str) -> list[Row]:
    """The rows of all submissions, in the order of file names."""
    return [row for path in submission_files(folder) for row in read_submission(path)]


def check_submissions(folder: Path | str) -> list[str]:
    """What is wrong with a folder of submissions, one line each; empty if all is well.

    Checks schema and types, the digest in the name, run_id and cell_id recomputed from the stored parts and seed, the
    same row twice, and values that cannot be.
    """
    problems: list[str] = []
    seen: dict[str, str] = {}
    for path in submission_files(folder):
        try:
            rows = read_submission(path)
        except InvalidResults as error:
            problems.append(f"{path.name}: {error.message}" + (f" ({error.place})" if error.place else ""))
            continue
        if not path.stem.endswith(f"-{content_digest(rows)[:DIGEST_LETTERS]}"):
            problems.append(f"{path.name}: the digest in the name is not that of the content")
        for row in rows:
            problems += [f"{path.name}: run {row['run_id'][:12]}: {line}" for line in _row_problems(row)]
            twin = seen.setdefault(row_digest(row), path.name)
            if twin != path.name:
                problems.append(f"{path.name}: run {row['run_id'][:12]} is also in {twin}")
        problems += _twice(rows, path.name)
    return problems


def _row_problems(row: Mapping[str, Any]) -> list[str]:
    found = [identity_problem(row), implausible(row)]
    if row["status"] not in FINAL_STATUSES:
        found.append(f"status {row['status']!r} is not final")
    return [line for line in found if line]


def _twice(rows: list[Row], name: str) -> list[str]:
    runs = [row["run_id"] for row in rows]
    return [f"{name}: run {run[:12]} is there twice" for run in sorted({run for run in runs if runs.count(run) > 1})]
