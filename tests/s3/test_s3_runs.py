"""Whole runs with their state in a bucket: four runners, faults, a kill; the same leaderboard as from a folder.

`pytest tests/s3 --log FILE` writes down what happened.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from rtbench.executors.jobs import CHECKPOINTS, PROGRESS
from rtbench.results.objects import ObjectStore
from rtbench.results.places import open_store, state_from
from rtbench.results.rows import RowStore

SUITE = ("mujoco-delta", "--profile", "smoke")
LONG = """
schema_version = 1
[suite]
name = "long"
title = "One run, still at work when it is seen to be"
revision = 1
[budget]
steps = 15_000
unit = "ticks"
eval_every = 15_000
eval_episodes = 1
final_eval_episodes = 1
[seeds]
count = 1
[axes]
environment = { use = "mujoco", id = "InvertedPendulum-v4" }
architecture = { use = "mlp", layers = 2, width = 16 }
interaction = { execution = "pipelined", delta = 1 }
learner = { use = "sac", batch_size = 16, critic_width = 16, learning_starts = 1_000 }
"""
RUNNERS, RATE = 4, 0.08
NOT_OUTCOME = ("wall_s", "steps_per_s", "peak_memory_bytes", "started_utc", "attempt", "git_commit", "dirty")
SECRETS = ("AKIDOFTHETEST", "secretofthetest")
FAST = {"RTBENCH_CHECKPOINT_SECONDS": "0.4", "RTBENCH_LEASE_SECONDS": "15", "OMP_NUM_THREADS": "1"}


def rtbench(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "rtbench.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | FAST | environment,
        start_new_session=True,
    )


def finished(process, timeout_s=900):
    said, _ = process.communicate(timeout=timeout_s)
    return process.returncode, said


def done(*arguments, **environment):
    code, said = finished(rtbench(*arguments, **environment))
    assert code == 0, said
    return said


def outcomes(state):
    """What every run's result says, without times, dates and machine; every row there is, counted by run."""
    rows = RowStore(open_store(state_from(str(state)))).rows()
    best = {row["run_id"]: row for row in rows if row["status"] == "ok"}
    plain = {run: {name: row[name] for name in row if name not in NOT_OUTCOME} for run, row in best.items()}
    return plain, Counter(row["run_id"] for row in rows if row["status"] == "ok"), rows


def digest(state, folder):
    done("results", "export", SUITE[0], "--state", state, "--results", folder, "--allow-dirty")
    done("leaderboard", "build", SUITE[0], "--results", folder)
    return (Path(folder) / "leaderboards" / "DIGESTS").read_text()


def wait_for(condition, timeout_s=300):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.5)
    pytest.fail("it never came")


def test_four_runners_with_faults_and_a_kill_make_the_folders_leaderboard(bucket, proxy, tmp_path, log):
    begin = time.monotonic()
    done("run", *SUITE, "--state", tmp_path / "local", "--jobs", "2", "--yes")
    expected, _, _ = outcomes(tmp_path / "local")

    proxy.rate = RATE
    runners = [
        rtbench("run", *SUITE, "--state", bucket, "--jobs", "1", "--yes", RTBENCH_CACHE=str(tmp_path / "cache"))
        for _ in range(RUNNERS)
    ]
    quiet = ObjectStore(bucket)
    wait_for(lambda: any(name.rpartition("/")[2].startswith("state-") for name in quiet.list(f"{CHECKPOINTS}/")))
    os.killpg(runners[0].pid, signal.SIGKILL)
    ends = [finished(runner) for runner in runners]
    proxy.rate = 0.0

    found, count, rows = outcomes(bucket)
    assert [code for code, _ in ends[1:]] == [0] * (RUNNERS - 1), ends
    assert set(count) == set(expected)
    assert set(count.values()) == {1}
    assert found == expected
    assert open_store(state_from(bucket)).list(f"{CHECKPOINTS}/") == []
    local, remote = digest(tmp_path / "local", tmp_path / "one"), digest(bucket, tmp_path / "two")
    assert local == remote
    everything = json.dumps(rows) + "".join(quiet.read(key).decode(errors="replace") for key in quiet.list())
    assert not [secret for secret in SECRETS if secret in everything]
    log(f"{len(expected)} runs of {' '.join(SUITE)}, {RUNNERS} runners, one of them killed with a checkpoint behind it")
    log(f"seconds: {time.monotonic() - begin:.0f}")
    log(f"requests: {dict(sorted(proxy.requests.items()))}; gone wrong: {dict(sorted(proxy.faults.items()))}")
    log(f"rows by status: {dict(Counter(row['status'] for row in rows))}; one finished row per run")
    log(f"leaderboard, from a folder:  {local.strip()}")
    log(f"leaderboard, from a bucket:  {remote.strip()}")
    assert sum(proxy.faults.values()) >= 20


def test_asked_to_stop_and_continued_from_the_bucket(bucket, proxy, tmp_path, log):
    """The second process finds nothing on this machine: another cache folder, as another machine would have."""
    suite = tmp_path / "long.toml"
    suite.write_text(LONG)
    often = {"RTBENCH_CHECKPOINT_SECONDS": "0.1"}
    first = rtbench("run", suite, "--state", bucket, "--yes", RTBENCH_CACHE=str(tmp_path / "one"), **often)
    quiet = ObjectStore(bucket)
    wait_for(lambda: quiet.list(f"{PROGRESS}/"))  # at work; asked to stop, it writes a checkpoint
    first.send_signal(signal.SIGINT)
    code, said = finished(first)
    assert code == 130, said
    assert any(name.rpartition("/")[2].startswith("state-") for name in quiet.list(f"{CHECKPOINTS}/"))
    assert done("status", suite, "--state", bucket).count("interrupted")
    said = done("run", suite, "--state", bucket, "--yes", RTBENCH_CACHE=str(tmp_path / "two"))
    assert "continues at" in said
    done("run", suite, "--state", tmp_path / "local", "--yes")
    assert outcomes(bucket)[0] == outcomes(tmp_path / "local")[0]
    assert quiet.list(f"{PROGRESS}/") == []
    (run_id,) = outcomes(bucket)[0]
    log(f"{run_id[:12]}: stopped, continued elsewhere from the bucket's checkpoint: the folder's result")
