"""report, leaderboard and results, called as the command line calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.samples import suite_with_three_runs
from typer.testing import CliRunner

from rtbench.cli import report
from rtbench.cli import results as commands
from rtbench.errors import InvalidResults, StaleLeaderboard, SuiteError

app = typer.Typer()
app.command("report")(report.report)
app.add_typer(commands.leaderboard, name="leaderboard")
app.add_typer(commands.results, name="results")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite with three runs of one cell in the local state of the working folder."""
    return suite_with_three_runs(tmp_path, monkeypatch)


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def failing(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments)).exception


def test_report_shows_numbers_beside_the_published_ones(suite: str) -> None:
    out = call("report", suite)
    line = next(line for line in out.splitlines() if line.split()[:3] == ["1", "pipelined", "net"])
    assert "3/3" in line
    assert "52 ± 7.572" in line
    assert "+2" in line
    assert "unsupported: architecture fake/net: nine layers are too many" in out
    assert "excluded: too deep for B" in out
    assert out.splitlines()[-1] == f"next: rtbench run {suite}   (5 of 10 cells lack runs)"


def test_report_as_json_and_under_a_profile(suite: str) -> None:
    told = json.loads(call("report", suite, "--json"))
    assert (told["schema_version"], told["profile"], told["counts"]["complete"]) == (1, "paper", 1)
    short = json.loads(call("report", suite, "--json", "--profile", "short"))
    assert "complete" not in short["counts"]


def test_report_sets_unreadable_rows_aside(suite: str) -> None:
    Path(".rtbench/rows/half.1.json").write_text("{")
    result = CliRunner().invoke(app, ["report", suite, "--json"], catch_exceptions=False)
    assert "half.1.json" in result.stderr
    assert json.loads(result.stdout)["counts"]["complete"] == 1
    assert Path(".rtbench/rows/half.1.json").read_text() == "{"


def test_report_has_the_sections_of_plugins_and_survives_a_broken_one(
    suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtbench import plugins
    from rtbench.hookspecs import hookimpl

    class Good:
        @hookimpl
        def rtbench_report_section(self, suite: str, rows: list[dict[str, Any]]) -> str:
            return f"## {suite}: {len(rows)} rows"

    class Bad:
        @hookimpl
        def rtbench_report_section(self, suite: str) -> str:
            raise ValueError("oh")

    original = plugins.hooks
    monkeypatch.setattr(plugins, "hooks", lambda: original([("good", Good()), ("bad", Bad())]))
    result = CliRunner().invoke(app, ["report", suite], catch_exceptions=False)
    assert "## tiny: 3 rows" in result.stdout
    assert "plugin bad: rtbench_report_section failed: ValueError: oh" in result.stderr


def test_from_export_to_a_checked_leaderboard(suite: str) -> None:
    assert f"next: rtbench leaderboard build {suite}" in call("results", "export", suite)
    assert "already" in call("results", "export", suite)
    assert "1 submissions checked" in call("results", "check")
    call("leaderboard", "build")
    assert "up to date" in call("leaderboard", "check")
    told = json.loads(call("leaderboard", "check", suite, "--json"))
    assert [board["suite"] for board in told["leaderboards"]] == ["tiny"]
    csv = Path("results/leaderboards/tiny.csv")
    csv.write_text(csv.read_text().replace("52", "99", 1))
    stale = failing("leaderboard", "check")
    assert isinstance(stale, StaleLeaderboard)
    assert "tiny.csv" in stale.message


def test_rows_that_are_only_in_submissions_are_reported_too(suite: str) -> None:
    call("results", "export", suite)
    told = json.loads(call("report", suite, "--json", "--state", "elsewhere"))
    assert told["counts"]["complete"] == 1


def test_invalid_submissions_stop_the_checks_with_code_5(suite: str) -> None:
    call("results", "export", suite)
    path = next(Path("results/submissions").iterdir())
    path.rename(path.with_name("tiny-000000000000.parquet"))
    for command in (("results", "check"), ("leaderboard", "check")):
        error = failing(*command)
        assert isinstance(error, InvalidResults)
        assert "the digest in the name" in error.message


def test_checks_of_an_empty_repository_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "0 leaderboards" in call("leaderboard", "check")
    assert "nothing to build" in call("leaderboard", "build")
    assert "no such folder" in str(failing("results", "check"))
    assert "no such folder" in str(failing("leaderboard", "check", "--results", "elsewhere"))


def test_rows_of_a_suite_that_is_not_here_stop_nobody(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's own suite: its rows are named and left out, and checked where its file is given."""
    call("results", "export", suite)

    def nowhere(name: str, **_: Any) -> Path:
        raise SuiteError(f"unknown suite {name!r}")

    monkeypatch.setattr("rtbench.suites.model.find_suite", nowhere)
    assert "0 leaderboards" in call("leaderboard", "check")
