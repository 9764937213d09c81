"""What the worlds of a run achieved, as further numbers of its row; and which saved states a machine has.

What a world counts is in every row (`progress`, `non_idle_actions`, `rtbench/total_…`, `rtbench/eval_…`). Beside these
are `gameboy/train_progress_at_P`, how much progress there was at P per cent of a training that is one episode, and
under one name for those who train and those who do not `gameboy/episode_return` and `gameboy/progress`: in training, or
of an evaluation's episode where nothing is trained.
"""

from __future__ import annotations

from typing import Any

from rtbench.hookspecs import hookimpl

_seeds: dict[str, int] = {}


@hookimpl
def rtbench_run_started(run_id: str, seed: int) -> None:
    """A run of this process, whose worlds are known by the seeds that follow from its own."""
    _seeds[run_id] = seed


@hookimpl
def rtbench_columns(run_id: str, cell: dict[str, Any], outcome: dict[str, Any]) -> dict[str, float]:
    """What its worlds counted; nothing for another environment, or a run that is not over."""
    if not str(cell["environment"]["name"]).startswith("gameboy/") or not outcome or run_id not in _seeds:
        return {}
    from rtbench_gameboy.achievements import achievements

    return achievements(_seeds[run_id], outcome)


@hookimpl
def rtbench_fingerprint() -> dict[str, str]:
    """A digest of the saved states of every kind that was imported: results on them depend on it."""
    from rtbench_gameboy.importing import states_digests

    return states_digests()


@hookimpl
def rtbench_report_section(suite: str, rows: list[dict[str, Any]]) -> str | None:
    """Progress against time, where training is one long episode."""
    from rtbench_gameboy.achievements import told

    return told(rows)
