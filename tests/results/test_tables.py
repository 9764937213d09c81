"""Tables for papers: what stands where, what is marked, and nothing a name could break."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.command_line import printed
from helpers.samples import suite_with_three_runs

from rtbench.cli.main import run_command_line
from rtbench.errors import SuiteError
from rtbench.results.report import Report, ReportLine
from rtbench.results.summary import summarise
from rtbench.results.tables import latex, markdown, paper_tables, render
from rtbench.suites.published import Published

BUDGET = {"steps": 1000, "unit": "ticks"}


def line(method: str, delta: float, values: list[float], *, wanted: int = 3, **more: object) -> ReportLine:
    rows = [
        {"status": "ok", "eval_return_final": value, "observation_age_p50_steps": 1.0, "oldest_age_p50_steps": 1.0}
        | {"eval_return_per_s": None, "run_id": f"{method}{seed}", "seed": seed}
        for seed, value in enumerate(values)
    ]
    told = summarise([rows], wanted=wanted, metric="eval_return", how="iqm", key=method)
    given = {"environment": "A-v0", "execution": "pipelined", "reasons": (), "published": None} | more
    return ReportLine(method=method, delta=delta, status=told.status, summary=told, **given)  # type: ignore[arg-type]


def report(*lines: ReportLine, better: str = "higher") -> Report:
    return Report("mine", "paper", (BUDGET,), "eval_return", lines, better)


def cells(text: str) -> list[list[str]]:
    """The rows of a Markdown table."""
    return [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("|")]


def test_rows_are_methods_and_columns_environments() -> None:
    one = line("net", 1.0, [1.0, 2.0, 3.0])
    other = line("net", 1.0, [10.0, 20.0, 60.0], environment="B-v0")
    deep = line("deep", 2.0, [1234.5, 1234.5, 1234.5])
    mean, interval = paper_tables("Mine", report(one, other, deep))
    assert cells(markdown(mean)) == [
        ["δ", "execution", "method", "A-v0", "B-v0"],
        ["---", "---", "---", "---:", "---:"],
        ["1", "pipelined", "net", "2 ± 0.5774", "30 ± 15.28"],
        ["2", "pipelined", "deep", "1234 ± 0", "–"],
    ]
    assert re.fullmatch(r"2 \\\[\S+, \S+\\\]", cells(markdown(interval))[2][3])
    assert mean.notes == ("3 seeds", "1,000 ticks")


def test_what_is_incomplete_is_marked_and_bold_means_that_nobody_is_surely_better() -> None:
    good, bad, near = (
        line("good", 1.0, [10.0, 11.0, 12.0]),
        line("bad", 1.0, [1.0, 2.0, 3.0]),
        line("near", 1.0, [9.0, 10.5, 11.5]),
    )
    mean, _ = paper_tables("Mine", report(good, bad, near))
    assert [row[3].best for row in mean.rows] == [True, False, True]
    lower, _ = paper_tables("Mine", report(good, bad, near, better="lower"))
    assert [row[3].best for row in lower.rows] == [False, True, False]
    half = line("half", 1.0, [50.0], wanted=3)
    mean, _ = paper_tables("Mine", report(good, bad, half))
    assert [row[3].best for row in mean.rows] == [False, False, False]
    assert mean.rows[2][3].text == "50†"
    assert any("runs are missing" in note for note in mean.notes)
    nothing = line("none", 1.0, [])
    mean, _ = paper_tables("Mine", report(good, bad, nothing))
    assert mean.rows[2][3].text == "–"


def test_the_clocks_have_tables_of_their_own() -> None:
    tables = paper_tables("Mine", report(line("a", 1.0, [1.0, 2.0]), line("a", 1.0, [3.0, 4.0], clock="wall")))
    assert [len(table.rows) for table in tables] == [1, 1, 1, 1]
    assert ["wall" in table.caption for table in tables] == [False, False, True, True]
    assert len({table.label for table in tables}) == 4


def test_names_cannot_break_out() -> None:
    nasty = r"a|b_c & 50% $x$ #1 {y} \input{z} <b>*no*</b> [l](u) `q` ~^ δ"
    table, *_ = paper_tables(nasty, report(line(nasty, 1.0, [-5.0, -6.0]), line("b", 1.0, [-1.0, -2.0])))
    row = markdown(table).splitlines()[4]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert not re.search(r"(?<!\\)[`*_<>\[\]]", row.replace("**", ""))
    text = latex(table)
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    stripped = re.sub(r"\\[a-zA-Z]+(\{\})?|\\[&%$#_{}]|\$(-|\\?[a-z^]+|\^\\dagger)\$", "", body)
    assert not re.search(r"[%#_^~<>|]", stripped)
    assert [part.count("&") for part in stripped.splitlines() if "&" in part] == [3, 3]
    assert "$-$5.5" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert text.isascii()


def test_published_figures_stand_beside(tmp_path: Path) -> None:
    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    cell = next(cell for cell in expand(load_suite("mujoco-delta")) if cell.published and cell.method == "SAC")
    assert isinstance(cell.published, Published)
    printed_row = replace(cell.published, mean=9.5, spread=0.5, ticks=1_000_000)
    mean, _ = paper_tables("Mine", report(line("net", 1.0, [1.0, 2.0], wanted=2, published=printed_row)))
    assert mean.heads[3:] == ("A-v0", "published")
    assert mean.rows[0][4].text == "9.5 ± 0.5"
    assert mean.notes[-1] == "published after 1,000,000 ticks"


def test_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    suite = suite_with_three_runs(tmp_path, monkeypatch)
    text = printed(capsys, "report", suite, "--format", "latex")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert r"52 $\pm$ 7.572" in text
    assert "| 52 ± 7.572 |" in printed(capsys, "report", suite, "--format", "markdown")
    assert run_command_line(["report", suite, "--format", "word"]) == 2
    assert "markdown, latex" in capsys.readouterr().err
    assert run_command_line(["report", suite, "--format", "latex", "--html", "site"]) == 2
    with pytest.raises(SuiteError):
        render([], "word")
