"""Leaderboards from rows: what is averaged, what is not, and that the same rows give the same digest."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from helpers.samples import hand_row, install_parts, write_suite

from rtbench.cell import Latency
from rtbench.errors import InvalidResults, StaleLeaderboard, SuiteError
from rtbench.plugins import use
from rtbench.results import pages
from rtbench.results.groups import NO_PROFILE, choose, row_view
from rtbench.results.leaderboard import Leaderboard, build, build_all
from rtbench.results.schema import row_digest
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.match import view
from rtbench.suites.model import Suite, load_suite


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    install_parts(tmp_path / "site", monkeypatch)
    return load_suite(write_suite(tmp_path / "suites"))


def _cell(suite: Suite, method: str, delta: float, environment: str = "A-v0", profile: str = "paper") -> SuiteCell:
    cells = expand(load_suite(str(suite.path), profile), support=False)
    return next(
        cell
        for cell in cells
        if (cell.method, cell.cell.interaction.delta, cell.environment) == (method, delta, environment)
    )


def _rows(cell: SuiteCell, *values: float, first: int = 0) -> list[dict[str, Any]]:
    return [hand_row(cell.cell, seed, eval_return_final=value) for seed, value in enumerate(values, start=first)]


def _line(board: Leaderboard, method: str, delta: float, environment: str = "A-v0") -> dict[str, Any]:
    lines = [
        line
        for line in board.lines
        if (line["architecture"], line["interaction.delta"], line["environment.id"]) == (method, delta, environment)
    ]
    assert len(lines) == 1
    return dict(lines[0])


def _complete(suite: Suite) -> list[dict[str, Any]]:
    return [
        *_rows(_cell(suite, "base", 0.0), 90.0, 100.0, 110.0),
        *_rows(_cell(suite, "net", 1.0), 40.0, 50.0, 66.0),
    ]


def test_a_complete_line_by_hand(suite: Suite) -> None:
    line = _line(build(suite, _complete(suite)), "net", 1.0)
    assert (line["profile"], line["budget"], line["status"]) == ("paper", "1000 ticks", "complete")
    assert (line["seeds_done"], line["seeds_wanted"], line["failed"]) == (3, 3, 0)
    assert (line["mean"], line["iqm"]) == (52.0, 52.0)
    assert line["standard_error"] == 7.57188
    assert 40.0 <= line["low"] < 52.0 < line["high"] <= 66.0
    assert line["normalised"] == 0.52
    assert (line["published_mean"], line["published_spread"], line["difference"]) == (50.0, None, 2.0)
    assert (line["observation_age_p50_steps"], line["oldest_age_p50_steps"]) == (1.0, 3.0)


@pytest.mark.parametrize(("how", "shown"), [("iqm", "6 ["), ("mean", "22.2 [")])
def test_a_page_shows_what_its_interval_is_of(suite: Suite, tmp_path: Path, how: str, shown: str) -> None:
    """Of 0, 5, 6, 7 and 93 the mean without the lowest and the highest is 6."""
    reduced = ("[leaderboard]", f'[leaderboard]\nreduce = "{how}"')
    suite = load_suite(write_suite(tmp_path / how, ("count = 3", "count = 5"), reduced))
    board = build(suite, _rows(_cell(suite, "net", 1.0), 0.0, 5.0, 6.0, 7.0, 93.0))
    assert f"| {shown}" in pages.to_page(board)


def test_cells_without_runs_are_shown_as_missing_and_excluded_ones_with_the_reason(suite: Suite) -> None:
    board = build(suite, _complete(suite))
    assert len(board.lines) == 10
    assert _line(board, "net", 2.0)["status"] == "missing"
    deep = _line(board, "deep", 1.0, "B-v0")
    assert (deep["status"], deep["seeds_wanted"], deep["reason"]) == ("excluded", 0, "too deep for B")


def test_runs_that_are_over_without_the_metric_are_not_called_missing(suite: Suite) -> None:
    cell = _cell(suite, "net", 1.0)
    rows = [hand_row(cell.cell, seed, eval_return_final=None) for seed in range(3)]
    line = _line(build(suite, rows), "net", 1.0)
    assert (line["status"], line["seeds_done"], line["mean"]) == ("no value", 0, None)


def test_an_incomplete_base_normalises_nothing(suite: Suite) -> None:
    rows = [*_rows(_cell(suite, "base", 0.0), 90.0, 100.0), *_rows(_cell(suite, "net", 1.0), 40.0, 50.0, 66.0)]
    board = build(suite, rows)
    assert _line(board, "base", 0.0)["status"] == "incomplete"
    assert _line(board, "net", 1.0)["normalised"] is None


def test_failed_runs_are_counted_and_not_averaged(suite: Suite) -> None:
    cell = _cell(suite, "net", 1.0)
    rows = _rows(cell, 40.0, 50.0)
    rows.append(hand_row(cell.cell, 2, status="failed", reason="diverged", eval_return_final=None))
    line = _line(build(suite, rows), "net", 1.0)
    assert (line["status"], line["seeds_done"], line["failed"], line["mean"]) == ("incomplete", 2, 1, 45.0)
    assert line["reason"] == "diverged"
    assert line["normalised"] is None


def test_seeds_the_suite_does_not_enumerate_are_not_picked(suite: Suite) -> None:
    cell = _cell(suite, "net", 1.0)
    rows = [*_rows(cell, 40.0, 50.0, 66.0), *_rows(cell, 1e6, first=50)]
    assert _line(build(suite, rows), "net", 1.0)["mean"] == 52.0


PROFILES = {
    "some": '[profiles.some]\nsteps = 700\nseeds = { count = 2 }\nonly = [{ architecture = { label = "net" } }]\n',
    "all": "[profiles.all]\nsteps = 700\nseeds = { count = 2 }\n",
    "more": '[profiles.more]\nsteps = 700\nseeds = { count = 3 }\nonly = [{ architecture = { label = "net" } }]\n',
}


def _shown(rows: list[dict[str, Any]], suite: Suite) -> list[tuple[str, int, int]]:
    """(profile, runs there, runs asked for) of every block."""
    blocks: dict[str, list[int]] = {}
    for line in build(suite, rows).lines:
        block = blocks.setdefault(line["profile"], [0, 0])
        block[0] += line["seeds_done"]
        block[1] += line["seeds_wanted"]
    return sorted((profile, done, wanted) for profile, (done, wanted) in blocks.items())


@pytest.mark.parametrize("order", [("some", "all", "more"), ("more", "all", "some"), ("all", "more", "some")])
def test_a_row_counts_for_every_profile_that_asks_for_it(tmp_path: Path, suite: Suite, order: tuple[str, ...]) -> None:
    """`some` is four cells of `all`, `more` the same with another seed: whichever stands first in the file."""
    text = "".join(PROFILES[name] for name in order)
    overlapping = load_suite(write_suite(tmp_path / "overlapping", ("[profiles.short]", text + "[profiles.short]")))

    def rows(profile: str, leaving: int = 0) -> list[dict[str, Any]]:
        cells = [
            cell for cell in expand(load_suite(str(overlapping.path), profile), support=False) if not cell.excluded
        ]
        found = [row for cell in cells for row in _rows(cell, *(float(seed) for seed in cell.seeds))]
        return found[: len(found) - leaving]

    some, everything, more = rows("some"), rows("all"), rows("more")
    assert (len(some), len(everything), len(more)) == (8, 16, 12)
    assert _shown(some, overlapping) == [("some", 8, 8)]
    assert _shown(some[:3], overlapping) == [("some", 3, 8)]
    assert _shown(everything, overlapping) == [("all", 16, 16)], "with it `some` is complete, and said by it"
    assert _shown(rows("all", 1), overlapping) == [("all", 15, 16), ("some", 8, 8)]
    assert _shown(more, overlapping) == [("more", 12, 12)]
    assert _shown(more[:1] + everything[-1:], overlapping) == [("all", 2, 16)]
    known = {row["run_id"] for row in everything}
    both = everything + [row for row in more if row["run_id"] not in known]
    assert _shown(both, overlapping) == [("all", 16, 16), ("more", 12, 12)]


def test_budgets_are_never_mixed(suite: Suite) -> None:
    short = _rows(_cell(suite, "net", 1.0, profile="short"), 10.0, 12.0)
    board = build(suite, [*_complete(suite), *short])
    told = {line["profile"]: line for line in board.lines if line["architecture"] == "net" and line["seeds_done"]}
    assert {name: (line["budget"], line["mean"]) for name, line in told.items()} == {
        "paper": ("1000 ticks", 52.0),
        "short": ("500 ticks", 11.0),
    }
    assert [line["profile"] for line in board.lines] == ["paper"] * 10 + ["short"] * 10


def test_another_budget_has_a_section_of_its_own_with_the_suites_labels(suite: Suite) -> None:
    longer = load_suite(write_suite(suite.path.parent / "other", ("steps = 1_000", "steps = 7_000")))
    rows = [{**row, "architecture_label": "stale label"} for row in _rows(_cell(longer, "net", 1.0), 5.0)]
    board = build(suite, rows)
    assert len(board.lines) == 1
    line = _line(board, "net", 1.0)
    assert (line["profile"], line["budget"], line["status"], line["seeds_wanted"]) == (
        NO_PROFILE, "7000 ticks", "incomplete", 3,
    )  # fmt: skip


def test_cells_that_no_profile_asks_for_are_not_thrown_together(suite: Suite) -> None:
    """A parameter that was added since makes two cells of one label; each keeps its line, and neither is a base."""
    import dataclasses

    cell = _cell(suite, "base", 0.0).cell
    learners = [dataclasses.replace(cell.learner, params={"rate": rate}) for rate in (0.1, 0.2)]
    rows = [
        hand_row(dataclasses.replace(cell, learner=learner), seed, eval_return_final=value)
        for learner, value in zip(learners, (1.0, 3.0), strict=True)
        for seed in range(3)
    ]
    lines = build(suite, rows).lines
    assert [(line["profile"], line["seeds_done"]) for line in lines] == [(NO_PROFILE, 3), (NO_PROFILE, 3)]
    assert sorted(line["mean"] for line in lines) == [1.0, 3.0]
    assert [line["normalised"] for line in lines] == [None, None]


def test_rows_of_other_suites_count_where_the_run_is_the_same_and_only_there(suite: Suite) -> None:
    shared = [{**row, "suite": "another"} for row in _complete(suite)]
    assert build(suite, shared).digest == build(suite, _complete(suite)).digest
    assert build(suite, [{**hand_row(), "suite": "another"}]).lines == ()


def test_rows_of_an_earlier_revision_of_a_part_are_left_out_and_counted(suite: Suite) -> None:
    import dataclasses

    cell = _cell(suite, "net", 1.0).cell
    old = dataclasses.replace(cell, architecture=dataclasses.replace(cell.architecture, revision=0))
    board = build(suite, [*_complete(suite), hand_row(old, 0, eval_return_final=-5.0)])
    assert board.superseded == 1
    assert board.lines == build(suite, _complete(suite)).lines


def test_one_row_per_run_a_finished_one_first_then_the_earliest() -> None:
    failed = hand_row(status="failed", reason="x", started_utc="2026-01-01T00:00:00+00:00")
    late = hand_row(started_utc="2026-03-01T00:00:00+00:00")
    early = hand_row(started_utc="2026-02-01T00:00:00+00:00")
    newer = hand_row(started_utc="2026-04-01T00:00:00+00:00", suite_revision=2)
    assert choose([failed, late, early]) == [early]
    assert choose([newer, late, early]) == [newer]
    assert choose([failed]) == [failed]


def test_machines_share_a_line_on_the_virtual_clock_only() -> None:
    here, there = hand_row(), hand_row(machine_class="other")
    assert len(choose([here, there])) == 1
    assert len(choose([{**here, "clock": "wall"}, {**there, "clock": "wall"}])) == 2


def test_the_digest_depends_on_the_rows_and_not_on_their_order(suite: Suite) -> None:
    rows = _complete(suite)
    digest = build(suite, rows).digest
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert build(suite, rows).digest == digest
    assert build(suite, rows[:-1]).digest != digest


def test_the_last_bits_of_a_float_do_not_change_the_digest(suite: Suite) -> None:
    rows = _complete(suite)
    nudged = [{**row, "eval_return_final": row["eval_return_final"] * (1 + 1e-13)} for row in rows]
    assert build(suite, nudged).digest == build(suite, rows).digest


def test_several_cells_in_a_line_are_averaged_only_when_all_are_complete(suite: Suite) -> None:
    path = write_suite(
        suite.path.parent / "by_method",
        ('["architecture", "environment.id", "interaction.delta"]', '["architecture", "interaction.delta"]'),
        ('{ use = "fake/net", layers = 9, label = "deep" },', ""),
        (
            'architecture = { layers = 9 }, environment = { id = "B-v0" }',
            'architecture = { label = "net" }, interaction = { delta = 2 }',
        ),
    )  # fmt: skip
    both = load_suite(path)
    rows = [
        *_rows(_cell(both, "base", 0.0), 100.0, 100.0, 100.0),
        *_rows(_cell(both, "base", 0.0, "B-v0"), 10.0, 10.0, 10.0),
        *_rows(_cell(both, "net", 1.0), 50.0, 50.0, 50.0),
        *_rows(_cell(both, "net", 1.0, "B-v0"), 7.0, 7.0),
    ]
    partial = next(line for line in build(both, rows).lines if line["interaction.delta"] == 1.0)
    assert (partial["status"], partial["mean"], partial["normalised"]) == ("incomplete", None, None)
    rows += _rows(_cell(both, "net", 1.0, "B-v0"), 7.0, first=2)
    whole = next(line for line in build(both, rows).lines if line["interaction.delta"] == 1.0)
    assert (whole["status"], whole["normalised"]) == ("complete", 0.6)  # 0.5 and 0.7
    assert whole["mean"] is None  # returns of two environments have no common unit


def test_an_ambiguous_base_is_an_error(suite: Suite) -> None:
    path = write_suite(suite.path.parent / "two", ('against = { interaction = { execution = "instant" } }',
                                                   'against = { architecture = { label = "net" } }'))  # fmt: skip
    two = load_suite(path)
    with pytest.raises(InvalidResults, match="two cells of one environment"):
        build(two, _rows(_cell(two, "net", 1.0), 1.0))


def test_without_the_suites_plugin_the_rows_alone_give_their_lines(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _complete(suite)
    with_plugin = build(suite, rows)
    monkeypatch.setenv("RTBENCH_DISABLE_PLUGINS", "all")
    without = build(suite, rows)
    assert {line["architecture"]: line["mean"] for line in without.lines} == {"base": 100.0, "net": 52.0}
    assert len(without.lines) < len(with_plugin.lines)


def test_a_row_is_seen_as_its_cell(suite: Suite) -> None:
    cell = _cell(suite, "net", 2.0).cell
    assert row_view(hand_row(cell)) == view(cell)
    lognormal = Latency("lognormal", mean_s=0.04, cv=0.1)
    scheduler = use("schedulers", "staggered-slots", {"guard_s": 0.002}, label="slots")
    changes = {"scheduler": scheduler, "processes": 3, "epsilon": 0.5, "counterfactual": "age-0"}
    changes |= {"execution": "sequential", "delta": 0.0, "latency": lognormal, "lateness": lognormal}
    staggered = dataclasses.replace(cell, interaction=dataclasses.replace(cell.interaction, **changes))
    seen = row_view(hand_row(staggered))
    assert seen == view(staggered)
    told = {name: seen["interaction"][name] for name in ("scheduler_label", "latency_s", "latency_cv", "learning_s")}
    assert told == {"scheduler_label": "slots", "latency_s": 0.04, "latency_cv": 0.1, "learning_s": 0.0}


@pytest.mark.parametrize(("metric", "mean"), [("inaction_share", 0.25), ("acme/x", 2.0), ("eval_return", 52.0)])
def test_a_leaderboard_can_be_about_any_number(suite: Suite, metric: str, mean: float) -> None:
    told = suite.leaderboard.model_copy(update={"metric": metric, "normalise": None})
    rows = [
        dict(row, inaction_share=0.25, extras={"acme/x": float(seed + 1)})
        for seed, row in enumerate(_rows(_cell(suite, "net", 1.0), 40.0, 50.0, 66.0))
    ]
    line = _line(build(dataclasses.replace(suite, leaderboard=told), rows), "net", 1.0)
    assert (line["mean"], line["seeds_done"], line["status"]) == (mean, 3, "complete")


def test_a_number_that_no_row_has_is_named(suite: Suite) -> None:
    told = suite.leaderboard.model_copy(update={"metric": "inaction_shaer", "normalise": None})
    with pytest.raises(SuiteError, match="no row has a number 'inaction_shaer'"):
        build(dataclasses.replace(suite, leaderboard=told), _complete(suite))


def test_files_are_what_check_finds_up_to_date(suite: Suite, tmp_path: Path) -> None:
    board = build(suite, _complete(suite))
    written = pages.write(board, tmp_path / "boards")
    assert sorted(path.name for path in written) == ["DIGESTS", "tiny.csv", "tiny.md", "tiny.parquet"]
    pages.check(board, tmp_path / "boards")
    assert pages.read_digests(tmp_path / "boards") == {"tiny": board.digest}
    table = pq.read_table(tmp_path / "boards" / "tiny.parquet").to_pylist()
    assert table == [dict(line) for line in board.lines]
    page = (tmp_path / "boards" / "tiny.md").read_text()
    assert "| net | A-v0 | 1 | 3/3 | 52 ± 7.57188 |" in page
    assert "excluded: too deep for B" in page


def test_check_names_what_is_stale(suite: Suite, tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    board = build(suite, _complete(suite))
    with pytest.raises(StaleLeaderboard, match="no such file") as nothing:
        pages.check(board, folder)
    assert nothing.value.exit_code == 4
    pages.write(board, folder)
    with pytest.raises(StaleLeaderboard, match=r"DIGESTS has .*tiny\.csv: line"):
        pages.check(build(suite, _complete(suite)[:-1]), folder)
    for name in ("tiny.csv", "tiny.md"):
        pages.write(board, folder)
        path = folder / name
        path.write_text(path.read_text().replace("52", "53", 1))
        with pytest.raises(StaleLeaderboard, match=rf"{name}: line \d+"):
            pages.check(board, folder)
    pages.write(board, folder)
    (folder / "tiny.parquet").write_bytes(b"")
    with pytest.raises(StaleLeaderboard, match="parquet"):
        pages.check(board, folder)


def test_digests_of_other_suites_stay(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "DIGESTS").write_text("abc  another\n")
    pages.write(build(suite, []), tmp_path)
    assert set(pages.read_digests(tmp_path)) == {"another", "tiny"}
    pages.check(build(suite, []), tmp_path)


@pytest.mark.parametrize(
    ("damage", "place"),
    [(b"\xff\xfe", "DIGESTS"), (b"abc  another\nnonsense\n", "DIGESTS, line 2"), (b"abc another\n", "DIGESTS, line 1")],
)
def test_damaged_digests_are_named_and_nothing_is_written(
    suite: Suite, tmp_path: Path, damage: bytes, place: str
) -> None:
    (tmp_path / "DIGESTS").write_bytes(damage)
    for act in (pages.write, pages.check):
        with pytest.raises(InvalidResults) as caught:
            act(build(suite, []), tmp_path)
        assert (caught.value.place, caught.value.exit_code) == (f"{tmp_path}/{place}", 5)
        assert "git checkout" in caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*[!e]") if path.is_file()} == {"DIGESTS": damage}


@pytest.mark.parametrize(("name", "damage"), [("parquet", b"PAR1"), ("csv", b"\xff"), ("md", b"\xff\xfe")])
def test_a_damaged_leaderboard_is_told_from_one_that_is_not_there(
    suite: Suite, tmp_path: Path, name: str, damage: bytes
) -> None:
    board = build(suite, _complete(suite))
    pages.write(board, tmp_path)
    path = tmp_path / f"tiny.{name}"
    path.write_bytes(damage)
    with pytest.raises(StaleLeaderboard, match=rf"tiny\.{name}: it cannot be read"):
        pages.check(board, tmp_path)
    path.unlink()
    with pytest.raises(StaleLeaderboard, match=rf"tiny\.{name}: there is no such file"):
        pages.check(board, tmp_path)
    pages.write(board, tmp_path)
    pages.check(board, tmp_path)


def test_several_suites_from_the_same_rows_are_what_each_alone_is(suite: Suite) -> None:
    other = load_suite(write_suite(suite.path.parent / "other", ('name = "tiny"', 'name = "other"'), ("1_000", "500")))
    rows = [*_complete(suite), *({**row, "suite": "other"} for row in _rows(_cell(other, "net", 2.0), 1.0, 2.0))]
    together = build_all([suite, other], iter(rows))
    assert [board.digest for board in together] == [build(suite, rows).digest, build(other, rows).digest]
    assert len({board.digest for board in together}) == 2


def test_of_equal_rank_the_smallest_digest_is_taken_in_any_order() -> None:
    rows = [hand_row(cpu=cpu) for cpu in "abcdef"]
    smallest = min(rows, key=row_digest)
    for seed in range(10):
        random.Random(seed).shuffle(rows)
        assert choose([*rows, dict(rows[0])]) == [smallest]
