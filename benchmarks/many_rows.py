"""Whole commands over 20 000 results: seconds, processor seconds and peak memory of each, medians of three.

Two suites, each the cells of mujoco-delta with 45 seeds (10 260 runs); all of the first and most of the second have
run, one in a hundred failed. The rows are in local state and in 20 submissions, made in a temporary folder; they are
made up, but have curves of 50 evaluations as real ones have.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import rtbench
from rtbench.backends.machine import fingerprint
from rtbench.parts import canonical_json
from rtbench.results.export import export
from rtbench.results.schema import new_row
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.model import load_suite

ROWS, SEEDS, FILES, REPEATS = 20_000, 45, 10, 3
WANTED_S = 2.0
SUITE = Path(rtbench.__file__).parents[1] / "suites" / "mujoco-delta.toml"
BUDGETS = {"many/one": "1_000_000", "many/two": "900_000"}
COMMANDS = {
    "status": ("status", "many/one"),
    "plan": ("plan", "many/one"),
    "plan, nothing run": ("plan", "many/one", "--state", "none", "--results", "none"),
    "report": ("report", "many/one"),
    "results check": ("results", "check"),
    "leaderboard build": ("leaderboard", "build"),
    "leaderboard check": ("leaderboard", "check"),
}
LIMITED = ("status", "plan", "plan, nothing run", "leaderboard build")


def write_suites(folder: Path) -> None:
    """A distribution with both suites, to be put on the path."""
    info = folder / "many-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: many\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rtbench.suites]\n" + "".join(f"{name} = many:find\n" for name in BUDGETS))
    (folder / "many.py").write_text(
        "from pathlib import Path\n\n\n"
        "def find(name):\n    return Path(__file__).with_name(name.replace('/', '-') + '.toml')\n"
    )
    shutil.copytree(SUITE.parent / "published", folder / "published")
    for name, steps in BUDGETS.items():
        text = SUITE.read_text().replace('"mujoco-delta"', f'"{name}"', 1).replace("1_000_000", steps, 1)
        (folder / f"{name.replace('/', '-')}.toml").write_text(text.replace("count = 5", f"count = {SEEDS}", 1))


def rows_of(name: str, cell: SuiteCell, draw: random.Random) -> list[dict[str, Any]]:
    """A plausible row for every run of a cell; some failed."""
    budget = cell.cell.budget
    steps = list(range(budget.eval_every, budget.steps + 1, budget.eval_every))
    counts = {"env_steps": budget.steps, "ticks": budget.steps, "updates": budget.steps, "wall_s": 7321.5}
    ages = {f"{kind}_age_{which}_steps": 3.0 for kind in ("observation", "oldest") for which in ("p50", "p95", "max")}
    first = new_row(
        cell.cell,
        0,
        suite=name,
        suite_revision=1,
        attempt=1,
        outcome={"status": "ok", "eval_return_final": 0.0, **counts, **ages},
        machine=fingerprint(1),
        provenance={"rtbench_version": "0", "dirty": False, "started_utc": "2026-01-02T03:04:05+00:00"},
    )
    rows = []
    for seed, run_id in zip(cell.seeds, cell.run_ids, strict=True):
        curve = [draw.gauss(1000.0, 300.0) for _ in steps]
        scores = {"eval_step": steps, "eval_return": curve, "eval_return_final": curve[-1]}
        if draw.random() < 0.01:
            scores = {"status": "failed", "reason": "training diverged", "eval_return_final": None}
        rows.append({**first, "seed": seed, "run_id": run_id, **scores})
    return rows


def generate(folder: Path) -> int:
    """Both suites' rows as local state and as submissions; how many there are."""
    draw = random.Random(0)
    rows: list[dict[str, Any]] = []
    for name in BUDGETS:
        rows += [row for cell in expand(load_suite(name)) for row in rows_of(name, cell, draw)]
    rows = rows[:ROWS]
    place = folder / ".rtbench" / "rows"
    place.mkdir(parents=True)
    for row in rows:
        present = {key: value for key, value in row.items() if value is not None}
        (place / f"{row['run_id']}.1.json").write_text(canonical_json(present))
    for name in BUDGETS:
        mine = [row for row in rows if row["suite"] == name]
        for part in range(FILES):
            export(mine[part::FILES], folder / "results" / "submissions", suite=name)
    return len(rows)


def measure(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak MiB of one command."""
    command = [sys.executable, "-m", "rtbench.cli.main", *arguments]
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def time_commands(folder: Path) -> None:
    """Start every command three times, in turn, and print the medians."""
    told: dict[str, list[tuple[float, float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, arguments in COMMANDS.items():
            told[name].append(measure(folder, arguments))
    for name, found in told.items():
        wall_s, cpu_s, peak = (median(values) for values in zip(*found, strict=True))
        verdict = f"({WANTED_S:g} s wanted: {'reached' if wall_s < WANTED_S else 'MISSED'})" if name in LIMITED else ""
        print(f"{name:20} {wall_s:6.2f} s   {cpu_s:6.2f} s of processor   {peak:5.0f} MiB   {verdict}".rstrip())


def main() -> None:
    """Make the rows, then time every command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="make the rows in this folder and keep them, or use what is there")
    kept = parser.parse_args().keep
    folder = kept or Path(tempfile.mkdtemp(prefix="many-rows-"))
    site = folder / "site"
    os.environ["PYTHONPATH"] = str(site)
    sys.path.insert(0, str(site))
    try:
        if not site.exists():
            write_suites(site)
            print(f"{generate(folder):,} rows")
        time_commands(folder)
    finally:
        if not kept:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
