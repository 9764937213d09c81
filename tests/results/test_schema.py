"""Rows: the golden schema, conversion, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.samples import hand_cell, hand_row

from rtbench.errors import InvalidResults
from rtbench.results.columns import COLUMNS, OUTCOME_COLUMNS
from rtbench.results.schema import (
    SCHEMA_VERSION,
    arrow_schema,
    cell_data,
    identity_problem,
    new_row,
    normal_row,
    outcome_difference,
    row_digest,
)
from rtbench.suites.identity import run_id

GOLDEN = Path(__file__).parent / "schema_golden.json"


def test_columns_are_only_ever_added() -> None:
    """The golden file holds every column ever released, with its type; adding one means adding it there."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["schema_version"] == SCHEMA_VERSION
    assert golden["columns"] == {field.name: str(field.type) for field in arrow_schema()}
    assert golden["outcome"] == list(OUTCOME_COLUMNS)


def test_every_column_is_documented_once() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert all(column.doc for column in COLUMNS)


def test_times_and_dates_are_no_outcome() -> None:
    named = ("wall_s", "steps_per_s", "started_utc", "peak_memory_bytes", "machine_class", "suite", "attempt")
    assert not set(named) & set(OUTCOME_COLUMNS)
    assert {"status", "eval_return", "eval_return_final", "observation_age_p50_steps", "env_steps"} <= set(
        OUTCOME_COLUMNS
    )


def test_a_new_row_holds_the_cell_and_its_identity() -> None:
    cell = hand_cell(delta=2.0)
    row = hand_row(cell, 4)
    assert set(row) == {column.name for column in COLUMNS}
    assert row["run_id"] == run_id(cell, 4)
    assert (row["architecture_name"], row["architecture_label"], row["scheduler_name"]) == (
        "x/net",
        "net",
        "one-process",
    )
    assert (row["delta"], row["clock"], row["architecture_params_json"]) == (2.0, "virtual", '{"layers":3}')
    assert cell_data(row) == cell.data()
    assert identity_problem(row) is None


def test_core_parts_name_their_distribution() -> None:
    row = hand_row()
    assert (row["scheduler_distribution"], row["architecture_distribution"]) == ("rtbench", "")
    assert len(row["scheduler_source_digest"]) == 16


@pytest.mark.parametrize(
    ("column", "value"),
    [("seed", 9), ("delta", 3.0), ("scheduler_name", "other"), ("architecture_params_json", '{"layers":4}'),
     ("environment_revision", 2), ("budget_json", "{"), ("cell_id", "0" * 64)],
)  # fmt: skip
def test_a_row_that_was_tampered_with_does_not_have_its_identity(column: str, value: object) -> None:
    assert identity_problem({**hand_row(), column: value})


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("seed", "1", "must be an integer"),
        ("seed", True, "must be an integer"),
        ("eval_return_final", float("nan"), "finite"),
        ("eval_return", [1.0, None], "without gaps"),
        ("eval_return", [1.0, "x"], "a number"),
        ("dirty", 1, "true or false"),
        ("status", "done", "unknown status"),
        ("run_id", None, "missing"),
        ("attempt", 0, "from 1"),
        ("schema_version", 99, "newer"),
        ("extras", {"a/b": "c"}, "must be a number"),
    ],
)
def test_values_that_do_not_fit_are_named(column: str, value: object, says: str) -> None:
    with pytest.raises(InvalidResults, match=says) as caught:
        normal_row({**hand_row(), column: value}, place="here")
    assert caught.value.exit_code == 5
    assert caught.value.place == "here"


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(InvalidResults) as caught:
        normal_row({**hand_row(), "evl_return": []})
    assert caught.value.nearest == "eval_return"
    with pytest.raises(InvalidResults) as wrong:
        new_row(hand_cell(), 0, suite="s", suite_revision=1, attempt=1, outcome={"wall": 1}, machine={}, provenance={})
    assert wrong.value.given == "wall"


def test_numpy_numbers_become_plain_ones() -> None:
    row = normal_row(
        {**hand_row(), "ticks": np.int64(5), "eval_return_auc": np.float32(0.5), "eval_step": (np.int32(1),)}
    )
    assert (row["ticks"], row["eval_return_auc"], row["eval_step"]) == (5, 0.5, [1])
    assert [type(row["ticks"]), type(row["eval_return_auc"]), type(row["eval_step"][0])] == [int, float, int]
    json.dumps(row)


def test_exactness_compares_outcomes_only() -> None:
    one = hand_row()
    assert outcome_difference(one, {**one, "wall_s": 5.0, "started_utc": "2030-01-01", "attempt": 3}) == []
    assert outcome_difference(one, {**one, "ticks": 7, "eval_return": [1.0]}) == ["eval_return", "ticks"]


def test_a_column_without_a_value_changes_no_digest() -> None:
    row = hand_row()
    older = {name: value for name, value in row.items() if name not in ("gpu", "extras", "lateness_p99_s")}
    assert row_digest(row) == row_digest(older) == row_digest(normal_row(older))
    assert row_digest(row) != row_digest({**row, "gpu": "one"})


def test_a_digest_is_that_of_the_canonical_content() -> None:
    """Written again from the rule: values that are there, keys sorted, no spaces, whole floats as integers."""
    row = hand_row(eval_return=[1.0, 2.5, -0.0], eval_step=[1, 2, 3], extras={"a/b": 3.0}, wall_s=7.0, dirty=False)
    whole = {
        **{name: value for name, value in row.items() if value is not None},
        **{name: int(row[name]) for name in ("delta", "wall_s", "observation_age_p50_steps", "oldest_age_p50_steps")},
        **{name: int(row[name]) for name in ("eval_return_final", "eval_return_auc", "inaction_share")},
        **{"eval_return": [1, 2.5, 0], "extras": {"a/b": 3}},
    }
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row_digest(row) == hashlib.sha256(text.encode()).hexdigest()


def test_identities_are_told_apart_within_a_cell_and_between_cells() -> None:
    """What is remembered of a cell is that cell's only."""
    cells = [hand_cell(delta=delta, environment=name) for delta in (1.0, 2.0) for name in ("A-v0", "B-v0")]
    rows = [hand_row(cell, seed) for seed in range(3) for cell in cells]
    assert [identity_problem(row) for row in rows] == [None] * len(rows)
    mixed = [{**row, "interaction_json": rows[(index + 2) % 4]["interaction_json"]} for index, row in enumerate(rows)]
    assert all(identity_problem(row) for row in mixed)
