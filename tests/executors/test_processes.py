"""The warm parent and its children: real processes, no training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers.executors_common import command, eventually, run, scripted, suite

from rtbench.executors.processes import Processes
from rtbench.results.rows import RowStore
from rtbench.results.schema import outcome_difference
from rtbench.results.store import FolderStore

PARENT = """
import sys
from rtbench.executors import warm, worker
warm.preload = lambda modules: exec({preload!r})
worker.main = lambda: exec({task!r}) or 7
sys.argv = sys.argv[1:]
sys.exit(warm.main())
"""


@pytest.fixture
def processes(tmp_path, monkeypatch):
    """Makes `Processes` whose workers run a piece of Python instead of a job, after another piece in the parent."""
    made = []

    def make(task, preload="", threads=1):
        script = tmp_path / "parent.py"
        script.write_text(PARENT.format(task=textwrap.dedent(task), preload=textwrap.dedent(preload)))
        popen = subprocess.Popen
        monkeypatch.setattr(
            "rtbench.executors.processes.subprocess.Popen",
            lambda command, **more: popen([sys.executable, script, *command[2:]], **more),
        )
        made.append(Processes([], threads, tmp_path / "warm.err"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def all_lines(processes, *children):
    """What children print until they have ended."""
    lines = {child: [] for child in children}
    while any(child.code is None for child in children):
        for child, more in processes.wait(5):
            lines[child] += more
    return [lines[child] for child in children]


def test_children_get_their_task_and_say_how_they_end(tmp_path, processes):
    warm = processes("import sys; print(sys.stdin.read()); print('oh', file=sys.stderr)")
    children = [warm.start({"number": n, "long": "x" * 100_000}, tmp_path / f"{n}.err") for n in range(3)]
    printed = all_lines(warm, *children)
    assert [json.loads(lines[0])["number"] for lines in printed] == [0, 1, 2]
    assert [child.code for child in children] == [7, 7, 7]
    assert [(tmp_path / f"{n}.err").read_text() for n in range(3)] == ["oh\n"] * 3


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("raise SystemExit(130)", 130),
        ("raise ValueError('told where the runner looks')", 1),
        ("import atexit; atexit.register(print, 'a plugin says goodbye'); raise SystemExit(0)", 0),
    ],
)
def test_codes(tmp_path, processes, task, code):
    warm = processes(task)
    child = warm.start({}, tmp_path / "err")
    (lines,) = all_lines(warm, child)
    assert child.code == code
    assert ("told where" in (tmp_path / "err").read_text()) == ("told where" in task)
    assert lines == (["a plugin says goodbye"] if "goodbye" in task else [])


def test_a_child_is_alone(tmp_path, processes):
    """A session of its own, no descriptor of its parent, one thread, default signals, randomness of its own."""
    task = """
    import json, os, random, signal
    import numpy as np
    print(json.dumps({
        "leads": os.getsid(0) == os.getpid(),
        "open": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
        "threads": len(os.listdir("/proc/self/task")),
        "omp": os.environ["OMP_NUM_THREADS"],
        "child": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
        "numpy": float(np.random.random()), "random": random.random(),
    }))
    """
    warm = processes(task, preload="import random, numpy.random; numpy.random.seed(1); random.seed(1)", threads=3)
    one, two = (json.loads(lines[0]) for lines in all_lines(warm, *(warm.start({}, tmp_path / "e") for _ in "ab")))
    assert (one["leads"], one["open"], one["threads"], one["omp"], one["child"]) == (True, [0, 1, 2], 1, "3", True)
    assert one["numpy"] != two["numpy"]
    assert one["random"] != two["random"]


def test_the_real_parent_has_one_thread_after_its_imports():
    """A fork is only safe so; the imports are those of a SAC run."""
    code = (
        "import os, sys; from rtbench.executors import warm\n"
        "warm.preload(['rtbench.executors.worker', 'torch', 'gymnasium', 'mujoco', 'rtbench.learners.sac_program',"
        " 'rtbench.environments.mujoco', 'no_such_module', 'this'])\n"
        "assert 'rtbench.learners.sac_program' in sys.modules\n"
        "print(len(os.listdir('/proc/self/task')), file=sys.stderr)"
    )
    environment = (
        os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "2") | {"OPENBLAS_NUM_THREADS": "1"}
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr.split()[-1] == "1"


def test_children_die_with_the_runner(tmp_path):
    """kill −9 of the runner: its warm parent ends, and its worker is asked to stop by the system."""
    path, environment = scripted(tmp_path, "ok", steps=100, unit_s=0.5)
    process = command("run", path, "--state", tmp_path / "state", **environment)
    folder = tmp_path / "state"

    def worker():
        held = [json.loads(file.read_text())["holder"]["pid"] for file in Path(folder).glob("leases/*/*.json")]
        return next((pid for pid in held if pid != process.pid), None)

    pid = eventually(worker)
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert eventually(lambda: not Path(f"/proc/{parent}").exists())
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_a_worker_that_hangs_does_not_outlive_its_runner(tmp_path):
    path, environment = scripted(tmp_path, "hang", steps=4)
    process = command("run", path, "--state", tmp_path / "state", RTBENCH_LEASE_SECONDS="1", **environment)
    assert eventually((tmp_path / "mark").exists)
    (lease,) = (tmp_path / "state").glob("leases/*/*.json")
    pid = json.loads(lease.read_text())["holder"]["pid"]
    assert pid != process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_a_lost_parent_is_replaced(tmp_path, processes):
    warm = processes("import time; time.sleep(1000)")
    child = warm.start({}, tmp_path / "err")
    assert eventually(lambda: warm.wait(0.05) or child.pid)
    warm._parent.kill()
    all_lines(warm, child)
    assert child.code == -9
    assert eventually(lambda: not Path(f"/proc/{child.pid}").exists())
    another = warm.start({}, tmp_path / "err")
    assert eventually(lambda: warm.wait(0.05) or another.pid)


def test_forked_and_spawned_runs_are_equal(tmp_path):
    """The same row whether a worker was forked from the warm parent or is a Python of its own; one run each."""
    found = []
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'rtbench.executors.worker' in sys.orig_argv:\n"
        "    open(os.environ['ACME_MARK'], 'w').close()\n"
        "if os.environ.get('ACME_SPAWN'):\n"
        "    from rtbench.executors import preload\n"
        "    preload.start_method = lambda job: 'spawn'\n"
    )
    path = suite(tmp_path, steps=400)
    for spawn in ("", "1"):
        state = tmp_path / f"state{spawn}"
        code, out, err = run(path, state, ACME_SPAWN=spawn, ACME_MARK=str(tmp_path / "mark"), PYTHONPATH=str(site))
        assert code == 0, out + err
        assert (tmp_path / "mark").exists() == bool(spawn)
        found += RowStore(FolderStore(state)).rows()
    assert outcome_difference(*found) == []
    assert [row["threads"] for row in found] == [1, 1]


def test_threads_are_what_was_asked_for(tmp_path):
    path, environment = scripted(tmp_path, "threads", steps=4)
    code, out, err = run(path, tmp_path / "state", "--threads", "2", **environment)
    assert code == 0, out + err
    (row,) = RowStore(FolderStore(tmp_path / "state")).rows()
    assert (row["threads"], row["train_return_mean"]) == (2, 2.0)
