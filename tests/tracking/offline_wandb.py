"""A real run with the real Weights & Biases, offline: what lies there is what the row says. `tox -e tracking`."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SUITE = Path(__file__).with_name("test_tensorboard.py").read_text(encoding="utf-8").split('"""')[3]


BLOCK, HEADER, FIRST, LAST, FULL = 32768, 7, 2, 4, 1


def records(path: Path) -> list[Any]:
    """What a .wandb file holds: a LevelDB log (blocks of 32 KiB; checksum, length, kind, data) after seven bytes."""
    from wandb.proto import wandb_internal_pb2

    content, at, found, part = path.read_bytes(), HEADER, [], b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        data = content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        part = data if kind in (FULL, FIRST) else part + data
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            found.append(record)
    return found


def test_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "tracked.toml").write_text(SUITE, encoding="utf-8")
    command = ["-m", "rtbench.cli.main", "run", "tracked.toml", "--track", "wandb", "--state", "state", "--json"]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    (path,) = (tmp_path / "state" / "wandb").glob("offline-run-*/run-*.wandb")
    assert path.name == f"run-{run['run_id'][:32]}.wandb"
    found = records(path)
    started = next(record.run for record in found if record.HasField("run"))
    assert (started.run_id, started.project) == (run["run_id"][:32], "rtbench")
    logged = {item.nested_key[0] if item.nested_key else item.key for r in found for item in r.history.item}
    assert {"step", "env_steps"} <= logged
    summary: dict[str, Any] = {}
    for record in found:
        for item in record.summary.update:
            summary["".join(item.nested_key) or item.key] = json.loads(item.value_json)
    assert summary["status"] == "ok"
    assert summary["row/eval_return_final"] == pytest.approx(run["eval_return_final"])
    assert [record.exit.exit_code for record in found if record.HasField("exit")] == [0]
