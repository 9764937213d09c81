"""Files are whole or not there: killed, failed or raced at every stage of writing."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rtbench
from rtbench import failpoints, files

PACKAGE = Path(rtbench.__file__).parent
OLD, NEW = b"old" * 1000, b"new" * 1_000_000
WRITE = """
import sys
from pathlib import Path
from rtbench import files
for line in sys.stdin:
    path, kind, new = line.split()
    files.write(Path(path), b"new" * 500_000, b"new" * 500_000, kind=kind, new=new == "new")
"""


def forked(point: str, act: Callable[[], None]) -> int:
    """The way a child process ended that did something with a point armed: its exit code, or minus a signal."""
    pid = os.fork()
    if pid == 0:
        files.reach = failpoints.Failpoints({failpoints.VARIABLE: f"{point}=kill"}).reach
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def asides(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{files.ASIDE}*"))


@pytest.mark.parametrize("kind", failpoints.KINDS)
@pytest.mark.parametrize("stage", failpoints.STAGES)
@pytest.mark.parametrize("new", [False, True], ids=["replace", "new"])
def test_killed_anywhere_it_is_the_old_or_the_new_one(tmp_path: Path, kind: str, stage: str, new: bool) -> None:
    path = tmp_path / "file"
    if not new:
        path.write_bytes(OLD)
    code = forked(f"{kind}.{stage}", lambda: files.write(path, NEW[:1000], NEW[1000:], kind=kind, new=new))
    assert code == -9
    there = path.read_bytes() if path.exists() else b""
    assert there == (NEW if stage == "after-rename" else b"" if new else OLD)
    assert len(asides(tmp_path)) <= 1
    files.write(path, NEW, kind=kind)
    assert path.read_bytes() == NEW


def test_a_real_process_is_killed_by_its_environment(tmp_path: Path) -> None:
    """The way tests use it: armed from outside; each point fires once among all processes that share the folder."""
    path, fired = tmp_path / "file", tmp_path / "fired"
    armed = {failpoints.VARIABLE: "rows.before-flush=kill, rows.before-rename=kill@2", failpoints.FIRED: str(fired)}
    codes = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", WRITE],
            input=f"{path} rows set\n" * 2,
            text=True,
            env=os.environ | armed,
            check=False,
        )
        codes.append(done.returncode)
    assert codes == [-9, -9, 0]
    assert sorted(mark.name for mark in fired.iterdir()) == ["rows.before-flush", "rows.before-rename"]
    assert path.read_bytes() == NEW


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Arms a point in this process."""

    def armed(setting: str) -> None:
        monkeypatch.setattr(files, "reach", failpoints.Failpoints({failpoints.VARIABLE: setting}).reach)

    return armed


@pytest.mark.parametrize("new", [False, True], ids=["replace", "new"])
@pytest.mark.parametrize("stage", failpoints.STAGES)
@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EIO", "ESTALE"])
def test_a_refusal_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, arm: Callable[[str], None], stage: str, error: str, new: bool
) -> None:
    path = tmp_path / "file"
    if not new:
        path.write_bytes(OLD)
    arm(f"rows.{stage}={error}")
    with pytest.raises(files.CannotWrite) as caught:
        files.write(path, NEW, kind="rows", new=new)
    assert caught.value.errno == getattr(errno, error)
    assert str(path) in str(caught.value)
    assert asides(tmp_path) == []
    there = path.read_bytes() if path.exists() else b""
    assert there == (NEW if stage == "after-rename" else b"" if new else OLD)


def test_new_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, OLD, kind="rows", new=True)
    with pytest.raises(FileExistsError):
        files.write(path, NEW, kind="rows", new=True)
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("file", OLD)]


def test_of_many_writers_of_a_new_file_one_wins(tmp_path: Path) -> None:
    """Eight processes, forty names: every name has the whole content of exactly one of them."""

    def write_all(me: int) -> None:
        wins = 0
        for name in range(40):
            try:
                files.write(tmp_path / f"file-{name}", bytes([me]) * 3000, kind="rows", new=True)
                wins += 1
            except FileExistsError:
                continue
        (tmp_path / f"wins-{me}").write_text(str(wins))

    pids = []
    for me in range(8):
        pid = os.fork()
        if pid == 0:
            write_all(me)
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 8
    assert sum(int(path.read_text()) for path in tmp_path.glob("wins-*")) == 40
    assert all(len(set(path.read_bytes())) == 1 and path.stat().st_size == 3000 for path in tmp_path.glob("file-*"))
    assert asides(tmp_path) == []


def test_a_reader_never_sees_a_half(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, b"0" * 300_000, kind="rows")
    writer = os.fork()
    if writer == 0:
        for number in range(1, 60):
            files.write(path, str(number % 10).encode() * 300_000, kind="rows")
        os._exit(0)
    seen = set()
    while os.waitpid(writer, os.WNOHANG) == (0, 0):
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
        seen.add(content[:1])
    assert seen


# ---- network file systems --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [False, True], ids=["replace", "new"])
def test_a_lost_answer_is_not_taken_for_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool) -> None:
    """The server did it and its answer was lost; asked again it refuses."""
    path = tmp_path / "file"
    link, replace = os.link, Path.replace

    def linked_twice(one: Any, other: Any) -> None:
        link(one, other)
        link(one, other)

    def replaced_twice(one: Path, other: Path) -> None:
        replace(one, other)
        replace(one, other)

    monkeypatch.setattr(os, "link", linked_twice)
    monkeypatch.setattr(Path, "replace", replaced_twice)
    files.write(path, NEW, kind="rows", new=new)
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("file", NEW)]


def no_links(*_: Any) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_without_links_a_failed_claim_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(files.CannotWrite, match="no space"):
        files.write(tmp_path / "file", NEW, kind="rows", new=True)
    assert list(tmp_path.iterdir()) == []


# ---- what a power cut may take ---------------------------------------------------------------------------------------


def test_everything_is_flushed_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New folders from the top, then the content, then its name; and the name comes after the content."""
    flushed, real, replace = [], os.fsync, Path.replace

    def flush(handle: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    def named(one: Path, other: Path) -> None:
        flushed.append(Path("name"))
        replace(one, other)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", named)
    files.write(tmp_path / "a" / "b" / "file", NEW, kind="rows")
    top, middle, content, name, last = flushed
    assert (top, middle, name, last) == (tmp_path, tmp_path / "a", Path("name"), tmp_path / "a" / "b")
    assert content.name.startswith(files.ASIDE)


@pytest.mark.parametrize("kind", failpoints.KINDS)
def test_only_what_is_written_often_and_made_again_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    files.write(tmp_path / "file", NEW, kind=kind)
    assert len(flushed) == (0 if kind in ("progress", "report") else 2)
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    files.write(tmp_path / ("x" * 255), NEW, kind="profiles")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EACCES, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: bool
) -> None:
    """Some systems do not know how, which is no failure; a broken disk is one."""
    real = os.fsync

    def flush(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink() == tmp_path:
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", flush)
    if fails:
        with pytest.raises(files.CannotWrite):
            files.write(tmp_path / "file", NEW, kind="rows")
    else:
        files.write(tmp_path / "file", NEW, kind="rows")


# ---- leftovers -------------------------------------------------------------------------------------------------------


def test_what_killed_writers_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    now = time.time()
    ages = {f"{files.ASIDE}old": files.ABANDONED_S + 60, f"{files.ASIDE}young": 60.0, "old-file": 1e6}
    for name, age in ages.items():
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (now - age, now - age))
    files.write(tmp_path / "file", NEW, kind="rows")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{files.ASIDE}young", "file", "old-file"]


# ---- folders and files that are not what they should be --------------------------------------------------------------


def test_a_file_in_a_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"I am no folder")
    for new in (False, True):
        with pytest.raises(files.CannotWrite, match="cannot write") as caught:
            files.write(tmp_path / "rows" / "file", NEW, kind="rows", new=new)
        assert str(tmp_path / "rows" / "file") in str(caught.value)
    assert (tmp_path / "rows").read_bytes() == b"I am no folder"


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(files.CannotWrite, match="cannot write"):
        files.write(tmp_path / "file", NEW, kind="rows")
    with pytest.raises(FileExistsError):
        files.write(tmp_path / "file", NEW, kind="rows", new=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(files.CannotWrite, match="Permission denied") as caught:
        files.write(tmp_path / "file", NEW, kind="rows")
    assert "make the folder writable" in str(caught.value)


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "file", NEW, kind="rows")
    assert files.read(tmp_path / "file") == NEW
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        files.read(tmp_path)

    def refused(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(files.CannotRead, match="Permission denied"):
        files.read(tmp_path / "file")


# ---- one way of writing ----------------------------------------------------------------------------------------------

ALLOWED = {
    "files.py": "this is the way",
    "failpoints.py": "marks of tests",
    "executors/worker.py": "its log",
    "testing/learners.py": "checkpoints, whose folder writes in this way",
    "executors/processes.py": "logs of processes: nothing that a run continues from",
}
WRITERS = {
    "write_bytes",
    "write_text",
    "touch",
    "symlink_to",
    "hardlink_to",
    "to_parquet",
    "to_csv",
    "tofile",
}
GIVEN_A_PATH = {"save", "savefig", "savez", "savetxt", "write_table", "dump"}


def writes(tree: ast.AST) -> list[int]:
    """Lines that write a file other than through `rtbench.files`: by a method's name, or opened for it."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = {arg.value for arg in (*node.args, *(k.value for k in node.keywords)) if isinstance(arg, ast.Constant)}
        modes = {text for text in texts if isinstance(text, str) and len(text) <= 3 and set(text) & set("wax+")}
        to_buffer = any(isinstance(arg, ast.Name) and arg.id == "buffer" for arg in node.args)
        method = isinstance(node.func, ast.Attribute)
        if (method and name in WRITERS) or (name == "open" and modes) or (name in GIVEN_A_PATH and not to_buffer):
            lines.append(node.lineno)
    return lines


def test_the_check_finds_other_ways_of_writing() -> None:
    for bad in (
        'open(p, "w")',
        'p.open(mode="ab")',
        "p.write_text(x)",
        "torch.save(x, p)",
        "f.savefig(p)",
        "pq.write_table(t, p)",
    ):
        assert writes(ast.parse(bad)) == [1], bad
    for good in (
        "open(p)",
        'p.open("rb")',
        "pq.write_table(t, buffer)",
        "f.savefig(buffer)",
        'files.write(p, b"w", kind="rows")',
    ):
        assert writes(ast.parse(good)) == [], good


def test_there_is_one_way_of_writing_files() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in ALLOWED
        for line in writes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()
