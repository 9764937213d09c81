"""Writing the rows of a job's attempts, and reading which attempt of a run comes next."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rtbench.executors.hooks import Hooks
from rtbench.executors.jobs import Job
from rtbench.executors.leases import Held
from rtbench.parts import canonical_json
from rtbench.results.rows import RowStore
from rtbench.results.schema import Row
from rtbench.results.store import KeyTaken

DIVERGED = "training diverged: a score is not a finite number"
NO_ROOM = 74
"""Exit code of a worker whose rows themselves could not be written."""
PROCESS_DIED = "ProcessDied"
"""The error type of rows that are written for a process that could not write them."""


class Recorder:
    """Writes rows of one job, each only while its run's lease is held."""

    def __init__(self, rows: RowStore, job: Job, leases: Sequence[Held], hooks: Hooks) -> None:
        self._rows, self._job, self._leases, self._hooks = rows, job, leases, hooks
        self._started_utc = datetime.now(UTC).isoformat(timespec="seconds")

    def write(self, index: int, columns: dict[str, Any], own: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Commit a run's row; what the `finished` event says of it. Lost if another runner has the run now.

        `own` are the learner's extra numbers, beside those of plugins.
        """
        from rtbench.backends.machine import fingerprint
        from rtbench.executors.provenance import provenance
        from rtbench.results.schema import new_row

        job, run_id, hooks = self._job, self._job.run_ids[index], self._hooks
        extras: dict[str, float] = dict(own or {})
        for given in hooks.call(hooks.hook.rtbench_columns, run_id=run_id, cell=job.cell.data(), outcome=dict(columns)):
            extras |= given or {}
        machine: dict[str, Any] = fingerprint(job.threads)
        facts: dict[str, str] = {}
        for given in hooks.call(hooks.hook.rtbench_fingerprint):
            facts |= given or {}
        if facts:
            machine["machine_json"] = canonical_json(facts)
        row = new_row(
            job.cell,
            job.seeds[index],
            suite=job.suite,
            suite_revision=job.suite_revision,
            attempt=job.attempts[index],
            outcome=columns,
            machine=machine,
            provenance=provenance(self._started_utc),
            extras=extras,
        )
        self._leases[index].check()
        row = commit(self._rows, row)
        hooks.call(hooks.hook.rtbench_run_finished, run_id=run_id, row=row)
        return told(row)


def told(row: Row) -> dict[str, Any]:
    """What a `finished` event says of a row."""
    return {"status": row["status"], "reason": row["reason"] or "", "eval_return_final": row["eval_return_final"]}


def commit(rows: RowStore, row: dict[str, Any]) -> dict[str, Any]:
    """Write an attempt's row; the row that stands.

    Where another runner has written this attempt meanwhile, a finished result of its stands; anything else (it was
    interrupted, it failed) is followed by this row as the next attempt, so that no result is lost.
    """
    while True:
        try:
            rows.write(row)
        except KeyTaken:
            known = _settled(rows, row["run_id"], row["attempt"])
            if known is not None and known["status"] == "ok":
                return known
            row = {**row, "attempt": row["attempt"] + 1}
        else:
            return row


def _settled(rows: RowStore, run_id: str, attempt: int) -> Row | None:
    """The row under a name that is taken; where links do not exist, the name is there a moment before its content."""
    for pause_s in (0.0, 0.1, 0.5, 1.0):
        time.sleep(pause_s)
        if (row := rows.attempt(run_id, attempt)) is not None:
            return row
    return None


def standing(rows: RowStore, run_id: str, first: int, retries: int) -> Row | int:
    """The row that settles a run, or the attempt to be made: `first`, unless runners have made attempts since.

    All runners together try a run that fails `retries` times more, each attempt under the next free number.
    """
    attempt, failures = first, 0
    while (found := rows.look(run_id, attempt))[0]:
        row = found[1]
        if row is not None:  # a damaged one counts as nothing but its number
            failures += row["status"] == "failed"
            if row["status"] in ("ok", "timeout") or failures > retries:
                return row
        attempt += 1
    return attempt
