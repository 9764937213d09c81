"""Products, excludes, profiles, and what a part says about a cell."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.samples import install_parts, write_suite

from rtbench.errors import SuiteError
from rtbench.suites.expand import expand, missing_parts
from rtbench.suites.match import holds, view
from rtbench.suites.model import load_suite


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install_parts(tmp_path / "site", monkeypatch)
    return tmp_path


def test_the_cells_are_the_products_in_the_files_order(folder: Path) -> None:
    cells = expand(load_suite(write_suite(folder)))
    told = [(cell.environment, cell.method, cell.cell.interaction.delta) for cell in cells]
    assert told == [
        ("A-v0", "net", 1.0),
        ("A-v0", "net", 2.0),
        ("A-v0", "deep", 1.0),
        ("A-v0", "deep", 2.0),
        ("B-v0", "net", 1.0),
        ("B-v0", "net", 2.0),
        ("B-v0", "deep", 1.0),
        ("B-v0", "deep", 2.0),
        ("A-v0", "base", 0.0),
        ("B-v0", "base", 0.0),
    ]
    assert [cell.cell_id for cell in cells] == [cell.cell_id for cell in expand(load_suite(write_suite(folder)))]


def test_parameters_are_coerced_and_filled_in(folder: Path) -> None:
    cell = expand(
        load_suite(write_suite(folder, ('"fake/net", label = "net"', '"fake/net", gain = 2, label = "net"')))
    )[0]
    assert cell.cell.architecture.params == {"layers": 3, "gain": 2.0}
    assert isinstance(cell.cell.architecture.params["gain"], float)
    assert isinstance(cell.cell.interaction.delta, float)
    assert cell.cell.interaction.scheduler.name == "one-process"
    assert cell.cell.interaction.default_policy.name == "repeat-last"


def test_excluded_and_unsupported_cells_are_kept_with_the_reason(folder: Path) -> None:
    cells = expand(load_suite(write_suite(folder)))
    reasons = {(cell.environment, cell.method): (cell.excluded, cell.unsupported) for cell in cells}
    assert reasons["B-v0", "deep"] == ("too deep for B", None)
    assert reasons["A-v0", "deep"] == (None, "architecture fake/net: nine layers are too many")
    assert reasons["A-v0", "net"] == (None, None)
    assert all(cell.unsupported is None for cell in expand(load_suite(write_suite(folder)), support=False))


def test_a_missing_requirement_is_unsupported_and_names_the_extra(folder: Path) -> None:
    cells = expand(load_suite(write_suite(folder, ('"fake/net", layers = 9', '"fake/needy", layers = 9'))))
    reason = next(cell.unsupported for cell in cells if cell.method == "deep" and not cell.excluded)
    assert reason is not None
    assert "rtbench[needy]" in reason


def test_duplicates_are_removed_and_added_cells_appended(folder: Path) -> None:
    again = (
        "\n[[cells]]\narchitecture = { use = 'fake/net', label = 'twin' }\ninteraction = { execution = 'instant' }\n"
    )
    suite = load_suite(write_suite(folder, ("\n[[exclude]]", again + "\n[[exclude]]")))
    cells = expand(suite)
    assert len(cells) == 10
    assert len(expand(suite, added=[cells[0].cell])) == 10


def test_a_profile_picks_cells_and_overrides_parameters_where_they_exist(folder: Path) -> None:
    path = write_suite(folder)
    smoke = expand(load_suite(path, "smoke"))
    assert [(cell.environment, cell.method) for cell in smoke] == [
        ("A-v0", "net"),
        ("A-v0", "net"),
        ("B-v0", "net"),
        ("B-v0", "net"),
    ]
    assert smoke[0].cell.learner.params == {"rate": 0.001, "random_ticks": 5}
    assert smoke[0].seeds == (7,)
    assert smoke[0].cell_id not in {cell.cell_id for cell in expand(load_suite(path))}


def test_titles_and_wall_limits_change_no_cell_but_budgets_do(folder: Path) -> None:
    first = [cell.cell_id for cell in expand(load_suite(write_suite(folder)))]
    changes = [('name = "tiny"', 'name = "small"'), ('wall_limit = "1h"', 'wall_limit = "2h"'), ('"net"', '"web"')]
    relabelled = write_suite(folder, *changes, ('label = "net"', 'label = "web"'))
    assert [cell.cell_id for cell in expand(load_suite(relabelled))] == first
    longer = write_suite(folder, ("steps = 1_000", "steps = 1_001"))
    assert not set(first) & {cell.cell_id for cell in expand(load_suite(longer))}


@pytest.mark.parametrize(
    ("old", "new", "says", "where", "nearest"),
    [
        (
            'use = "fake/world", id = "B-v0"',
            'use = "fake/wrld"',
            "unknown environment",
            "axes.environment[1]",
            "fake/world",
        ),
        ("layers = 9, label", "laiers = 9, label", "unknown parameter", "axes.architecture[1]", "layers"),
        ("layers = 9, label", "layers = '9', label", "parameter 'layers'", "line 35", ""),
        ('{ execution = "instant" }', '{ execution = "instant", delta = 1 }', "contradicts itself", "cells[0]", ""),
        ("delta = 2.0 }", "delta = 2.0, latency = '40ms' }", "contradicts itself", "axes.interaction[1]", ""),
        ("delta = 2.0 }", "latency = '40 parsec' }", "", "axes.interaction[1]", ""),
        (
            "match = { architecture = { layers",
            "match = { architecture = { lairs",
            "no architecture has",
            "exclude[0]",
            "layers",
        ),
        ("match = { architecture", "match = { architektur", "unknown axis", "exclude[0]", "architecture"),
        ("layers = 9 }, env", "layers = 8 }, env", "fits no cell", "exclude[0]", ""),
        ('group_by = ["architecture"', 'group_by = ["architecture.depth"', "no architecture has", "group_by", ""),
    ],
)
def test_what_is_wrong_names_the_entry(folder: Path, old: str, new: str, says: str, where: str, nearest: str) -> None:
    with pytest.raises(SuiteError) as caught:
        expand(load_suite(write_suite(folder, (old, new))))
    assert says in caught.value.message
    assert where in caught.value.place
    if nearest:
        assert caught.value.nearest == nearest


def test_profile_mistakes_are_named(folder: Path) -> None:
    typo = write_suite(folder, ("random_ticks = 5", "random_tick = 5"))
    with pytest.raises(SuiteError) as caught:
        expand(load_suite(typo, "smoke"))
    assert caught.value.nearest == "random_ticks"
    none = write_suite(folder, ('{ label = "net" }', '{ label = "nothing" }'))
    with pytest.raises(SuiteError, match="fits no cell"):
        expand(load_suite(none, "smoke"))


def test_a_product_that_lacks_an_axis_is_an_error(folder: Path) -> None:
    with pytest.raises(SuiteError, match="no learner is given"):
        expand(load_suite(write_suite(folder, ('learner = "fake/learner"\n', ""))))


def test_missing_parts_are_listed(folder: Path) -> None:
    suite = load_suite(write_suite(folder, ('use = "fake/world", id = "B-v0"', 'use = "gone/world"')))
    assert missing_parts(suite) == ["environment gone/world"]
    assert missing_parts(load_suite(write_suite(folder))) == []


def test_conditions_compare_values_and_lists(folder: Path) -> None:
    seen = view(expand(load_suite(write_suite(folder)))[1].cell)
    assert holds({"interaction": {"delta": 2, "execution": "pipelined"}}, seen)
    assert holds({"interaction": {"delta": [1, 2]}, "architecture": {"use": "fake/net"}}, seen)
    assert not holds({"interaction": {"delta": [1, 3]}}, seen)
    assert not holds({"learner": {"no_such_key": 1}}, seen)


def test_ten_thousand_runs_look_up_each_part_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtbench import plugins

    calls: list[str] = []
    original = plugins.use
    monkeypatch.setattr(plugins, "use", lambda *args, **rest: calls.append(args[1]) or original(*args, **rest))
    worlds = ", ".join(f'{{ use = "fake/world", id = "W{number}-v0" }}' for number in range(20))
    nets = ", ".join(f'{{ use = "fake/net", gain = {number}.5, label = "n{number}" }}' for number in range(25))
    suite = load_suite(
        write_suite(
            folder,
            ('[{ use = "fake/world", id = "A-v0" }, { use = "fake/world", id = "B-v0" }]', f"[{worlds}]"),
            (
                '{ use = "fake/net", layers = 9, label = "deep" },',
                '{ use = "fake/net", layers = 9, label = "deep" }, ' + nets,
            ),
            ('environment = { id = "B-v0" } }', 'environment = { id = "W1-v0" } }'),
            ("count = 3", "count = 10"),
        )
    )
    cells = expand(suite)
    assert len(cells) == 20 * 27 * 2 + 20
    assert len({run for cell in cells for run in cell.run_ids}) == 10 * len(cells)
    assert len(calls) < 100
