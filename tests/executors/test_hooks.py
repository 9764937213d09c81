"""Lifecycle hooks are called by a real run, and one that fails is named and stops nothing."""

from __future__ import annotations

import json

from helpers.distribution import write_distribution
from helpers.executors_common import only_row, run, suite

HOOKS = """
import json, os
from rtbench.hookspecs import hookimpl

def log(**values):
    with open(os.environ["ACME_LOG"], "a") as file:
        file.write(json.dumps(values) + "\\n")

@hookimpl
def rtbench_configure(state_folder):
    log(hook="configure", state_folder=state_folder)

@hookimpl
def rtbench_fingerprint():
    return {"acme/rack": "7"}

@hookimpl
def rtbench_run_started(run_id, seed, attempt):
    log(hook="started", run_id=run_id, seed=seed, attempt=attempt)

@hookimpl
def rtbench_metrics(run_id, step, unit, metrics):
    log(hook="metrics", step=step, unit=unit, metrics=metrics)
    raise RuntimeError("a plugin that cannot count")

@hookimpl
def rtbench_columns(outcome):
    return {"acme/per_step": outcome["train_return_mean"] / outcome["env_steps"]}

@hookimpl
def rtbench_run_finished(run_id, row):
    log(hook="finished", run_id=run_id, status=row["status"])
"""


def test_hooks_are_called_in_a_run(tmp_path):
    points = "[rtbench]\nacme = acme_hooks\n"
    site = write_distribution(tmp_path / "site", "acme-hooks", points, {"acme_hooks.py": HOOKS})
    log = tmp_path / "log.jsonl"
    path, state = suite(tmp_path, steps=3000), tmp_path / "state"
    code, out, err = run(path, state, PYTHONPATH=str(site), ACME_LOG=str(log))
    assert code == 0, out + err
    row = only_row(state)
    assert row["extras"] == {"acme/per_step": row["train_return_mean"] / row["env_steps"]}
    assert json.loads(row["machine_json"]) == {"acme/rack": "7"}
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["hook"] for entry in told if entry["hook"] != "metrics"] == ["configure", "started", "finished"]
    curve = {entry["step"]: entry["metrics"]["eval_return"] for entry in told if entry["hook"] == "metrics"}
    assert curve == dict(zip(row["eval_step"], row["eval_return"], strict=True))
    assert "a plugin that cannot count" in err
