"""Real processes, real kills: what is interrupted goes on exactly, what fails stops nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.distribution import write_distribution
from helpers.executors_common import command, eventually, finished, only_row, run, suite

from rtbench.results.rows import RowStore
from rtbench.results.schema import outcome_difference
from rtbench.results.store import FolderStore


def wait_for_checkpoint(state, process, generation):
    """Until the checkpoint's generation is there, or the process ended."""
    wanted = f"state-*-{generation:08d}.pt"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(Path(state).glob(f"checkpoints/*/{wanted}")):
            return True
        time.sleep(0.02)
    return False


def workers(state):
    """Process ids of the workers that told of their progress."""
    return [json.loads(path.read_text())["pid"] for path in Path(state).glob("progress/*.json")]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    code, out, err = run(suite(folder, steps=3000), folder / "state")
    assert code == 0, out + err
    return only_row(folder / "state")


def test_killed_runner_continues_exactly(tmp_path, uninterrupted):
    """kill −9 of the runner, twice, at different checkpoints; its worker ends too; the third run finishes equally."""
    path, state = suite(tmp_path, steps=3000), tmp_path / "state"
    kills = 0
    for generation in (2, 5):
        process = command("run", path, "--state", state)
        if wait_for_checkpoint(state, process, generation):
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
        deadline = time.monotonic() + 30  # the orphan is told by the kernel and stops by itself
        while any(_alive(pid) for pid in workers(state)) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert kills == 2
    code, out, err = run(path, state)
    assert code == 0, out + err
    assert "continues at" in err
    assert outcome_difference(uninterrupted, only_row(state)) == []


def test_killed_worker_is_tried_again_from_its_checkpoint(tmp_path, uninterrupted):
    path, state = suite(tmp_path, steps=3000, retries=1), tmp_path / "state"
    process = command("run", path, "--state", state)
    assert wait_for_checkpoint(state, process, 2)
    for _ in range(200):
        if workers(state):
            break
        time.sleep(0.02)
    os.kill(workers(state)[0], signal.SIGKILL)
    code, out, err = finished(process)
    assert code == 0, out + err
    assert "killed by signal 9" in out + err
    row = only_row(state)
    assert row["attempt"] == 2
    assert outcome_difference(uninterrupted, row) == []


@pytest.mark.parametrize(
    ("number", "background"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)]
)
def test_interrupted_runner_keeps_everything(tmp_path, uninterrupted, number, background):
    """Ctrl-C and SIGTERM: exit 130, an interrupted row, and the same command goes on."""
    path, state = suite(tmp_path, steps=3000), tmp_path / "state"
    process = command("run", path, "--state", state, background=background)
    assert wait_for_checkpoint(state, process, 1)
    process.send_signal(number)
    code, out, err = finished(process, timeout=60)
    assert code == 130, out + err
    assert "Continue with" in out
    assert only_row(state)["status"] == "interrupted"
    status = json.loads(finished(command("status", path, "--state", state, "--json"))[1])
    assert status["counts"] == {"interrupted": 1}
    code, out, err = run(path, state)
    assert code == 0, out + err
    assert outcome_difference(uninterrupted, only_row(state)) == []


def test_a_whole_group_that_is_asked_to_stop_loses_nothing(tmp_path, uninterrupted):
    """As a batch system does it: SIGTERM to the runner, the warm parent and the worker at once."""
    path, state = suite(tmp_path, steps=3000), tmp_path / "state"
    process = command("run", path, "--state", state, RTBENCH_CHECKPOINT_SECONDS="1000")
    assert eventually(lambda: any(told["done_units"] > 300 for told in progress(state)))
    for pid in [*descendants(process.pid), process.pid]:
        os.kill(pid, signal.SIGTERM)
    code, out, err = finished(process, timeout=60)
    assert code == 130, out + err
    assert "asked to stop; run the same command again" in only_row(state)["reason"]
    assert list(Path(state).glob("checkpoints/*/state-*.pt")), "no checkpoint was due: it was written on being asked"
    code, out, err = run(path, state)
    assert code == 0, out + err
    assert "continues at" in err
    assert outcome_difference(uninterrupted, only_row(state)) == []


def progress(state):
    return [json.loads(path.read_text()) for path in Path(state).glob("progress/*.json")]


def descendants(pid):
    """Process ids of all that descend from a process."""
    children = [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(deeper for child in children for deeper in descendants(child))]


BROKEN = """
from dataclasses import dataclass
from rtbench.parts import Architecture, param
from rtbench.architectures.mlp import MLP, Params as Plain

@dataclass(frozen=True)
class Params:
    how: str = param("raise", doc="how to fail")

class Fails(Architecture):
    Params = Params
    def make(self, shape):
        if self.params.how == "raise":
            raise RuntimeError("this network was never meant to be")
        if self.params.how == "exit":
            import os
            os._exit(3)
        if self.params.how == "memory":
            raise MemoryError("too much")
        return MLP(Plain(layers=2, width=8)).make(shape)
"""


@pytest.fixture
def broken(tmp_path):
    """A distribution whose architecture fails in the way it is asked to."""
    points = "[rtbench.architectures]\nacme/fails = acme_nets:Fails\n"
    site = write_distribution(tmp_path / "site", "acme-nets", points, {"acme_nets.py": BROKEN})
    return {"PYTHONPATH": str(site)}


@pytest.mark.parametrize(
    ("how", "error_type", "words"),
    [
        ("raise", "RuntimeError", "never meant to be"),
        ("exit", "ProcessDied", "exit code 3"),
        ("memory", "MemoryError", "out of memory"),
    ],
)
def test_one_failing_run_stops_nothing_else(tmp_path, broken, how, error_type, words):
    path, state = suite(tmp_path, steps=250, retries=1), tmp_path / "state"
    text = path.read_text().replace(
        'architecture = [{ use = "mlp"', f'architecture = [{{ use = "acme/fails", how = "{how}" }}, {{ use = "mlp"'
    )
    path.write_text(text)
    code, out, err = run(path, state, **broken)
    assert code == 1, out + err
    assert words in err
    rows = list(RowStore(FolderStore(state)).latest().values())
    by_name = {row["architecture_name"]: row for row in rows}
    assert by_name["mlp"]["status"] == "ok"
    failed = by_name["acme/fails"]
    assert (failed["status"], failed["error_type"], failed["attempt"]) == ("failed", error_type, 2)
    assert words in failed["reason"]
    code, out, _ = finished(command("plan", path, "--state", state, "--rerun", "never", "--json", **broken))
    assert json.loads(out)["starts"] == 0


def test_a_full_disk_loses_nothing(tmp_path, uninterrupted):
    """Files may grow to 40 KiB only: rows fit, checkpoints do not. With room again the run ends as any other."""
    path, state = suite(tmp_path, steps=3000), tmp_path / "state"
    limited = f"ulimit -f 40; exec {sys.executable} -m rtbench.cli.main run {path} --state {state}"
    process = subprocess.run(
        ["bash", "-c", limited],
        capture_output=True,
        text=True,
        env=os.environ | {"RTBENCH_CHECKPOINT_SECONDS": "0.2"},
        timeout=240,
        check=False,
    )
    assert process.returncode == 1, process.stdout + process.stderr
    assert "make room and run the same command again" in process.stderr
    assert only_row(state)["status"] == "interrupted"
    code, out, err = run(path, state)
    assert code == 0, out + err
    assert outcome_difference(uninterrupted, only_row(state)) == []


def test_wall_limit_is_a_timeout_that_can_go_on(tmp_path):
    path, state = suite(tmp_path, steps=100_000, limit="3s"), tmp_path / "state"
    code, out, err = run(path, state)
    assert code == 1, out + err
    row = only_row(state)
    assert row["status"] == "timeout"
    assert "wall limit" in row["reason"]
    assert list(Path(state).glob("checkpoints/*/state-*.pt"))


def test_seeds_in_one_process_and_plan_and_status(tmp_path):
    path, state = suite(tmp_path, steps=250, seeds=3), tmp_path / "state"
    plan = json.loads(finished(command("plan", path, "--state", state, "--json"))[1])
    assert (plan["counts"], plan["starts"]) == ({"missing": 3}, 3)
    code, out, err = run(path, state, "--batch", "2", "--seeds", "0..1")
    assert code == 0, out + err
    rows = RowStore(FolderStore(state)).latest().values()
    assert sorted((row["seed"], row["batch_runs"], row["status"]) for row in rows) == [(0, 2, "ok"), (1, 2, "ok")]
    status = json.loads(finished(command("status", path, "--state", state, "--json"))[1])
    assert status["counts"] == {"done": 2, "missing": 1}
    again = json.loads(finished(command("run", path, "--state", state, "--json"))[1])
    assert [found["status"] for found in again["runs"]] == ["ok"]


def _alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
