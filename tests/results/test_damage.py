"""Damaged files under whole commands: named with what to do next; counted nowhere; nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from helpers.samples import suite_with_three_runs
from typer.testing import CliRunner, Result

from rtbench.cli import report as reporting
from rtbench.cli import results as commands
from rtbench.cli import running
from rtbench.errors import InvalidResults, RtbenchError, StaleLeaderboard

app = typer.Typer()
for command in (reporting.report, running.plan, running.status):
    app.command(command.__name__)(command)
app.add_typer(commands.leaderboard, name="leaderboard")
app.add_typer(commands.results, name="results")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three runs of one cell in local state and in a submission, with a leaderboard."""
    path = suite_with_three_runs(tmp_path, monkeypatch)
    call("results", "export", path)
    call("leaderboard", "build")
    return path


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def failing(*arguments: str) -> RtbenchError:
    error = CliRunner().invoke(app, list(arguments)).exception
    assert isinstance(error, RtbenchError)
    return error


def tree() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file() and "site" not in path.parts}


def submission() -> Path:
    return next(Path("results/submissions").glob("*.parquet"))


def first_row() -> Path:
    return min(Path(".rtbench/rows").iterdir())


@pytest.mark.parametrize("command", ["status", "plan", "report"])
@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"PAR1"])
def test_a_damaged_row_is_named_and_its_run_is_to_be_made(suite: str, command: str, damage: bytes) -> None:
    submission().unlink()
    first_row().write_bytes(damage)
    (Path(".rtbench/rows") / "my notes.txt").write_text("hello")
    before = tree()
    told = call(command, suite)
    for path in (first_row(), Path(".rtbench/rows/my notes.txt")):
        assert f"set aside, not counted: {path}: " in told.stderr
    assert "next: put these files back" in told.stderr
    assert {"status": "2 done", "plan": "2 done", "report": "2/3"}[command] in told.stdout
    assert tree() == before


@pytest.mark.parametrize("damage", [b"", b"PAR1", None])
def test_a_damaged_submission_stops_what_builds_on_it(suite: str, damage: bytes | None) -> None:
    path = submission()
    path.write_bytes(path.read_bytes()[:500] if damage is None else damage)
    before = tree()
    for command in (("leaderboard", "build"), ("leaderboard", "check"), ("results", "check")):
        error = failing(*command)
        assert isinstance(error, InvalidResults)
        assert path.name in str(error)
        assert "next: put the file back" in str(error)
    told = call("report", suite, "--state", "nowhere")
    assert f"set aside, not counted: {path}: " in told.stderr
    assert "0/3" in told.stdout
    assert f"not counted: {path}: " in call("plan", suite).stderr
    assert tree() == before


def test_export_writes_anew_what_was_damaged_and_keeps_the_damaged_file(suite: str) -> None:
    path = submission()
    whole, damage = path.read_bytes(), path.read_bytes()[:700]
    path.write_bytes(damage)
    told = call("results", "export", suite)
    assert f"wrote {path}" in told.stdout
    assert str(path) in told.stderr
    assert path.read_bytes() == whole
    assert Path(f"{path}.unreadable").read_bytes() == damage
    call("results", "check")
    call("leaderboard", "check")


def test_export_without_a_damaged_row_names_it(suite: str) -> None:
    submission().unlink()
    first_row().write_bytes(b"")
    told = call("results", "export", suite, "--json")
    assert '"rows": 2' in told.stdout
    assert str(first_row()) in told.stderr


@pytest.mark.parametrize("name", ["tiny.parquet", "tiny.csv", "tiny.md", "DIGESTS"])
def test_a_damaged_leaderboard_is_named_and_mended_by_building(suite: str, name: str) -> None:
    path = Path("results/leaderboards") / name
    whole = path.read_bytes()
    path.write_bytes(b"\xff\xfe")
    before = tree()
    error = failing("leaderboard", "check")
    assert isinstance(error, InvalidResults if name == "DIGESTS" else StaleLeaderboard)
    assert name in str(error)
    assert "leaderboard build" in error.hint
    assert tree() == before
    if name == "DIGESTS":  # other suites' lines might be in it
        assert isinstance(failing("leaderboard", "build"), InvalidResults)
        assert tree() == before
        path.unlink()
    call("leaderboard", "build")
    call("leaderboard", "check")
    assert path.read_bytes() == whole
