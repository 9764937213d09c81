"""The examples run as they are typed, and print what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
ARGUMENTS = {"stable_baselines": ["128"]}


def run(name: str, folder: Path) -> str:
    """What an example prints, started from another folder, with one thread of arithmetic."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *ARGUMENTS.get(name, [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_policy_under_delay(tmp_path: Path) -> None:
    lines = run("policy_under_delay", tmp_path).splitlines()[1:]
    returns = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert returns["40ms"] == returns["10ms"] == 200.0  # it still balances one step late
    assert returns["60ms"] < 50.0  # and falls two steps late
    assert returns["lognormal:40ms:0.1"] < 50.0  # or where inference is only sometimes too slow


def test_a_control_loop(tmp_path: Path) -> None:
    lines = run("control_loop", tmp_path).splitlines()
    assert [line.split(":")[0] for line in lines] == ["1 process", "4 processes"]
    assert all(re.search(r"\d+% of the steps without a new action", line) for line in lines)


def test_an_architecture(tmp_path: Path) -> None:
    printed = run("architecture", tmp_path)
    assert re.search(r"delta 1 +chain +4\n", printed)
    assert re.search(r"delta 1 +skips +1, 2, 3, 4\n", printed)
    assert re.search(r"delta 2 +skips +2, 4, 6, 8\n", printed)
    # three hidden layers and a head with biases, by hand; two hidden layers and the head read observations as well
    chain = (17 + 1) * 256 + 2 * (256 + 1) * 256 + (256 + 1) * 12
    assert f"{chain:,} parameters as a chain, {chain + 17 * (256 + 256 + 12):,} with skips" in printed


def test_rows_with_pandas(tmp_path: Path) -> None:
    printed = run("rows_with_pandas", tmp_path)
    assert re.match(r"\d+ runs of \d+ suites", printed)
    assert "from-obs" in printed


def test_stable_baselines(tmp_path: Path) -> None:
    lines = run("stable_baselines", tmp_path).splitlines()
    assert [line[0] for line in lines] == ["0", "3"]
    assert all(re.search(r"upright for \d+ steps", line) for line in lines)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_is_short_tested_and_listed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"`{path.name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert path.stem == "balance" or f'run("{path.stem}"' in Path(__file__).read_text(encoding="utf-8")
