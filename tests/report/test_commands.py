"""The command of a run picks that run and no other, for every cell of shipped suites."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from helpers.samples import hand_row, install_parts, write_suite

from rtbench.executors.planning import parse_only, plan_runs
from rtbench.report.commands import conditions, origin, run_command, suite_argument
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite


@pytest.mark.parametrize(
    ("name", "profile"),
    [("mujoco-delta", "paper"), ("combined", "demo"), ("theory", "paper"), ("stagger-drift", "paper")],
)
def test_conditions_single_out_a_cell(name: str, profile: str) -> None:
    suite = load_suite(name, profile)
    cells = expand(suite, support=False)
    for cell in cells[:: max(1, len(cells) // 12)]:
        only = conditions(cell, cells)
        assert only is not None, cell
        planned = plan_runs(cells, {}, match=parse_only(only, cells), seeds=[suite.seeds[0]])
        assert [run.run_id for run in planned] == [cell.run_ids[0]]


def test_a_command_is_one_that_a_shell_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_parts(tmp_path / "site", monkeypatch)
    odd = "it's 100 % $odd; `x`"
    changed = ('"fake/net", label = "net"', f'"fake/net", label = "{odd}"')
    suite = load_suite(write_suite(tmp_path / "s", changed), "short")
    cells = expand(suite, support=False)
    command = run_command(suite, cells[0], cells, [0, 1])
    assert command is not None
    words = shlex.split(command)
    assert words[:5] == ["rtbench", "run", "tiny.toml", "--profile", "short"]
    assert "environment.id=A-v0" in words
    assert f"architecture.label={odd}" in words
    assert words[-4:] == ["--seeds", "0,1", "--rerun", "all"]
    only = [words[at + 1] for at, word in enumerate(words) if word == "--only"]
    planned = plan_runs(cells, {}, match=parse_only(only, cells))
    assert {run.cell.cell_id for run in planned} == {cells[0].cell_id}


def test_texts_that_look_like_numbers_stay_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_parts(tmp_path / "site", monkeypatch)
    suite = load_suite(write_suite(tmp_path / "s", ('"fake/net", label = "net"', '"fake/net", label = "3"')))
    cells = expand(suite, support=False)
    only = conditions(cells[0], cells)
    assert only is not None
    assert 'architecture.label="3"' in only
    assert len(plan_runs(cells, {}, match=parse_only(only, cells))) == len(suite.seeds)


def test_a_cell_that_nothing_tells_apart_has_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_parts(tmp_path / "site", monkeypatch)
    suite = load_suite(write_suite(tmp_path / "s"))
    cells = expand(suite, support=False)
    assert run_command(suite, cells[0], [cells[0], cells[0]], [0]) is None


def test_the_code_comes_first_where_it_is_known() -> None:
    assert origin({**hand_row(), "git_commit": ""}) == []
    assert origin({**hand_row(), "git_commit": "abc"})[0] == "git checkout abc"
    assert suite_argument(load_suite("combined")) == "combined"
