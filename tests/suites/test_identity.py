"""What names a run, and what does not."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
from helpers.samples import hand_cell
from hypothesis import given
from hypothesis import strategies as st

from rtbench.parts import PartUse
from rtbench.plugins import use
from rtbench.suites.identity import cell_id, digest, run_id, run_id_of, run_ids

GOLDEN = "d3f4b5927a45275d44d272819618051a6a9384042d75a9063865b9482fb7273e"


def test_the_golden_run_keeps_its_name() -> None:
    """If this fails the rules of identity changed: raise ID_VERSION and say so in the changelog."""
    assert run_id(hand_cell(), 3) == GOLDEN


def test_equal_numbers_name_the_same_run() -> None:
    cell = hand_cell()
    same = dataclasses.replace(cell, interaction=dataclasses.replace(cell.interaction, delta=1))
    assert run_id(cell, 0) == run_id(same, 0)
    assert digest({"a": 1.0, "b": [2.0, -0.0]}) == digest({"b": [2, 0], "a": 1})


def test_labels_do_not_count() -> None:
    cell = hand_cell()
    renamed = dataclasses.replace(cell, architecture=dataclasses.replace(cell.architecture, label="another"))
    assert run_id(cell, 0) == run_id(renamed, 0)


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(hand_cell(), architecture=PartUse("architectures", "x/net", 2, {"layers": 3})),
        hand_cell(layers=4),
        hand_cell(environment="B-v0"),
        hand_cell(delta=2.0),
        hand_cell(steps=2000),
    ],
)
def test_whatever_changes_a_result_counts(changed: object) -> None:
    assert run_id(changed, 0) != run_id(hand_cell(), 0)  # type: ignore[arg-type]
    assert cell_id(changed) != cell_id(hand_cell())  # type: ignore[arg-type]


def test_seeds_name_different_runs_of_one_cell() -> None:
    cell = hand_cell()
    names = run_ids(cell, (0, 1, 2))
    assert len(set(names)) == 3
    assert names == tuple(run_id(cell, seed) for seed in (0, 1, 2))


def test_identity_survives_json() -> None:
    cell = hand_cell()
    assert run_id_of(json.loads(json.dumps(cell.data())), 5) == run_id(cell, 5)


@given(
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
    )
)
def test_digest_is_sha256_of_sorted_compact_json(data: dict[str, object]) -> None:
    plain = {
        key: int(value) if isinstance(value, float) and value == int(value) else value for key, value in data.items()
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert digest(data) == hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_nan_has_no_identity() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        digest({"a": float("nan")})


def test_a_parameter_added_later_changes_no_identity_at_its_default():
    """mlp got `dropout` after results were published: they keep their names."""
    plain = use("architectures", "mlp", {"layers": 3})
    assert "dropout" not in plain.params
    assert use("architectures", "mlp", {"layers": 3, "dropout": 0}).data() == plain.data()
    assert use("architectures", "mlp", {"layers": 3, "dropout": 0.1}).params["dropout"] == 0.1
