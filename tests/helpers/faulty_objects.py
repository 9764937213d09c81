"""A file system of objects in memory, with conditional writes, that fails when it is told to."""

import contextlib
import random
import threading


class Passing(Exception):
    """What a service answers when it is overloaded, or a connection that was cut."""


class FaultyObjects:
    """The five calls of fsspec that `ObjectStore` makes; `rate` of them go wrong, one way or another.

    `before`: nothing was done. `after`: it was done and the answer is lost. `partly`: half of an upload arrived; the
    service throws it away. `late`: a write was given up, and is done when the next call comes.
    """

    WAYS = ("before", "after", "partly", "late")

    def __init__(self, rate=0.0, seed=0, ways=WAYS):
        self.values, self.calls, self.faults = {}, [], []
        self._rate, self._ways, self._random = rate, ways, random.Random(seed)
        self._lock = threading.Lock()
        self._late = []

    def _call(self, verb, path, act, *, writes=True):
        with self._lock:
            self.calls.append((verb, path))
            for late in self._late:
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    late()
            self._late.clear()
            if self._random.random() >= self._rate:
                return act()
            way = self._random.choice(self._ways if writes else ("before",))
            self.faults.append((way, verb, path))
            if way == "after":
                act()
            if way == "late":
                self._late.append(act)
            raise (TimeoutError if way == "late" else Passing)(f"{way}: {verb} {path}")

    def cat_file(self, path):
        def act():
            if path not in self.values:
                raise FileNotFoundError(path)
            return self.values[path]

        return self._call("read", path, act, writes=False)

    def find(self, path):
        return self._call(
            "list", path, lambda: [key for key in self.values if key.startswith(f"{path}/")], writes=False
        )

    def pipe_file(self, path, value, mode="overwrite"):
        def act():
            if mode == "create" and path in self.values:
                raise FileExistsError(path)
            self.values[path] = value

        return self._call("write_new" if mode == "create" else "replace", path, act)

    def rm_file(self, path):
        def act():
            if path not in self.values:
                raise FileNotFoundError(path)
            del self.values[path]

        return self._call("remove", path, act)
