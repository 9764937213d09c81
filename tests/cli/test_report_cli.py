"""`rtbench report --html`, once and live, and `results check --against`, as they are typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.command_line import printed, printed_json
from helpers.samples import suite_with_three_runs

from rtbench.cli.main import run_command_line

PATIENCE_S = 60


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite and three runs of one cell in the local state of the working folder."""
    return suite_with_three_runs(tmp_path, monkeypatch)


def test_a_site_of_local_and_submitted_rows(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed_json(capsys, "report", suite, "--html", "pages")
    assert (told["suites"], told["page"]) == (["tiny"], "pages/index.html")
    page = Path("pages/suites/tiny/index.html").read_text(encoding="utf-8")
    assert "3/3" in page
    assert "52 ± 7.572" in page
    again = printed_json(capsys, "report", suite, "--html", "pages")
    assert again["written"] == 0
    assert not Path("pages/assets/live.js").exists()


def test_without_a_suite_the_site_is_of_all_that_have_rows(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed_json(capsys, "report", "--html", "pages")
    assert told["suites"] == ["tiny"]
    assert "A tiny suite" in Path("pages/index.html").read_text(encoding="utf-8")


def test_what_cannot_be_meant_is_said(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["report"]) == 2
    assert "--html DIR for a site of all suites" in capsys.readouterr().err
    assert run_command_line(["report", suite, "--live"]) == 2
    assert "name its folder" in capsys.readouterr().err
    Path("full").mkdir()
    Path("full/mine.txt").write_text("x")
    assert run_command_line(["report", suite, "--html", "full"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_rows_that_cannot_be_read_are_named_on_the_page_and_on_the_error_stream(
    suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".rtbench/rows/half.1.json").write_text("{")
    assert run_command_line(["report", suite, "--html", "pages"]) == 0
    assert "half.1.json" in capsys.readouterr().err
    assert "half.1.json" in Path("pages/index.html").read_text(encoding="utf-8")


def wait_for(path: Path, text: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not (path.is_file() and text in path.read_text(encoding="utf-8")):
        assert time.monotonic() < until, f"no {text!r} in {path}"
        time.sleep(0.1)


def test_a_live_site_follows_its_rows_until_it_is_interrupted(tmp_path: Path) -> None:
    """A real process: a row appears, the pages change; Ctrl-C leaves a site that looks for nothing any more."""
    command = [sys.executable, "-m", "rtbench.cli.main", "report", "quickstart", "--html", "pages", "--live"]
    command += ["--every", "0.5", "--state", "state", "--results", "results"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            page = tmp_path / "pages" / "index.html"
            wait_for(page, "No rows yet")
            assert (tmp_path / "pages" / "assets" / "live.js").is_file()
            rows = tmp_path / "state" / "rows"
            rows.mkdir(parents=True)
            (rows / "half.1.json").write_text("{")
            wait_for(page, "half.1.json")
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 130, told
    assert "data-live" not in page.read_text(encoding="utf-8")
    assert not (tmp_path / "pages" / "assets" / "live.js").exists()


def test_submissions_are_checked_against_a_commit(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "suites")
    git("commit", "-qm", "one")
    written = json.loads(printed(capsys, "results", "export", suite, "--allow-dirty", "--json"))["written"]
    told = printed_json(capsys, "results", "check", "--against", "main")
    assert told["added"] == [Path(written).name]
    git("add", "results")
    git("commit", "-qm", "two")
    Path(written).unlink()
    assert run_command_line(["results", "check", "--against", "main"]) == 5
    assert "append-only" in capsys.readouterr().err


def test_a_submission_that_is_too_large_is_refused(
    suite: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(capsys, "results", "export", suite, "--allow-dirty")
    monkeypatch.setattr("rtbench.results.checking.LARGEST_BYTES", 1_000)
    assert run_command_line(["results", "check"]) == 5
    assert "more than 1,000" in capsys.readouterr().err


def test_runs_under_way_are_told(suite: str) -> None:
    from rtbench.cli.report_site import _running
    from rtbench.suites.expand import expand
    from rtbench.suites.model import load_suite

    loaded = load_suite(suite)
    run_id = expand(loaded)[0].run_ids[1]
    Path(".rtbench/progress").mkdir()
    told = {
        "run_ids": [run_id],
        "title": "net",
        "done_units": 250,
        "total_units": 1000,
        "units_per_s": 8,
        "unit": "ticks",
    }
    Path(".rtbench/progress/one.json").write_text(json.dumps(told))
    Path(".rtbench/progress/other.json").write_text(json.dumps({**told, "run_ids": ["f" * 64]}))
    (found,) = _running([loaded], Path(".rtbench"))
    assert found == {
        **{"suite": "tiny", "title": "net", "share": 0.25, "units_per_s": 8, "unit": "ticks"},
        "alive": False,  # nobody holds its lease
    }
