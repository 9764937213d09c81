"""Suites that consist of others: whose cells, under which budgets and seeds, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.samples import hand_row, install_parts, write_suite

from rtbench.errors import SuiteError
from rtbench.results.leaderboard import build
from rtbench.results.report import build_report
from rtbench.suites.expand import expand, missing_parts
from rtbench.suites.model import Suite, load_suite

BOTH = """\
schema_version = 1

[suite]
name = "both"
title = "Two suites"
includes = ["one/tiny.toml", "two/tiny.toml"]

[profiles.smoke]
only = [{ environment = { id = "A-v0" } }]

[leaderboard]
reduce = "mean"
group_by = ["architecture"]
normalise = { against = { interaction = { execution = "instant" } } }
only = [{ architecture = { label = ["base", "net"] }, interaction = { delta = [0, 1] } }]
"""
OWN = """
[budget]
steps = 40
eval_every = 20

[seeds]
count = 1

[[cells]]
environment = { use = "fake/world", id = "C-v0" }
architecture = { use = "fake/net", label = "own" }
interaction = { execution = "instant" }
learner = "fake/learner"
backend = "fake/backend"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`one` has three seeds; `two` five of the same cells under other labels, and one cell more."""
    install_parts(tmp_path / "site", monkeypatch)
    write_suite(tmp_path / "one")
    more = (
        '    { use = "fake/net", layers = 9',
        '    { use = "fake/net", layers = 7, label = "more" },\n    { use = "fake/net", layers = 9',
    )
    write_suite(tmp_path / "two", ("count = 3", "count = 5"), ('label = "base"', 'label = "floor"'), more)
    (tmp_path / "both.toml").write_text(BOTH)
    return tmp_path


def both(folder: Path, profile: str = "paper", *changes: tuple[str, str]) -> Suite:
    text = BOTH
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "both.toml").write_text(text)
    return load_suite(str(folder / "both.toml"), profile)


def test_cells_are_those_of_both_once_with_all_their_seeds_under_the_first_labels(folder: Path) -> None:
    suite = both(folder)
    cells = expand(suite)
    one, two = (expand(load_suite(str(folder / name / "tiny.toml"))) for name in ("one", "two"))
    assert {cell.cell_id for cell in cells} == {cell.cell_id for cell in (*one, *two)}
    assert len(cells) == len({cell.cell_id for cell in cells}) == len(one) + 4
    told = {(cell.method, cell.environment, cell.cell.interaction.delta): cell for cell in cells}
    assert told["base", "A-v0", 0.0].seeds == (0, 1, 2, 3, 4)
    assert told["base", "A-v0", 0.0].published.mean == 100.0
    assert not any(method == "floor" for method, *_ in told)
    assert told["deep", "B-v0", 1.0].excluded == "too deep for B"
    assert told["deep", "A-v0", 1.0].unsupported == "architecture fake/net: nine layers are too many"
    ids = {run for cell in (*one, *two) for run in cell.run_ids}
    assert {run for cell in cells for run in cell.run_ids} == ids
    assert (suite.seeds, suite.budget, len(suite.budgets), suite.length) == ((0, 1, 2, 3, 4), None, 1, "1,000 ticks")


def test_profiles_are_those_that_all_have_and_pick_among_their_cells(folder: Path) -> None:
    assert both(folder).profiles == ("paper", "short", "smoke")
    smoke = expand(both(folder, "smoke"))
    assert [(cell.environment, cell.method, cell.seeds) for cell in smoke] == [("A-v0", "net", (7,))] * 2
    assert smoke[0].cell.learner.params["random_ticks"] == 5
    write_suite(folder / "two", ("[profiles.short]", "[profiles.long]"))
    assert both(folder).profiles == ("paper", "smoke")


def test_a_suite_may_have_cells_of_its_own_beside(folder: Path) -> None:
    suite = both(folder, "paper", ("\n[profiles.smoke]", OWN + "\n[profiles.smoke]"))
    first, *others = expand(suite)
    assert (first.environment, first.method, first.seeds, first.cell.budget.steps) == ("C-v0", "own", (0,), 40)
    assert {cell.cell.budget.steps for cell in others} == {1000}
    assert suite.length == "40 ticks or 1,000 ticks"
    nested = folder / "nested.toml"
    nested.write_text(BOTH.replace('"one/tiny.toml", "two/tiny.toml"', '"both.toml"').replace('"both"\n', '"nested"\n'))
    assert {cell.cell_id for cell in expand(load_suite(str(nested)))} == {cell.cell_id for cell in (first, *others)}


def test_reports_and_leaderboards_are_of_the_cells_whoever_ran_them(folder: Path) -> None:
    suite = both(folder)
    scores = {("base", "A-v0"): 100.0, ("net", "A-v0"): 50.0, ("base", "B-v0"): 10.0, ("net", "B-v0"): 9.0}
    cells = expand(suite, support=False)
    rows = [
        hand_row(cell.cell, seed, suite="tiny", eval_return_final=scores.get((cell.method, cell.environment), 1.0))
        for cell in cells
        for seed in cell.seeds
        if not cell.excluded
    ]
    report = build_report(suite, cells, rows)
    lines = {(line.environment, line.method, line.delta): line for line in report.lines}
    assert lines["A-v0", "net", 1.0].difference == 0.0
    assert lines["B-v0", "net", 2.0].summary.done == 5
    board = {line["architecture"]: line for line in build(suite, rows).lines}
    assert set(board) == {"base", "net"}
    assert board["net"]["normalised"] == pytest.approx((0.5 + 0.9) / 2)
    assert board["net"]["seeds_wanted"] == 10, "delta 1 on two tasks, five seeds"


@pytest.mark.parametrize(
    ("old", "new", "says", "where"),
    [
        ('"two/tiny.toml"', '"both.toml"', "would include itself", "line 6, key suite.includes[1]"),
        ('"two/tiny.toml"', '"three.toml"', "three.toml", "both.toml, line 6, key suite.includes[1]"),
        ('"two/tiny.toml"', '"quikstart"', "unknown suite 'quikstart'", "both.toml, line 6, key suite.includes[1]"),
        ("\n[profiles.smoke]", "\n[seeds]\ncount = 1\n[profiles.smoke]", "[seeds] is for cells", "line 8, key seeds"),
        ("\n[profiles.smoke]", "\n[budget]\nsteps = 9\n[profiles.smoke]", "[budget] is for cells", "key budget"),
        ("[profiles.smoke]\n", "[profiles.smoke]\nsteps = 3\n", "cells of the suite's own", "key profiles.smoke.steps"),
        ("[profiles.smoke]", "[profiles.demo]", "not every suite", "line 8, key profiles.demo"),
        ('includes = ["one/tiny.toml", "two/tiny.toml"]\n', "", "missing key 'budget'", "both.toml"),
        ("\n[leaderboard]", OWN.replace("[seeds]\ncount = 1\n", "") + "\n[leaderboard]", "missing key 'seeds'", "both"),
        ('delta = [0, 1] } }]', 'dleta = [0, 1] } }]', "no interaction has", "leaderboard.only[0]"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_with_its_place(folder: Path, old: str, new: str, says: str, where: str) -> None:
    with pytest.raises(SuiteError) as caught:
        expand(both(folder, "smoke", (old, new)) if "profiles.smoke]\n" in old else both(folder, "paper", (old, new)))
    assert says in caught.value.message
    assert where in caught.value.place


def test_a_missing_part_of_an_included_suite_is_missing_here(folder: Path) -> None:
    write_suite(folder / "two", ('learner = "fake/learner"', 'learner = "gone/learner"'))
    assert missing_parts(both(folder)) == ["learner gone/learner"]


def test_a_cell_is_excluded_only_where_every_suite_that_asks_for_it_excludes_it(folder: Path) -> None:
    """`one` leaves deep networks out of B, `two` runs them: its five seeds are asked for, in either order."""
    rule = 'why = "too deep for B"\nmatch = { architecture = { layers = 9 }, environment = { id = "B-v0" } }'
    assert rule in (folder / "two" / "tiny.toml").read_text()
    other = 'why = "not these"\nmatch = { architecture = { layers = 7 } }'
    text = (folder / "two" / "tiny.toml").read_text()
    (folder / "two" / "tiny.toml").write_text(text.replace(rule, other))
    turned = ('"one/tiny.toml", "two/tiny.toml"', '"two/tiny.toml", "one/tiny.toml"')
    for changes in ((), (turned,)):
        cells = {(cell.method, cell.environment): cell for cell in expand(both(folder, "paper", *changes))}
        assert cells["deep", "B-v0"].excluded is None
        assert cells["deep", "B-v0"].seeds == (0, 1, 2, 3, 4)
        assert cells["more", "A-v0"].excluded == "not these"
