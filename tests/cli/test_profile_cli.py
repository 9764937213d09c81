"""`rtbench profile` as a user meets it."""

from __future__ import annotations

import json
import os
import re

import pytest

from rtbench.backends.measure import doubts
from rtbench.cli import profile_told
from rtbench.cli.main import run_command_line
from rtbench.interaction.latency import parse_latency
from rtbench.interaction.profile import digest, read_profile

SMALL = ["--layers", "2", "--width", "4", "--warmup", "1", "--rounds", "2"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RTBENCH_STATE", raising=False)


def profile(*arguments):
    return run_command_line(["profile", *arguments])


def test_a_table_a_file_and_how_to_use_it(tmp_path, capsys):
    assert profile("mlp", *SMALL, "--skips", "from-obs", "--backend", "numpy", "--backend", "eager") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [re.split(r"  +", row) for row in lines[1:6]]
    assert rows[0][3:] == [
        *("execution", "batch", "threads", "p50", "p95", "p99", "max", "jitter"),
        *("per second", "memory", "limit", "reached"),
    ]
    assert [row[:6] for row in rows[1:]] == [
        ["mlp(skips=from-obs) 17→12", "2 × 4", backend, execution, "1", "1"]
        for backend in ("numpy", "eager")
        for execution in ("sequential", "pipelined")
    ]
    assert all(re.fullmatch(r"\d+%", row[-1]) for row in rows[1:])
    assert "2000 samples after 1 in 2 rounds" in lines[0]
    assert re.match(r"cores .+; clock .+; temperature .+; load .+; governor .+", lines[7])
    files = [text.removeprefix("saved: ") for text in lines if text.startswith("saved: ")]
    assert len(files) == 2
    assert sorted(files) == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert re.fullmatch(r"\.rtbench/profiles/.+-mlp-skips-from-obs-2x4-numpy-[0-9a-f]{8}\.parquet", files[0])
    assert lines[-2] == f'use it in a suite: latency = {{ profile = "{files[0]}" }}'
    assert lines[-1] == f"or in rtbench simulate: --latency profile:{files[0]}"


def test_sizes_batches_and_threads_each_have_a_file(tmp_path, capsys):
    """What cannot be is said, and the rest is measured: one layer has nothing to skip."""
    lists = ["--layers", "1,2", "--layers", "2", "--width", "4", "--batch", "1,3", "--threads", "1,2"]
    assert (
        profile("mlp", *lists, "--warmup", "1", "--rounds", "2", "--skips", "all", "--backend", "numpy", "--json") == 0
    )
    data = json.loads(capsys.readouterr().out)
    told = [
        [(group["layers"], group["batch"], group["threads"], group["execution"]) for group in one["groups"]]
        for one in data["profiles"]
    ]
    assert told == [
        [(2, batch, threads, execution) for execution in ("sequential", "pipelined")]
        for batch in (1, 3)
        for threads in (1, 2)
    ]
    assert [one["reason"] for one in data["unsupported"]] == [
        "architecture mlp: skips needs at least two layers, got 1"
    ] * 8
    assert {(one["batch"], one["threads"], one["backend"]) for one in data["unsupported"]} == {
        (batch, threads, "numpy") for batch in (1, 3) for threads in (1, 2)
    }
    names = sorted(path.stem.partition("-mlp-")[2][:-9] for path in tmp_path.rglob("*.parquet"))
    ending = ("", "-2-threads", "-batch3", "-batch3-2-threads")
    assert names == sorted(f"skips-all-2x4-numpy{each}" for each in ending)


def test_json_tells_what_the_file_holds(tmp_path, capsys):
    path = tmp_path / "there" / "one.parquet"
    sizes = ["--observation-size", "3", "--action-size", "1"]
    assert profile("mlp", *SMALL, *sizes, "--set", "lstm=true", "-o", str(path), "--json") == 0
    data = json.loads(capsys.readouterr().out)
    held = read_profile(path)
    (told,) = data["profiles"]
    assert (data["schema_version"], told["file"], told["digest"]) == (1, path.as_posix(), digest(held))
    assert data["machine"] == held.machine
    assert held.machine["machine_class"]
    for group, one in zip(told["groups"], held.groups, strict=True):
        ordered = sorted(one.samples_ns)
        assert len(ordered) == group["count"] == 2000
        assert [group[f"p{p}_ns"] for p in (50, 95, 99)] == [ordered[20 * p - 1] for p in (50, 95, 99)]
        assert (group["max_ns"], group["jitter_ns"]) == (ordered[-1], ordered[1899] - ordered[999])
        assert (group["architecture"], group["backend"]) == ("mlp(lstm=True) 3→2", "eager")
        assert (group["layers"], group["width"], group["threads"]) == (2, 4, 1)
        columns = {name for name in vars(one) if name != "samples_ns"}
        assert {name: group[name] for name in columns} == {name: getattr(one, name) for name in columns}
        assert group["doubts"] == doubts(one, os.cpu_count() or 1)
        assert group["limit_share"] == pytest.approx(one.limit_ns / group["p50_ns"])
    assert data["unsupported"] == []


def test_a_machine_that_was_not_quiet_is_told_of(monkeypatch, capsys):
    for found, lines in (([], 0), (["the load before was 9 on 2 cores"], 2)):
        monkeypatch.setattr(profile_told, "doubts", lambda group, cores, found=found: found)
        assert profile("mlp", *SMALL, "--backend", "numpy") == 0
        told = [text for text in capsys.readouterr().out.splitlines() if text.startswith("doubtful: ")]
        assert len(told) == lines
        assert all("the load before was 9 on 2 cores" in text and "measure again" in text for text in told)


def test_the_profile_is_a_latency_for_simulate(tmp_path, capsys):
    path = tmp_path / "one.parquet"
    assert profile("mlp", *SMALL, "-o", str(path), "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["profiles"]
    assert parse_latency({"profile": str(path)}).profile_digest == told["digest"]
    question = ["simulate", *told["use"]["simulate"].split(), "--step", "1ms", "--steps", "400", "--processes", "1"]
    assert run_command_line([*question, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    samples = read_profile(path).groups[0].samples_ns
    assert answer["mean_latency_ns"] == pytest.approx(sum(samples) / len(samples))
    assert answer["longest_latency_ns"] == max(samples)


def test_measuring_again_overwrites_nothing_in_a_folder(tmp_path):
    for _ in range(2):
        assert profile("mlp", *SMALL, "-o", str(tmp_path / "folder")) == 0
    assert len(list((tmp_path / "folder").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mlp", "--backend", "native", "--threads", "2"], ["backend native computes on one thread"]),
        (["mpl"], ["unknown architecture 'mpl'", "did you mean: mlp"]),
        (["mlp", "--backend", "eagre"], ["unknown backend 'eagre'", "did you mean: eager"]),
        (["mlp", "--set", "widht=3"], ["unknown parameter 'widht'", "did you mean: width"]),
        (["mlp", "--set", "width=wide"], ["parameter 'width'", "got 'wide'"]),
        (["mlp", "--set", "width"], ["not a parameter: 'width'", "key=value"]),
        (["mlp", "--width", "3", "--set", "width=4"], ["'width' is given twice"]),
        (["mlp", "--skips", "form-obs"], ["parameter 'skips'", "from-obs"]),
        (["mlp", "--layers", "0"], ["layers must be at least 1, got 0"]),
        (["mlp", "--layers", "1", "--skips", "all"], ["skips needs at least two layers"]),
        (["mlp", "--samples", "1999"], ["samples must be at least 2000, got 1999", "--samples"]),
        (["mlp", "--warmup", "0"], ["warmup must be at least 1"]),
        (["mlp", "--threads", "0"], ["threads must be at least 1"]),
        (["mlp", "--batch", "0"], ["batch must be at least 1, got 0", "--batch"]),
        (["mlp", "--rounds", "3"], ["2000 samples do not divide into 3 rounds"]),
        (["mlp", "--layers", "1;3"], ["not a whole number: '1;3'", "--layers", "1,3,10"]),
        (["mlp", "--observation-size", "0"], ["--observation-size must be at least 1"]),
        (["mlp", "--action-size", "-2"], ["--action-size must be at least 1"]),
        (["mlp", "-o", "taken.txt/one.parquet"], ["cannot write the latency profile", "is not a folder"]),
        (["mlp", "-o", "taken.txt"], ["is not a folder", "a file's name ends in .parquet"]),
        (["mlp", "-o", "folder.parquet"], ["it is a folder"]),
        (["mlp", "--backend", "eager", "--backend", "numpy", "-o", "x.parquet"], ["2 profiles", "name a folder"]),
        (["mlp", "--layers", "2,3", "--threads", "1,2", "-o", "x.parquet"], ["4 profiles", "name a folder"]),
        ([], ["Missing argument"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(tmp_path, capsys, monkeypatch, arguments, expected):
    """Every mistake is told before anything was measured, and leaves nothing behind."""
    (tmp_path / "taken.txt").write_text("mine")
    (tmp_path / "folder.parquet").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert profile(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for words in expected:
        assert words in said.err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "taken.txt").read_text() == "mine"
