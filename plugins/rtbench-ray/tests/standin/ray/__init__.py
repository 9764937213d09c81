"""A stand-in for Ray with the calls that rtbench-ray makes: every task is a process of this machine.

RAY_STANDIN_NODES names the cores of its nodes ("1,1"). A node is killed by a file `dead-N` in RAY_STANDIN_FOLDER, made
before the processes of its tasks are (they carry RAY_STANDIN_NODE=N).
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ray import exceptions

__all__ = ["cancel", "exceptions", "get", "init", "is_initialized", "nodes", "remote", "shutdown", "wait"]

_TASKS = []
_STATE = {"connected": False}


def init(address, **_):
    if address not in ("auto", "local"):
        raise ConnectionError(f"Could not find any running Ray instance at {address}.")
    _STATE["connected"] = True


def is_initialized():
    return _STATE["connected"]


def shutdown():
    for task in _TASKS:
        task.end(signal.SIGKILL)
    _TASKS.clear()
    _STATE["connected"] = False


def nodes():
    cores = os.environ.get("RAY_STANDIN_NODES", "1,1").split(",")
    return [{"Alive": not dead(i), "Resources": {"CPU": float(count)}} for i, count in enumerate(cores)]


def dead(node):
    return (Path(os.environ.get("RAY_STANDIN_FOLDER", os.devnull)) / f"dead-{node}").exists()


def remote(function):
    return Remote(function, {})


def wait(tasks, num_returns=1, timeout=None):
    until = time.monotonic() + timeout
    while True:
        schedule()
        ready = [task for task in tasks if task.over()]
        if len(ready) >= num_returns or time.monotonic() >= until:
            return ready[:num_returns], [task for task in tasks if task not in ready[:num_returns]]
        time.sleep(0.02)


def get(task):
    assert task.over()
    return task.answer()


def cancel(task, force=False):
    task.end(signal.SIGKILL if force else signal.SIGINT)


def schedule():
    """Start tasks in turn where a node has room."""
    for task in _TASKS:
        if task.process is None and not task.cancelled:
            for index, node in enumerate(nodes()):
                used = sum(t.cores for t in _TASKS if t.node == index and t.process and not t.over())
                if node["Alive"] and used + task.cores <= node["Resources"]["CPU"]:
                    task.start(index)
                    break


class Remote:
    def __init__(self, function, options):
        self.function, self.given = function, options

    def options(self, **options):
        return Remote(self.function, options)

    def remote(self, *arguments):
        assert self.given["max_retries"] == 0
        task = Process(self.function, arguments, self.given["num_cpus"])
        _TASKS.append(task)
        return task


class Process:
    def __init__(self, function, arguments, cores):
        self.cores, self.node, self.process, self.cancelled = cores, None, None, False
        self.folder = Path(tempfile.mkdtemp(prefix="ray-standin-"))
        (self.folder / "call").write_bytes(pickle.dumps((function, arguments)))

    def start(self, node):
        self.node = node
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ray.one_task", str(self.folder)],
            env={**os.environ, "RAY_STANDIN_NODE": str(node)},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def end(self, number):
        if self.process is None:
            self.cancelled = True
        elif self.process.poll() is None:
            self.process.send_signal(number)

    def over(self):
        return self.cancelled or (self.process is not None and self.process.poll() is not None)

    def answer(self):
        if self.cancelled:
            raise exceptions.TaskCancelledError
        if not (self.folder / "answer").exists():
            raise (exceptions.NodeDiedError if dead(self.node) else exceptions.WorkerCrashedError)("it is gone")
        fine, value = pickle.loads((self.folder / "answer").read_bytes())
        if fine:
            return value
        raise exceptions.TaskCancelledError if value == "KeyboardInterrupt" else exceptions.RayTaskError(value)
