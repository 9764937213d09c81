"""The warm parent: imports once what workers need, then forks one for every task, so that a start costs milliseconds.

`python -m rtbench.executors.warm FD MODULES`: FD is one end of a socket; `Processes` (`processes.py`) has the other.
A request is four bytes of length with two descriptors (the worker's output and errors), then a task as JSON. Answers
are JSON lines: `{"pid": …}` to each request in turn, `{"pid": …, "exit": code}` when a worker ended (−n: by signal n).

Python's own forkserver would do but for three things: it imports the runner's main module again in every child, it dies
of a preloaded module that raises, and its children keep it alive when the runner is killed.

It must have one thread when it forks: a pool of threads does not survive a fork. It runs no arithmetic, and where an
import has started threads, or a task asks for `spawn` (accelerators), the child becomes a new Python.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

_LENGTH = 4


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask Linux for a signal when the parent process dies, so that a killed runner leaves no orphan computing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, number)


def serve(connection: socket.socket) -> int:
    """Fork a worker for every request until the runner hangs up."""
    children: set[int] = set()
    ended, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([connection.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _report(connection, children)
        if connection.fileno() in ready:
            request = _receive(connection)
            if request is None:
                return 0
            task, descriptors = request
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (connection.fileno(), ended, wake):
                    os.close(descriptor)
                _become(task, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            children.add(pid)
            _answer(connection, {"pid": pid})


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH, 2)
    if not head:
        return None
    head += _exactly(connection, _LENGTH - len(head))
    task: dict[str, Any] = json.loads(_exactly(connection, int.from_bytes(head, "big")))
    return task, descriptors


def _exactly(connection: socket.socket, length: int) -> bytes:
    value = b""
    while len(value) < length:
        piece = connection.recv(length - len(value))
        if not piece:
            raise SystemExit(0)
        value += piece
    return value


def _answer(connection: socket.socket, value: dict[str, Any]) -> None:
    connection.sendall(json.dumps(value).encode() + b"\n")


def _report(connection: socket.socket, children: set[int]) -> None:
    for pid in sorted(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            _answer(connection, {"pid": pid, "exit": os.waitstatus_to_exitcode(status)})


# ---- the child -------------------------------------------------------------------------------------------------------


def _become(task: dict[str, Any], descriptors: list[int]) -> None:
    """In the child: a session of its own (Ctrl-C is for the runner, which asks its workers itself), then the task."""
    code = 1
    try:
        parent = os.getppid()
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with tempfile.TemporaryFile() as given:
            given.write(json.dumps(task).encode())
            given.seek(0)
            for target, source in enumerate([given.fileno(), *descriptors]):
                os.dup2(source, target)
        for descriptor in descriptors:
            os.close(descriptor)
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        if task.get("start") == "spawn" or _threads() > 1:
            os.execv(sys.executable, [sys.executable, "-m", "rtbench.executors.worker"])
        code = _work()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:  # the end of this process, whatever it was: told where the runner looks for it
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _work() -> int:
    """The task, with randomness that no sibling shares."""
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed()  # the global generator, which a fork copies; `random` reseeds itself

    from rtbench.executors import worker

    return worker.main()


def _threads() -> int:
    """Threads of this process's parent, as far as the system tells; a child has one in any case."""
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{os.getppid()}/task").iterdir())
    return 1


def preload(modules: list[str]) -> None:
    """Import what workers will need, and find out what every row says of machine and code.

    A module that cannot be imported is named by the worker that needs it.
    """
    for name in modules:
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)
    with contextlib.suppress(Exception):
        from rtbench.backends.machine import fingerprint
        from rtbench.executors.provenance import provenance

        fingerprint(1)
        provenance("")


def main() -> int:
    """Entry point of the warm parent."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever asks a whole group to stop asks this one, too: it ends after its workers, when the runner hangs up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    preload(["rtbench.executors.worker", *sys.argv[2].split(",")] if sys.argv[2] else [])
    gc.collect()
    gc.freeze()
    return serve(connection)


if __name__ == "__main__":
    sys.exit(main())
