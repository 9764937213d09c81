"""Reading suite files: what is right is read, what is wrong is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.samples import write_suite

from rtbench.cell import Budget
from rtbench.errors import SuiteError
from rtbench.suites.document import json_schema
from rtbench.suites.model import load_suite
from rtbench.suites.places import key_path, line_of
from rtbench.suites.shipped import FOLDERS, locate


def test_profiles_override_budget_and_seeds(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    paper, short, smoke = (load_suite(path, name) for name in ("paper", "short", "smoke"))
    assert paper.budget == Budget(1000, "ticks", 500, 2, 4)
    assert (paper.seeds, paper.wall_limit_s, paper.retries) == ((0, 1, 2), 3600.0, 1)
    assert (short.budget.steps, short.budget.eval_every, short.seeds) == (500, 500, (0, 1))
    assert (smoke.seeds, smoke.override) == ((7,), {"learner": {"random_ticks": 5}})
    assert paper.profiles == ("paper", "short", "smoke")


def test_published_rows_are_split_from_ignored_ones(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path))
    assert [row.key for row in suite.published] == [("A-v0", "base", 0.0), ("A-v0", "net", 1.0)]
    assert suite.published[0].spread == 5.0
    assert suite.published[1].spread is None
    assert [(row.method, why) for row, why in suite.ignored] == [("other", "not ours")]


@pytest.mark.parametrize(
    ("old", "new", "says", "where", "nearest"),
    [
        ("steps = 1_000", "stepps = 1_000", "unknown key 'stepps'", "line 10, key budget.stepps", "steps"),
        ('unit = "ticks"', 'unit = "tick"', "'unit' cannot be 'tick'", "line 11, key budget.unit", "ticks"),
        ("count = 3", 'count = "3"', "valid integer", "line 29, key seeds.count", ""),
        ("count = 3", "count = 0", "greater than 0", "line 29, key seeds.count", ""),
        ('title = "A tiny suite"\n', "", "missing key 'title'", "line 3, key suite", ""),
        ("delta = 2.0", "dleta = 2.0", "unknown key 'dleta'", "line 39, key axes.interaction[1].dleta", "delta"),
        ("delta = 2.0", "delta = -2.0", "greater than or equal to 0", "line 39", ""),
        ('wall_limit = "1h"', 'wall_limit = "1 fortnight"', "not a duration", "line 15, key budget.wall_limit", ""),
        ("eval_every = 500", "eval_every = 5000", "longer than the whole budget", "key budget.eval_every", ""),
        ("[profiles.short]", "[profiles.paper]", "cannot be redefined", "key profiles.paper", ""),
        ('method = "other"', 'method = "othr"', "fits no published row", "published.ignore", "other"),
        ('table = "tiny.csv"', 'table = "gone.csv"', "cannot be read", "key published.table", ""),
        ("schema_version = 1", "schema_version = 2", "schema_version", "line 1", ""),
        ("[seeds]", "[seeds", "not valid TOML", "tiny.toml", ""),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, says: str, where: str, nearest: str
) -> None:
    path = write_suite(tmp_path, (old, new))
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert says in caught.value.message
    assert where in caught.value.place
    assert "tiny" in caught.value.place
    assert caught.value.nearest == nearest
    assert caught.value.exit_code == 2


def test_unknown_profile_and_suite_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as profile:
        load_suite(write_suite(tmp_path), "smok")
    assert profile.value.nearest == "smoke"
    with pytest.raises(SuiteError) as suite:
        load_suite("mujoco-detla")
    assert suite.value.nearest == "mujoco-delta"
    with pytest.raises(SuiteError, match="no such suite file"):
        load_suite(str(tmp_path / "none.toml"))
    with pytest.raises(SuiteError, match="is not where"):
        locate("nothing")


def test_bad_published_figures_name_their_line(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    table = tmp_path / "tiny.csv"
    table.write_text(table.read_text().replace("net,1,50", "net,1,fifty"))
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert "line 3" in caught.value.place


def test_lines_are_found_in_arrays_and_repeated_tables() -> None:
    text = "a = 1\n[[cells]]\nx = 1\n[[cells]]\nx = [\n  { y = 1 },\n  { y = 2 },\n]\n[p.q]\nz = 3\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("cells", 1)) == 4
    assert line_of(text, ("cells", 0, "x")) == 3
    assert line_of(text, ("cells", 1, "x", 1, "y")) == 7
    assert line_of(text, ("p", "q", "z")) == 10
    assert line_of(text, ("nowhere",)) is None
    assert key_path(("cells", 1, "x", 0, "y")) == "cells[1].x[0].y"


def test_the_committed_editor_schema_is_the_models() -> None:
    folder = next(folder for folder in FOLDERS if (folder / "suite.schema.json").is_file())
    assert (folder / "suite.schema.json").read_text(encoding="utf-8") == json_schema()
