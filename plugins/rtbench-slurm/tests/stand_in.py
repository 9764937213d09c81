"""A stand-in for SLURM: `sbatch`, `srun`, `squeue`, `scontrol` and `scancel` over processes of this machine.

The folder FAKE_SLURM holds a file for every task that waits or runs. A task is a real process tree; signals reach all
of it, as SLURM's do. Time is what a test says it is: `TASK.near` is the moment of the signal before the limit,
`TASK.limit` the limit. While the file `drained` is there no task starts; while `silent` is, the queue does not answer.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(os.environ.get("FAKE_SLURM", ""))
KILL_WAIT_S = 10.0
SLOTS = 2


def sbatch(path):
    """One supervisor for each task of the array."""
    text = Path(path).read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.M))
    (HERE / "asked").mkdir(exist_ok=True)
    job = 1 + len(list((HERE / "asked").iterdir()))
    (HERE / "asked" / f"{job}.json").write_text(json.dumps(options))
    last = options.get("array", "").partition("%")[0].partition("-")[2]
    names = [f"{job}_{index}" for index in range(int(last) + 1)] if last else [str(job)]
    for name in names:
        write(name, "PENDING")
    for name in names:
        subprocess.Popen(
            [sys.executable, __file__, "supervise", name, path, options["signal"].partition("@")[0]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(HERE / "errors").open("a"),
            start_new_session=True,
        )
    sys.stdout.write(f"Submitted batch job {job}\n")


def supervise(name, script, sign):
    """A task from its start to its end, and again as often as it is requeued."""
    job, _, index = name.partition("_")
    restarts = 0
    while True:
        slot = wait_for_slot(name)
        if slot is None:
            break
        more = {"SLURM_JOB_ID": job, "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "n1"}
        more |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
        more |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": index} if index else {}
        more |= {"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}
        process = subprocess.Popen(["bash", script], env=os.environ | more)
        write(name, "RUNNING")
        watch(name, process, sign)
        (HERE / f"{name}.limit").unlink(missing_ok=True)
        slot.rmdir()
        if not (HERE / f"{name}.requeue").exists():
            break
        (HERE / f"{name}.requeue").unlink()
        write(name, "PENDING")
        restarts += 1
    (HERE / f"{name}.task").unlink()


def wait_for_slot(name):
    """A core; None if the task is cancelled meanwhile."""
    while not (HERE / f"{name}.cancel").exists():
        for slot in [] if (HERE / "drained").exists() else [HERE / f"slot{number}" for number in range(SLOTS)]:
            try:
                slot.mkdir()
            except FileExistsError:
                continue
            return slot
        time.sleep(0.05)
    return None


def watch(name, process, sign):
    """Until it has ended; what ends it early is told to each of its processes, as SLURM does."""
    ends = None
    while process.poll() is None:
        time.sleep(0.05)
        if (near := HERE / f"{name}.near").exists():
            near.unlink()
            tell_all(process.pid, getattr(signal, f"SIG{sign}"), besides=process.pid)
        asked = any((HERE / f"{name}.{end}").exists() for end in ("requeue", "cancel", "limit"))
        if asked and ends is None:
            ends = time.monotonic() + KILL_WAIT_S
            tell_all(process.pid, signal.SIGTERM, besides=process.pid)
        if ends is not None and time.monotonic() > ends:
            tell_all(process.pid, signal.SIGKILL)


def tell_all(root, number, besides=None):
    """A signal to a process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family - {besides}:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def srun(*arguments):
    """The command itself, its output where it is wanted."""
    rest, where = list(arguments), {}
    while rest and rest[0].startswith("-"):
        option, equals, value = rest.pop(0).partition("=")
        if option in ("--output", "--error"):
            where[option] = value if equals else rest.pop(0)
    job = os.environ["SLURM_JOB_ID"]
    names = {"%A": job, "%j": job, "%a": os.environ.get("SLURM_ARRAY_TASK_ID", ""), "%t": "0"}
    for option, number in (("--output", 1), ("--error", 2)):
        path = re.sub("%[Ajat]", lambda found: names[found.group()], where[option])
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    os.execvp(rest[0], rest)


def squeue(*arguments):
    """The tasks of the jobs asked for, in the format that is asked for."""
    if (HERE / "silent").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    jobs = arguments[arguments.index("--jobs") + 1].split(",")
    found = [path for path in sorted(HERE.glob("*.task")) if path.stem.partition("_")[0] in jobs]
    if not found and len(jobs) == 1:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    for path in found:
        state = path.read_text()
        sys.stdout.write(f"{path.stem}|{state}|{'None|n1' if state == 'RUNNING' else 'Resources|'}\n")


def scontrol(verb, name):
    """Requeue."""
    assert verb == "requeue", verb
    (HERE / f"{name}.requeue").touch()


def scancel(job):
    """All tasks of a job."""
    for path in HERE.glob("*.task"):
        if path.stem.partition("_")[0] == job:
            (HERE / f"{path.stem}.cancel").touch()


def write(name, state):
    """A task's state, seen whole."""
    aside = HERE / f".{name}"
    aside.write_text(state)
    aside.rename(HERE / f"{name}.task")


def install(folder, fake):
    """Programs of these names in `folder`; the environment in which they are found."""
    folder.mkdir()
    fake.mkdir()
    for name in ("sbatch", "srun", "squeue", "scontrol", "scancel"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(__file__)} {name} "$@"\n')
        program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE_SLURM": str(fake)}


if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in (sbatch, supervise, srun, squeue, scontrol, scancel)}
    verbs[sys.argv[1]](*sys.argv[2:])
