"""Kills a real `rtbench` at random times and at every failpoint, continues it, and compares with one left alone.

Continuous integration calls it with small numbers (`test_torture.py`), `tox -e torture` with large ones (`main`), which
writes results/torture.log. It knows the command line, the state's rows and nothing of how processes are arranged.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.executors_common import command, finished

from rtbench import failpoints
from rtbench.learners.packing import unpack
from rtbench.results.rows import RowStore
from rtbench.results.schema import outcome_difference
from rtbench.results.store import FolderStore

SUITE = """
schema_version = 1
[suite]
name = "torture-{name}"
title = "Torture: {name}"
source = "a test"
revision = 1
[budget]
steps = {units}
unit = "{unit}"
eval_every = 400
eval_episodes = 1
final_eval_episodes = 2
wall_limit = "10min"
retries = 1000
[seeds]
base = 0
count = {seeds}
[axes]
environment = [{{ {environment} }}]
architecture = [{{ label = "net", width = 16, {network}, {architecture} }}]
interaction = [{{ {interaction} }}]
learner = [{{ {learner} }}]
[leaderboard]
metric = "eval_return"
reduce = "iqm"
group_by = ["architecture"]
"""
KINDS = ("segment", "checkpoint", "rows")
"""What a run writes that must never be lost; a leaderboard is written by another command."""
ALL_KINDS = (*KINDS, "leases", "progress")
"""All that a run writes."""
LEASE_S = "3"
MOST_COMMANDS, MOST_RUNS = 100, 10
TARGETS = ("runner", "process", "everything")


@dataclass(frozen=True)
class Case:
    """A suite of one cell."""

    name: str
    units: int = 1600
    unit: str = "ticks"
    seeds: int = 1
    architecture: str = 'skips = "from-obs", augmentation = "observation"'
    interaction: str = 'execution = "pipelined", delta = 1'
    environment: str = 'use = "mujoco", id = "Hopper-v4"'
    network: str = 'use = "mlp"'
    learner: str = 'use = "sac", learning_starts = 50, batch_size = 16, critic_width = 16'

    def write(self, folder: Path) -> Path:
        """The suite's file."""
        path = folder / f"torture-{self.name}.toml"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(SUITE.format(**vars(self)))
        return path


PLAIN = Case("plain")
CASES = (
    PLAIN,
    Case("lstm", architecture="lstm = true"),
    Case(
        "staggered",
        architecture="layers = 2",
        interaction='execution = "sequential", latency = { lognormal = "40ms", cv = 0.3 }, on_reset = "continue", '
        'scheduler = "staggered-max", processes = 3',
    ),
    Case("batch", seeds=3, interaction='execution = "pipelined", delta = 1.5'),
    Case(
        "ppo",
        environment='use = "minatar", game = "asterix", max_steps = 60',
        network='use = "cnn", channels = [4, 4, 4]',
        architecture='skips = "to-action-res", lstm = true, last_action = "observation"',
        interaction='execution = "pipelined", delta = 2, default_policy = "noop"',
        learner='use = "ppo", environments = 4, rollout = 16, epochs = 2',
    ),
    Case(
        "ppo-minigrid",
        units=1000,
        environment='use = "minigrid", id = "MiniGrid-DoorKey-5x5-v0", max_steps = 40',
        network='use = "cnn", convolutions = "minigrid", channels = [4, 4, 4]',
        architecture='skips = "from-obs", frames = 3',
        interaction='execution = "pipelined", delta = 0.4',
        learner='use = "ppo", environments = 4, rollout = 16, epochs = 2, conventions = "published-code"',
    ),
    Case(
        "dqn",
        unit="env_steps",
        environment='use = "minatar", game = "asterix", max_steps = 60',
        network='use = "cnn"',
        architecture="channels = [3, 4, 3]",
        interaction='execution = "sequential", latency = "100ms", learning = "150ms", default_policy = "noop", '
        'on_reset = "continue"',
        learner='use = "dqn", learning_starts = 40, epsilon_steps = 200, learners = 2, prioritised = true',
    ),
)


@dataclass
class Told:
    """What happened, in numbers and lines."""

    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def line(self, text: str) -> None:
        """One line, also to whoever watches."""
        self.lines.append(text)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


class Torture:
    """One case: run whole once, then killed in all ways, each time compared with the whole one."""

    def __init__(self, case: Case, folder: Path, told: Told) -> None:
        self.case, self.folder, self.told = case, folder, told
        self.suite = case.write(folder)
        self._states = (folder / f"state-{number}" for number in itertools.count(1))
        self.whole = folder / "whole"
        begin = time.monotonic()
        code, out, err = finished(self.command(self.whole))
        assert code == 0, out + err
        self.whole_s = time.monotonic() - begin
        self.rows = rows(self.whole)
        self.digest = self._leaderboard(self.whole)
        told.line(f"{case.name}: {case.units} {case.unit}, {case.seeds} seed(s), whole in {self.whole_s:.1f} s")

    # ---- kills at random times -------------------------------------------------------------------------------------

    def random_kills(self, kills: int, rng: random.Random) -> None:
        """That many kills; each run so treated is compared at its end."""
        left = kills
        while left > 0:
            state = next(self._states)
            left -= self._chain(state, left, rng)
            self._compare(state)

    def _chain(self, state: Path, kills: int, rng: random.Random) -> int:
        """Runs one suite to its end through at most that many kills; how many there were."""
        killed = 0
        for _ in range(MOST_COMMANDS):
            with started(self.command(state)) as process:
                while killed < kills and not ended(process, wait_s=rng.uniform(0.2, self.whole_s)):
                    killed += 1
                    target = kill(process, rng)
                    self.told.counts[f"kills of {target}"] += 1
                    at = f"{progress(state)} of {self.case.units} {self.case.unit}"
                    self.told.line(f"  {self.case.name}: kill of {target}, newest checkpoint at {at}")
                if self._done(process):
                    return killed
        raise AssertionError(f"{self.case.name}: not done after {MOST_COMMANDS} commands")

    # ---- kills at failpoints ---------------------------------------------------------------------------------------

    def failpoints(self, points: Sequence[str], reached: int = 1) -> None:
        """Every point once, at the time it is reached by a process; the same command again until it is done."""
        fired = self.folder / f"fired-{reached}"
        environment = armed(points, fired, reached)
        for _ in range(MOST_RUNS):
            state = next(self._states)
            for _ in range(MOST_COMMANDS):
                with started(self.command(state, **environment)) as process:
                    if self._done(process):
                        break
            self._compare(state)
            if len(list(fired.iterdir())) == len(points):
                break
        assert sorted(mark.name for mark in fired.iterdir()) == sorted(points)
        self.told.counts["kills at failpoints"] += len(points)
        self.told.line(f"  {self.case.name}: killed at {len(points)} failpoints, reached for time {reached}")

    def leaderboard_failpoints(self, reached: Sequence[int]) -> None:
        """`leaderboard build` over an old leaderboard, killed at every stage of the files named by `reached`."""
        for number in reached:
            results = self.folder / f"results-{number}"
            shutil.copytree(self.folder / "results-whole", results)
            board = results / "leaderboards" / f"torture-{self.case.name}.csv"
            board.write_text("old")
            points = [f"leaderboard.{stage}" for stage in failpoints.STAGES]
            fired = results / "fired"
            codes = []
            for _ in range(len(points) + 1):
                code, out, err = finished(self._build(results, **armed(points, fired, number)))
                codes.append(code)
                content = board.read_text()
                assert content == "old" or content.startswith("profile,"), content
            assert codes == [-signal.SIGKILL] * len(points) + [0], out + err
            assert json.loads(out)["leaderboards"][0]["digest"] == self.digest
            code, out, err = finished(command("leaderboard", "check", self.suite, "--results", results))
            assert code == 0, out + err
            self.told.counts["kills at failpoints"] += len(points)
            self.told.line(f"  {self.case.name}: leaderboard build killed at {len(points)} failpoints, file {number}")

    # ---- shared ----------------------------------------------------------------------------------------------------

    def command(self, state: Path, **environment: str) -> subprocess.Popen[str]:
        """A real `rtbench run` of the case."""
        batch = ("--batch", str(self.case.seeds))
        return command("run", self.suite, "--state", state, *batch, RTBENCH_LEASE_SECONDS=LEASE_S, **environment)

    def _build(self, results: Path, **environment: str) -> subprocess.Popen[str]:
        return command("leaderboard", "build", self.suite, "--results", results, "--json", **environment)

    def _done(self, process: subprocess.Popen[str]) -> bool:
        code, out, err = finished(process)
        self.told.counts["commands"] += 1
        self.told.counts["continuations"] += (out + err).count("continues at")
        assert "Traceback" not in err, err
        return code == 0

    def _compare(self, state: Path) -> None:
        """The newest rows of both are equal in every outcome column, and so are the leaderboards."""
        found = rows(state)
        assert found.keys() == self.rows.keys()
        differences = {run: outcome_difference(self.rows[run], found[run]) for run in found}
        equal = not any(differences.values()) and self._leaderboard(state) == self.digest
        self.told.counts["runs equal" if equal else "runs different"] += len(found)
        self.told.counts["checkpoint folders left behind"] += len(list(state.glob("checkpoints/*")))
        self.told.counts["attempts"] += sum(row["attempt"] for row in found.values())
        assert equal, differences

    def _leaderboard(self, state: Path) -> str:
        """The digest of the leaderboard that a state's rows give."""
        results = self.folder / f"results-{state.name}"
        export = ("results", "export", self.suite, "--state", state, "--results", results, "--allow-dirty")
        for start in (lambda: command(*export), lambda: self._build(results)):
            code, out, err = finished(start())
            assert code == 0, out + err
        digest: str = json.loads(out)["leaderboards"][0]["digest"]
        return digest


def rows(state: Path) -> dict[str, dict[str, Any]]:
    """The newest row of every run; all have succeeded."""
    found = RowStore(FolderStore(state)).latest()
    assert {row["status"] for row in found.values()} == {"ok"}, [row["reason"] for row in found.values()]
    return found


def armed(points: Sequence[str], fired: Path, reached: int) -> dict[str, str]:
    """The environment in which each point kills one process, the one that reaches it for that time first."""
    setting = ",".join(f"{point}=kill@{reached}" for point in points)
    return {failpoints.VARIABLE: setting, failpoints.FIRED: str(fired)}


def progress(state: Path) -> int:
    """Units behind the newest checkpoint."""
    for path in sorted(state.glob("checkpoints/*/state-*.pt"), reverse=True):
        with contextlib.suppress(OSError):
            done: int = unpack(bytearray(path.read_bytes()))["program"]["done_units"]
            return done
    return 0


# ---- processes -------------------------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and those that these have, from the system's table."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            parents[int(name.split()[0])] = int(rest.split()[1])
    found: list[int] = []
    new = [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def kill(process: subprocess.Popen[str], rng: random.Random) -> str:
    """Kill the runner, one of its processes, or everything at once; what was killed."""
    target, below = rng.choice(TARGETS), descendants(process.pid)
    if not below:
        target = "runner"
    victims = {"runner": [process.pid], "process": [rng.choice(below or [0])], "everything": [process.pid, *below]}
    for pid in victims[target]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return target


def ended(process: subprocess.Popen[str], wait_s: float) -> bool:
    """Whether it ends within a time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)
    return process.poll() is not None


def kill_all(process: subprocess.Popen[str]) -> None:
    """The process and all below it."""
    for pid in (*descendants(process.pid), process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def started(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the test, even where that fails."""
    try:
        yield process
    finally:
        if process.poll() is None:
            kill_all(process)
            process.communicate()


# ---- by hand ---------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """All of it in large numbers; writes a log."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=30, help="at random times, over all cases")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args(arguments)
    told, rng, begin = Told(), random.Random(given.seed), time.monotonic()
    told.counts["runs different"] = 0
    told.line(f"torture of {datetime.now(UTC):%Y-%m-%d}, seed {given.seed}, {os.cpu_count()} cores")
    failed = 0
    for number, case in enumerate(CASES):
        kills = given.kills // len(CASES) + (number < given.kills % len(CASES))
        with tempfile.TemporaryDirectory(prefix="rtbench-torture-") as folder:
            try:
                all_of_it(Torture(case, Path(folder), told), kills, rng)
            except AssertionError as error:
                failed = 1
                told.line(f"  {case.name}: FAILED: {error}")
    told.line("")
    for name, count in sorted(told.counts.items()):
        told.line(f"{name}: {count}")
    told.line(f"in {time.monotonic() - begin:.0f} s")
    given.log.write_text("\n".join(told.lines) + "\n")
    return failed


def all_of_it(torture: Torture, kills: int, rng: random.Random) -> None:
    """Everything that is done to one case; most to the plain one."""
    plain = torture.case is PLAIN
    torture.random_kills(kills, rng)
    for kinds, reached in ((ALL_KINDS, 1), (KINDS[:2], 3)) if plain else ((KINDS[:2], 2),):
        torture.failpoints(points(kinds), reached)
    torture.leaderboard_failpoints((1, 2, 3, 4) if plain else (2,))


def points(kinds: Sequence[str]) -> list[str]:
    """All failpoints of some kinds."""
    return [f"{kind}.{stage}" for kind in kinds for stage in failpoints.STAGES]


if __name__ == "__main__":
    sys.exit(main())
