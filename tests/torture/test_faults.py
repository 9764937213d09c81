"""Full disks, read-only folders, damaged and foreign files, met by a real `rtbench`: named, set aside, made again."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.executors_common import finished
from learners.test_packing import malicious
from torture.harness import ALL_KINDS, KINDS, LEASE_S, PLAIN, Told, Torture, command, kill_all, rows, started

from rtbench import failpoints
from rtbench.results.schema import outcome_difference

CASE = replace(PLAIN, name="faults", units=500)
FOREIGN = (
    "rows/notes.txt",
    "rows/my notes.json",
    "checkpoints/x/readme.md",
    "leases/notes.txt",
    "progress/my notes.json",
)


@pytest.fixture(scope="module")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Torture:
    return Torture(CASE, tmp_path_factory.mktemp("faults"), Told())


@pytest.fixture(scope="module")
def stopped(torture: Torture) -> Path:
    """A state whose processes were all killed after their second checkpoint."""
    state = torture.folder / "stopped"
    with started(torture.command(state)) as process:
        deadline = time.monotonic() + 120
        while not list(state.glob("checkpoints/*/state-*-00000002.pt")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        kill_all(process)
        process.communicate()
    return state


def contents(folder: Path) -> dict[str, str]:
    """Every file with the digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def equal(torture: Torture, state: Path) -> bool:
    found = rows(state)
    return found.keys() == torture.rows.keys() and not any(
        outcome_difference(torture.rows[run], found[run]) for run in found
    )


# ---- the system refuses ----------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_anything_that_a_run_writes(torture: Torture) -> None:
    """Once at every kind of file; each time it is told, or does no harm, and in the end the run is as any other."""
    state, fired = torture.folder / "full", torture.folder / "full-fired"
    setting = ",".join(f"{kind}.before-flush=ENOSPC" for kind in ALL_KINDS)
    environment = {failpoints.VARIABLE: setting, failpoints.FIRED: str(fired), "RTBENCH_CHECKPOINT_SECONDS": "0.1"}
    codes = []
    for _ in range(len(ALL_KINDS) + 2):
        code, out, err = finished(torture.command(state, **environment))
        codes.append(code)
        assert "Traceback" not in out + err
        if code == 0:
            break
        assert "no space left on the disk" in out + err, out + err
        assert "run the same command again" in out + err, out + err
    assert codes[-1] == 0
    assert len(codes) > 1
    assert {f"{kind}.before-flush" for kind in (*KINDS, "leases")} <= {path.name for path in fired.iterdir()}
    assert equal(torture, state)
    assert [path for path in contents(state) if ".aside-" in path] == []


def test_a_folder_that_can_never_be_written_is_told_at_once(torture: Torture) -> None:
    setting = ",".join(f"{point}=EROFS" for point in failpoints.POINTS if point.endswith("before-write"))
    code, out, err = finished(torture.command(torture.folder / "never", **{failpoints.VARIABLE: setting}))
    assert code not in (0, -9)
    assert "make the folder writable" in err
    assert "Traceback" not in out + err


# ---- damaged and foreign files ---------------------------------------------------------------------------------------


def flipped(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(content)


def newest(pattern: str) -> Callable[[Path], Path]:
    return lambda state: max(state.glob(f"checkpoints/*/{pattern}"))


@pytest.mark.parametrize(
    ("which", "damage"),
    [
        (newest("state-*.pt"), lambda path: path.read_bytes()[:2000]),
        (newest("segment-*.pt"), flipped),
        (newest("state-*.pt"), lambda path: malicious(path.parent / "mark", "pickle")),
    ],
    ids=["truncated state", "flipped segment", "malicious state"],
)
def test_a_damaged_checkpoint(
    torture: Torture, stopped: Path, tmp_path: Path, which: Callable[[Path], Path], damage: Callable[[Path], bytes]
) -> None:
    state = shutil.copytree(stopped, tmp_path / "state")
    path = which(state)
    path.write_bytes(damage(path))
    code, out, err = finished(torture.command(state))
    assert code == 0, out + err
    assert "checkpoint set aside" in out + err
    assert path.name in out + err
    assert not list(state.rglob("mark"))
    assert equal(torture, state)


def test_foreign_files_are_left_alone_and_a_damaged_lease_is_outlived(
    torture: Torture, stopped: Path, tmp_path: Path
) -> None:
    state = shutil.copytree(stopped, tmp_path / "state")
    for name in FOREIGN:
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text("mine")
    max(state.glob("leases/*/*.json")).write_bytes(b'{"half":')
    before = {name: digest for name, digest in contents(state).items() if name in FOREIGN}
    assert len(before) == len(FOREIGN)
    code, out, err = finished(command("status", torture.suite, "--state", state, "--json"))
    assert code == 0, out + err
    assert "rows/notes.txt" in err
    code, out, err = finished(torture.command(state))
    assert code == 0, out + err
    assert "rows/notes.txt" in err
    assert "rows/my notes.json" in err
    assert {name: digest for name, digest in contents(state).items() if name in FOREIGN} == before
    assert equal(torture, state)


def test_a_damaged_row_is_named_left_and_computed_again(torture: Torture, tmp_path: Path) -> None:
    state = shutil.copytree(torture.whole, tmp_path / "state")
    (row,) = state.glob("rows/*.json")
    row.write_bytes(row.read_bytes()[:-9])
    before = contents(state / "rows")
    code, out, err = finished(torture.command(state))
    assert code == 0, out + err
    assert row.name in err
    after = contents(state / "rows")
    assert before.items() <= after.items()
    assert len(after) == 2
    assert equal(torture, state)


def test_foreign_and_damaged_files_among_results(torture: Torture, tmp_path: Path) -> None:
    """A leaderboard's damaged Parquet is told by `check` and mended by `build`; nothing else is touched."""
    results = shutil.copytree(torture.folder / "results-whole", tmp_path / "results")
    for name in ("submissions/notes.txt", "leaderboards/notes.txt", "leaderboards/other.parquet"):
        (results / name).write_text("mine")
    board = results / "leaderboards" / f"torture-{CASE.name}.parquet"
    whole = contents(results)
    board.write_bytes(board.read_bytes()[:100])
    code, out, err = finished(command("leaderboard", "check", torture.suite, "--results", results))
    assert (code, board.name in out + err) == (4, True), out + err
    code, out, err = finished(command("leaderboard", "build", torture.suite, "--results", results, "--json"))
    assert (code, json.loads(out)["leaderboards"][0]["digest"]) == (0, torture.digest), err
    assert contents(results) == whole


def test_a_damaged_submission_is_named_and_nothing_is_written(torture: Torture, tmp_path: Path) -> None:
    results = shutil.copytree(torture.folder / "results-whole", tmp_path / "results")
    (path,) = results.glob("submissions/*.parquet")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:900] + b"\xff\0\xff" + content[903:]):
        path.write_bytes(damaged)
        before = contents(results)
        for what in ("build", "check"):
            code, out, err = finished(command("leaderboard", what, torture.suite, "--results", results))
            assert code == 5, out + err
            assert path.name in err
        assert contents(results) == before


def test_a_damaged_profile_is_named(torture: Torture, tmp_path: Path) -> None:
    """A suite that takes its latencies from it is refused before anything starts."""
    (tmp_path / "profile.parquet").write_bytes(b"PAR1 and no more PAR1")
    suite = tmp_path / "suite.toml"
    interaction = 'execution = "sequential", latency = { profile = "profile.parquet" }'
    case = replace(CASE, interaction=interaction)
    suite.write_text(case.write(tmp_path).read_text().replace('"profile.parquet"', f'"{tmp_path}/profile.parquet"'))
    code, out, err = finished(command("run", suite, "--state", tmp_path / "state", RTBENCH_LEASE_SECONDS=LEASE_S))
    assert code == 5, out + err
    assert "profile.parquet" in err
    assert not (tmp_path / "state" / "rows").exists()
