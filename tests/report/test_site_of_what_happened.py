"""What a site shows beside rows: timelines of the wall clock, where return is lost, whether the clocks agree."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import printed, printed_json
from helpers.cycle_suite import cycle_suite
from helpers.samples import hand_row

from rtbench.cli.main import run_command_line
from rtbench.interaction.timing import timeline_of
from rtbench.realtime.recording import Recording, Stretch, recording_key
from rtbench.results.export import export
from rtbench.results.rows import RowStore
from rtbench.results.store import FolderStore
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.model import load_suite

LEADERBOARD = """
[leaderboard]
group_by = ["environment", "interaction.processes"]
"""
WALL = """
    { clock = "wall", execution = "sequential", scheduler = "staggered-slots", processes = 1 },
    { clock = "wall", execution = "sequential", scheduler = "staggered-slots", processes = 2 },
"""
VIRTUAL = """
    { execution = "instant", default_policy = "noop" },
    { execution = "sequential", default_policy = "noop", latency = "25ms" },
"""
SLOWER = '    { execution = "sequential", default_policy = "noop", latency = "45ms" },\n'
STEPS = 60


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(interaction: str, learner: str) -> str:
    Path("mine.toml").write_text(cycle_suite(interaction, learner=learner, more=LEADERBOARD))
    return "mine.toml"


def recorded(cell: SuiteCell) -> Recording:
    """Two stretches of a cell's interaction as the virtual clock says it, an inference taking 2.5 steps."""

    from dataclasses import replace

    from rtbench.interaction.latency import Latency

    there = replace(cell.cell.interaction, clock="virtual", latency=Latency("constant", mean_s=0.025))
    line = timeline_of(there, 1, 0.01, STEPS, 0, "test")
    none = np.zeros(len(line.process), np.int64)
    one = Stretch(line, np.ones(STEPS), np.zeros(STEPS, np.int64), (STEPS,), none, none, none, none)
    return Recording((one, one), there.processes, True, 1_000_000, 1.0)


def kept(cells: list[SuiteCell]) -> list[str]:
    """A row of every cell in the local state, and recordings of all but the last; the ids of the runs."""
    store = FolderStore(Path(".rtbench"))
    runs = []
    for cell in cells:
        row = hand_row(cell.cell, 0, clock="wall", suite="mine", suite_revision=1)
        RowStore(store).write(row)
        runs.append(str(row["run_id"]))
    for cell, run in zip(cells[:-1], runs, strict=False):
        store.replace(recording_key(run), recorded(cell).to_bytes())
    return runs


def names(run: str, count: int = 1) -> list[str]:
    """What the pictures of a run are called, from the site."""
    found = [path.stem for path in Path("pages/suites/mine/figures").glob(f"happened-{run[:12]}-*.svg")]
    assert len(found) == count
    return found


def pictures(page: Path) -> list[str]:
    return re.findall(r'<figure class="picture" id="(happened-[^"]+)"', page.read_text(encoding="utf-8"))


def test_what_happened_on_the_wall_clock_is_drawn(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the middle of the run on, which is the second stretch's first step, 0.6 s of its world's time."""
    suite = written(WALL, "untrained")
    runs = kept([cell for cell in expand(load_suite(suite), support=False) if not cell.excluded])
    printed_json(capsys, "report", suite, "--html", "pages")
    page = Path("pages/suites/mine/index.html")
    assert pictures(page) == names(runs[0])
    assert "As it happened on the wall clock, from 0.6 s of the run on." in page.read_text(encoding="utf-8")
    shown = [name for name in Path("pages/suites/mine").glob("*.html") if name.name != "index.html" and pictures(name)]
    assert len(shown) == 1  # the page of the cell that has one


def test_timelines_are_exported_and_then_shown_without_the_state(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = written(WALL, "untrained")
    runs = kept([cell for cell in expand(load_suite(suite), support=False) if not cell.excluded])
    told = printed_json(capsys, "results", "export", suite, "--allow-dirty")
    assert told["timelines"] == []
    told = printed_json(capsys, "results", "export", suite, "--allow-dirty", "--timelines")
    (kept_there,) = told["timelines"]
    assert told["written"] is None
    assert kept_there.startswith(f"results/timelines/{runs[0]}-")
    printed(capsys, "results", "check")
    again = printed_json(capsys, "results", "export", suite, "--allow-dirty", "--timelines")
    assert again["timelines"] == []
    printed_json(capsys, "report", suite, "--html", "pages", "--state", "nothing")
    assert pictures(Path("pages/suites/mine/index.html")) == names(runs[0])
    told = printed_json(capsys, "describe", "timeline", runs[0][:10], "--state", "nothing", "--seconds", "0.1")
    assert told["inferences"]
    Path(kept_there).write_bytes(b"no Parquet")
    assert run_command_line(["results", "check"]) == 5
    assert "no recording of a run" in capsys.readouterr().err
    Path(kept_there).rename("results/timelines/other.parquet")
    assert run_command_line(["results", "check"]) == 5
    assert "no submitted row" in capsys.readouterr().err


def test_a_timeline_is_shown_beside_the_row_it_belongs_to(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same run of another machine, submitted without a recording: ours stays beside our row."""
    suite = written(WALL, "untrained")
    cells = [cell for cell in expand(load_suite(suite), support=False) if not cell.excluded]
    runs = kept(cells)
    other = hand_row(cells[0].cell, 0, clock="wall", suite="mine", suite_revision=1, machine_class="another machine")
    export([other], Path("results/submissions"), suite="mine", allow_dirty=True)
    printed_json(capsys, "report", suite, "--html", "pages")
    names(runs[0], count=1)
    printed_json(capsys, "report", suite, "--html", "pages", "--state", "nothing")
    names(runs[0], count=0)


def test_a_recording_whose_columns_do_not_belong_together_stops_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = written(WALL, "untrained")
    cells = [cell for cell in expand(load_suite(suite), support=False) if not cell.excluded]
    runs, whole = kept(cells), recorded(cells[0])
    odd = dataclasses.replace(whole.stretches[0], rewards=np.ones(STEPS - 1))
    Path(".rtbench", recording_key(runs[0])).write_bytes(dataclasses.replace(whole, stretches=(odd,)).to_bytes())
    assert run_command_line(["report", suite, "--html", "pages"]) == 0
    assert "do not belong together" in capsys.readouterr().err
    assert run_command_line(["results", "export", suite, "--allow-dirty", "--timelines"]) == 5


def test_a_damaged_timeline_is_named_and_the_site_built(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = written(WALL, "untrained")
    runs = kept([cell for cell in expand(load_suite(suite), support=False) if not cell.excluded])
    Path(".rtbench", recording_key(runs[0])).write_bytes(b"no Parquet")
    assert run_command_line(["report", suite, "--html", "pages"]) == 0
    assert runs[0] in capsys.readouterr().err
    assert pictures(Path("pages/suites/mine/index.html")) == []


def test_lost_return_is_drawn_once_its_worlds_were_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An inference takes three of the steps: as `rtbench regret` says, 41 of 60 are lost by inaction."""
    suite = written(VIRTUAL, "known")
    assert run_command_line(["run", suite, "--yes"]) == 0
    capsys.readouterr()
    printed_json(capsys, "report", suite, "--html", "pages")
    assert not list(Path("pages/suites/mine/figures").glob("regret-*"))
    told = printed_json(capsys, "regret", suite)
    printed_json(capsys, "report", suite, "--html", "pages")
    with Path("pages/suites/mine/figures/regret-1.csv").open(newline="") as file:
        rows = {row["value"]: row for row in csv.DictReader(file)}
    found: Any = next(cell for cell in told["cells"] if cell["execution"] == "sequential")
    assert float(rows["inaction"]["y"]) == 41
    assert {name: float(row["y"]) for name, row in rows.items()} == pytest.approx(
        {name: found[name]["value"] for name in ("inaction", "delay", "learning")}
    )
    printed(capsys, "results", "export", suite, "--allow-dirty")
    printed_json(capsys, "report", suite, "--html", "elsewhere", "--state", "nothing")
    assert (
        Path("elsewhere/suites/mine/figures/regret-1.csv").read_bytes()
        == Path("pages/suites/mine/figures/regret-1.csv").read_bytes()
    )


def test_cells_that_columns_do_not_tell_apart_have_bars_of_their_own(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two latencies, and `group_by` the architecture alone."""
    grouped = 'group_by = ["environment", "interaction.processes"]'
    suite = Path(written(VIRTUAL + SLOWER, "known"))
    assert grouped in suite.read_text()
    suite.write_text(suite.read_text().replace(grouped, 'group_by = ["environment", "architecture"]'))
    told = printed_json(capsys, "regret", str(suite))
    printed_json(capsys, "report", str(suite), "--html", "pages")
    with Path("pages/suites/mine/figures/regret-1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["x"] for row in rows}) == 2
    assert len({(row["x"], row["value"]) for row in rows}) == len(rows) == 6
    lost = {cell["inaction"]["value"] for cell in told["cells"] if cell["execution"] == "sequential"}
    assert {float(row["y"]) for row in rows if row["value"] == "inaction"} == lost


def test_bars_are_of_the_rows_that_the_table_shows(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two finished rows of a run the earlier one counts, here and there."""
    suite = written(VIRTUAL, "known")
    printed_json(capsys, "regret", suite)
    printed_json(capsys, "report", suite, "--html", "pages")
    drawn = Path("pages/suites/mine/figures/regret-1.csv").read_bytes()
    store = RowStore(FolderStore(Path(".rtbench")))
    row = next(row for row in store.rows() if json.loads(row["interaction_json"])["execution"] == "sequential")
    later = {**row, "started_utc": "2999-01-01T00:00:00+00:00", "eval_return_final": 1e6}
    export([later], Path("results/submissions"), suite="mine", allow_dirty=True)
    printed_json(capsys, "report", suite, "--html", "pages")
    assert Path("pages/suites/mine/figures/regret-1.csv").read_bytes() == drawn


def test_comparisons_of_the_clocks_have_a_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    cell = {"environment": "w", "scheduler": "<b>", "processes": 2, "execution": "sequential", "method": "m"}
    common = {**cell, "epsilon": 0.0, "steps": 7, "lateness_p99_us": 1.0, "why": "", "cpu": "a machine"}
    rows = [
        {**common, "quantity": name, "wall_mean": 2.0, "virtual_mean": 1.5, "distance": 0.5, "verdict": verdict}
        for name, verdict in (("interval", "agrees"), ("age", "differs"), ("inaction", "agrees"))
    ]
    noisy = [{**row, "verdict": "within noise"} for row in rows]
    agreeing = [{**row, "verdict": "agrees"} for row in rows]  # another cell of the same name
    failed = {**rows[0], **dict.fromkeys(("quantity", "wall_mean", "virtual_mean", "distance", "verdict")), "why": "no"}
    Path("results/parity").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([*noisy, *agreeing, failed]), "results/parity/both.parquet")
    Path("results/parity/half.parquet").write_bytes(b"half")
    assert run_command_line(["report", "--html", "pages", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["suites"] == []
    assert "half.parquet" in told.err
    page = Path("pages/parity/both.html").read_text(encoding="utf-8")
    assert "1 of 3 cells agree, 1 within noise; a machine" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "2.000 · 1.500 (distance 0.500)" in page
    assert 'href="parity/both.html"' in Path("pages/index.html").read_text(encoding="utf-8")
