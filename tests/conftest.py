"""Fixtures for all tests: a clean environment, and distributions made of files as a stranger would install them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# Tests run in parallel, one process per core: a second thread per process only gets in the others' way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from rtbench import plugins

# A shell that starts tests in the background lets them ignore Ctrl-C, which every process they start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

PART_SOURCE = '''
from dataclasses import dataclass

from rtbench.graph import LayerGraph
from rtbench.parts import Architecture, param


@dataclass(frozen=True)
class Params:
    width: int = param(8, unit="neurons", doc="neurons of the one layer")


class Tiny(Architecture):
    """One layer and nothing else."""

    Params = Params
    revision = 3

    def make(self, shape):
        raise AssertionError("tests do not build it")
'''


class Distributions:
    """Writes distributions (metadata, entry points, modules) into a folder that is on `sys.path`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        name: str,
        entry_points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
        version: str = "1.0",
    ) -> None:
        """One distribution: `entry_points` as group -> name -> target, `modules` as module name -> source."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [
            line
            for group, points in entry_points.items()
            for line in (f"[{group}]", *(f"{point} = {target}" for point, target in points.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in (modules or {}).items():
            (self.folder / f"{module}.py").write_text(source)
        self.refresh()

    @staticmethod
    def refresh() -> None:
        """Forget what was found before."""
        importlib.invalidate_caches()
        plugins._scan.cache_clear()


@pytest.fixture(autouse=True)
def clean_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No switch of the caller's shell reaches a test, and none that a test sets outlives it."""
    monkeypatch.setenv(plugins.DISABLE_VARIABLE, "")
    monkeypatch.setenv("RTBENCH_DEBUG", "")


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distributions]:
    """A folder of fake distributions; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield Distributions(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    Distributions.refresh()


@pytest.fixture
def part_source() -> str:
    """The source of a module with a working architecture, `Tiny`."""
    return PART_SOURCE
