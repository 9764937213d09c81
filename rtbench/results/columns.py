"""The columns of a row: name, type, group, unit, meaning. The one table from which schema and validation follow.

Additive only: a column may be added at the end of its group and is null in older rows; none is renamed or removed
without a migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "int", "float", "bool", "ints", "floats", "map"]
Status = Literal["ok", "failed", "timeout", "unsupported", "interrupted"]
STATUSES = ("ok", "failed", "timeout", "unsupported", "interrupted")
FINAL_STATUSES = ("ok", "failed", "timeout", "unsupported")
"""Statuses of a run that is over; an interrupted one goes on."""
PART_AXES = ("environment", "architecture", "scheduler", "default_policy", "learner", "backend")


@dataclass(frozen=True)
class Column:
    """One column; `outcome` columns are the ones that two exact runs must have equal."""

    name: str
    type: Type
    group: str
    doc: str
    unit: str = ""
    required: bool = False
    outcome: bool = False


def _group(group: str, *columns: tuple[str, Type, str, str], required: bool = False) -> tuple[Column, ...]:
    """Columns of a group from (name, type, unit, meaning); a name that ends in ! is an outcome column."""
    return tuple(
        Column(name.rstrip("!"), type_, group, doc, unit, required, name.endswith("!"))
        for name, type_, unit, doc in columns
    )


def _part(axis: str) -> tuple[Column, ...]:
    return _group(
        "parts",
        (f"{axis}_name", "string", "", f"registered name of the {axis.replace('_', ' ')}"),
        (f"{axis}_label", "string", "", "label in the suite that ran it, or empty; no part of identity"),
        (f"{axis}_revision", "int", "", "revision of the part"),
        (f"{axis}_distribution", "string", "", "distribution that offers it"),
        (f"{axis}_version", "string", "", "version of that distribution"),
        (f"{axis}_source_digest", "string", "", "digest of the part's module"),
        (f"{axis}_params_json", "string", "", "coerced parameters, canonical JSON"),
        required=True,
    )


COLUMNS: tuple[Column, ...] = (
    *_group(
        "identity",
        ("schema_version", "int", "", "version of this schema"),
        ("id_version", "int", "", "version of the rules of identity"),
        ("run_id", "string", "", "SHA-256 of all that changes the result"),
        ("cell_id", "string", "", "the same without the seed"),
        ("suite", "string", "", "suite that started the run"),
        ("suite_revision", "int", "", "revision of that suite"),
        ("seed", "int", "", "seed of the run"),
        ("attempt", "int", "", "attempts are counted from 1"),
        required=True,
    ),
    *(column for axis in PART_AXES for column in _part(axis)),
    *_group(
        "cell",
        ("interaction_json", "string", "", "the whole interaction, canonical JSON"),
        ("budget_json", "string", "", "the whole budget, canonical JSON"),
        ("precision", "string", "", "number format of training"),
        required=True,
    ),
    *_group("outcome", ("status!", "string", "", "ok, failed, timeout, unsupported, interrupted"), required=True),
    *_group(
        "outcome",
        ("reason", "string", "", "why the status is not ok"),
        ("error_type", "string", "", "class of the exception"),
    ),
    *_group(
        "scores",
        ("eval_return_final!", "float", "return", "mean return of the final evaluation"),
        ("eval_return_auc!", "float", "return", "mean of the evaluation curve over the budget"),
        ("eval_step!", "ints", "budget units", "when evaluations were made"),
        ("eval_return!", "floats", "return", "mean return of each evaluation"),
        ("episodes!", "int", "episodes", "training episodes finished"),
        ("episode_length!", "float", "env steps", "mean length of training episodes"),
        ("train_return_mean!", "float", "return", "mean return of training episodes"),
        ("progress!", "int", "", "encounters done, where the environment counts them"),
        ("non_idle_actions!", "int", "actions", "actions that do something"),
        ("eval_return_per_s!", "float", "return/s", "return of the final evaluation per second of environment time"),
        ("eval_length_final!", "float", "env steps", "mean length of the final evaluation's episodes"),
    ),
    *_group(
        "real time",
        ("clock", "string", "", "virtual or wall"),
        ("delta", "float", "env steps", "time of one layer"),
        ("tick_steps!", "float", "env steps", "mean length of a tick"),
        ("observation_age_p50_steps!", "float", "env steps", "age of the newest observation an action used"),
        ("observation_age_p95_steps!", "float", "env steps", "the same, 95th percentile"),
        ("observation_age_max_steps!", "float", "env steps", "the same, greatest"),
        ("oldest_age_p50_steps!", "float", "env steps", "age of the oldest observation an action used"),
        ("oldest_age_p95_steps!", "float", "env steps", "the same, 95th percentile"),
        ("oldest_age_max_steps!", "float", "env steps", "the same, greatest"),
        ("inaction_share!", "float", "", "share of steps after start-up on which β filled in"),
        ("overwritten_share!", "float", "", "share of actions replaced before they were applied"),
        ("action_interval_steps!", "float", "env steps", "mean time between new actions"),
        ("inference_time_p50_s", "float", "s", "time of one inference"),
        ("inference_time_p95_s", "float", "s", "the same, 95th percentile"),
        ("inference_time_p99_s", "float", "s", "the same, 99th percentile"),
        ("inference_time_max_s", "float", "s", "the same, greatest"),
        ("lateness_p99_s", "float", "s", "how late steps of a wall clock began"),
        ("constraint_violation", "string", "", "paths that pass more layers than L(s, a) ≤ ⌊k/δ⌋ allows, or empty"),
    ),
    *_group(
        "cost",
        ("env_steps!", "int", "env steps", "environment steps of training"),
        ("ticks!", "int", "ticks", "ticks of training"),
        ("updates!", "int", "updates", "critic updates"),
        ("wall_s", "float", "s", "time the run took, over all continuations"),
        ("steps_per_s", "float", "env steps/s", "training speed with updates"),
        ("peak_memory_bytes", "int", "bytes", "greatest resident memory of the process"),
        ("batch_runs", "int", "runs", "runs trained in one program with this one"),
        ("parameters", "int", "", "parameters of the policy"),
        ("flops", "int", "FLOP", "operations of one pass through the policy's layers"),
    ),
    *_group(
        "machine",
        ("machine_class", "string", "", "what must be equal for results to be exactly equal"),
        ("cpu", "string", "", "processor"),
        ("gpu", "string", "", "accelerator, or empty"),
        ("driver", "string", "", "its driver"),
        ("os", "string", "", "operating system"),
        ("kernel", "string", "", "its kernel"),
        ("python", "string", "", "version"),
        ("torch", "string", "", "version"),
        ("packages_digest", "string", "", "digest of all installed distributions"),
        ("threads", "int", "threads", "threads of arithmetic per run"),
        ("deterministic", "bool", "", "deterministic algorithms were asked for"),
        ("machine_json", "string", "", "further facts from plugins, canonical JSON"),
    ),
    *_group(
        "provenance",
        ("rtbench_version", "string", "", "version"),
        ("git_commit", "string", "", "commit of the checkout, or empty"),
        ("dirty", "bool", "", "the checkout had uncommitted changes"),
        ("started_utc", "string", "", "start of the attempt, ISO 8601"),
    ),
    *_group("extras", ("extras", "map", "", "numbers of plugins by namespace/name")),
)
BY_NAME = {column.name: column for column in COLUMNS}
OUTCOME_COLUMNS = tuple(column.name for column in COLUMNS if column.outcome)
"""The columns that must be equal for two runs to be exactly equal."""
