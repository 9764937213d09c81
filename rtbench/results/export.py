"""Submissions as they are written: one immutable Parquet file each, its content's digest in its name.

Contributions only add files, so they never conflict. The digest is over canonical content and never over Parquet bytes.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.files import CannotWrite
from rtbench.results.columns import FINAL_STATUSES
from rtbench.results.plausible import implausible
from rtbench.results.rows import latest
from rtbench.results.schema import Row, arrow_schema, identity_problem, row_digest
from rtbench.results.store import FolderStore, KeyTaken
from rtbench.results.submissions import read_submission
from rtbench.suites.identity import digest

DIGEST_LETTERS = 12
UNREADABLE = ".unreadable"
"""What is added to the name of a damaged submission that is replaced."""


def final_rows(rows: Iterable[Row]) -> list[Row]:
    """The newest attempt of every run that is over, sorted by run_id."""
    newest = latest(rows)
    return [newest[run] for run in sorted(newest) if newest[run]["status"] in FINAL_STATUSES]


def export(rows: Iterable[Row], folder: Path | str, *, suite: str, allow_dirty: bool = False) -> Path:
    """Write the final rows among `rows` as one submission of `suite` into `folder`; the same rows give the same file.

    A damaged file of that name is kept under another name, which ends in `UNREADABLE`. Raises InvalidResults if there
    is nothing to export, if a row does not pass the checks of `check_submissions`, or if it comes from a checkout with
    uncommitted changes and `allow_dirty` is not set.
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
    path = Path(folder) / name
    store = FolderStore(folder, kind="submission")
    content = _parquet(chosen)
    try:
        store.write_new(name, content)
    except KeyTaken:  # the name is the content's digest: these rows are there already, if the file is whole
        if not _whole(path, name):
            _set_aside(path)
            store.write_new(name, content)
    return path


def _whole(path: Path, name: str) -> bool:
    try:
        return name.endswith(f"-{content_digest(read_submission(path))[:DIGEST_LETTERS]}.parquet")
    except InvalidResults:
        return False


def _set_aside(path: Path) -> None:
    """Give a damaged file another name, one that is free."""
    endings = itertools.chain([UNREADABLE], (f"{UNREADABLE}.{number}" for number in itertools.count(2)))
    names = (Path(f"{path}{ending}") for ending in endings)
    try:
        path.rename(next(name for name in names if not name.exists()))
    except OSError as error:
        raise CannotWrite(error, path) from error


def content_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of rows in the order of run and attempt; columns without a value do not count."""
    given = list(rows)
    return digest_of(given, [row_digest(row) for row in given])


def digest_of(rows: Sequence[Mapping[str, Any]], digests: Sequence[str]) -> str:
    """The same from the digests of the rows."""
    keys = [(row["run_id"], row["attempt"], row["machine_class"] or "") for row in rows]
    return digest([digests[index] for index in sorted(range(len(keys)), key=keys.__getitem__)])


def _parquet(rows: list[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [{**row, "extras": list(row["extras"].items())} for row in rows]
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(records, schema=arrow_schema())
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()
