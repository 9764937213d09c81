"""The runner's side of its workers: starts them through a warm parent, hears their events and their ends, ends them.

Everything happens in the runner's one thread, in `wait`.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PIECE = 1 << 16
LOST_PARENT = -signal.SIGKILL


class Child:
    """A worker process: `pid` is None until it exists, `code` until it ended (−n: by signal n)."""

    def __init__(self, output: int) -> None:
        self.output = output
        self.pid: int | None = None
        self.code: int | None = None
        self.closed = False
        self._rest = b""

    def lines(self) -> list[str]:
        """What it printed since the last call, whole lines."""
        pieces = [self._rest]
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.output, _PIECE):
                pieces.append(piece)
            self.closed = True
        *whole, self._rest = b"".join(pieces).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def send(self, number: int) -> None:
        """A signal to it; SIGKILL also to the processes it started."""
        if self.pid is None or self.code is not None:
            return
        with contextlib.suppress(OSError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)


class Processes:
    """Starts workers one by one; `threads` of arithmetic in each."""

    def __init__(self, preload: Sequence[str], threads: int, errors: Path) -> None:
        self._preload, self._threads, self._errors = preload, threads, errors
        self._selector = selectors.DefaultSelector()
        self._parent: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._told = b""
        self._unborn: deque[Child] = deque()
        self._children: set[Child] = set()

    def start(self, task: dict[str, Any], errors: Path) -> Child:
        """A worker with a task; its errors go to a file."""
        if self._line is None:
            self._line = self._warm_up()
        output, theirs = os.pipe()
        os.set_blocking(output, False)
        errors.parent.mkdir(parents=True, exist_ok=True)
        value = json.dumps(task).encode()
        child = Child(output)
        with errors.open("wb") as file:
            try:
                socket.send_fds(self._line, [len(value).to_bytes(4, "big")], [theirs, file.fileno()])
                self._line.sendall(value)
            except OSError:  # the warm parent is gone; `wait` finds that out and tells of this child's end too
                pass
            finally:
                os.close(theirs)
        self._unborn.append(child)
        self._children.add(child)
        self._selector.register(output, selectors.EVENT_READ, child)
        return child

    def wait(self, timeout_s: float) -> list[tuple[Child, list[str]]]:
        """Lines of children that printed, within a time; those that ended meanwhile have their `code` set."""
        heard: dict[Child, list[str]] = {}
        for ready, _ in self._selector.select(timeout_s):
            child = ready.data
            if child is None:
                for ended in self._listen():
                    heard.setdefault(ended, []).extend(ended.lines())
                    self._forget(ended)
            elif child in self._children:
                heard.setdefault(child, []).extend(child.lines())
                if child.closed:
                    self._selector.unregister(child.output)
        return list(heard.items())

    def kill(self) -> None:
        """End everything at once."""
        for child in self._children:
            child.send(signal.SIGKILL)
        if self._parent is not None:
            self._parent.kill()

    def close(self) -> None:
        """Hang up; the warm parent ends."""
        self.kill()
        for child in list(self._children):
            self._forget(child)
        if self._line is not None:
            self._line.close()
        if self._parent is not None:
            self._parent.wait()
        self._selector.close()

    # ---- the warm parent -------------------------------------------------------------------------------------------

    def _warm_up(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        # NumPy's OpenBLAS starts its threads when it is imported, which would be before the fork; it only acts.
        threads = dict.fromkeys(names, str(self._threads)) | {"OPENBLAS_NUM_THREADS": "1"}
        self._errors.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("wb") as errors, theirs:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "rtbench.executors.warm", str(theirs.fileno()), ",".join(self._preload)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | threads,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._selector.register(ours, selectors.EVENT_READ, None)
        return ours

    def _listen(self) -> list[Child]:
        """Read what the warm parent says; the children that ended."""
        assert self._line is not None
        try:
            piece = self._line.recv(_PIECE)
        except OSError:
            piece = b""
        if not piece:
            return self._orphaned()
        *whole, self._told = (self._told + piece).split(b"\n")
        ended = []
        for told in map(json.loads, whole):
            if "exit" not in told:
                self._unborn.popleft().pid = told["pid"]
                continue
            child = next(child for child in self._children if child.pid == told["pid"])
            child.code = told["exit"]
            ended.append(child)
        return ended

    def _orphaned(self) -> list[Child]:
        """The warm parent is gone, by no wish of ours: so are its children; the next start makes another."""
        assert self._line is not None
        assert self._parent is not None
        self._selector.unregister(self._line)
        self._line.close()
        self._parent.wait()
        self._line, self._parent, self._told = None, None, b""
        self._unborn.clear()
        ended = list(self._children)
        for child in ended:
            child.send(signal.SIGKILL)
            child.code = LOST_PARENT
        return ended

    def _forget(self, child: Child) -> None:
        self._children.discard(child)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child.output)
        with contextlib.suppress(OSError):
            os.close(child.output)
