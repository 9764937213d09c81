"""What importing a module brings along, measured in a process of its own by what is there afterwards."""

from __future__ import annotations

import functools
import subprocess
import sys

HEAVY = ("torch", "gymnasium", "mujoco", "pandas", "pyarrow", "scipy", "rich", "matplotlib", "jax", "tensorflow")
"""Packages that take long to import and that listing parts must not need."""


def brought(module: str) -> frozenset[str]:
    """Heavy packages that `import module` imports; AssertionError with its output if it cannot be imported."""
    return _brought(module, tuple(sys.path))


@functools.cache
def _brought(module: str, path: tuple[str, ...]) -> frozenset[str]:
    code = (
        f"import sys; sys.path[:] = {list(path)!r}; before = set(sys.modules)\n"
        f"import importlib; importlib.import_module({module!r})\n"
        f"print('brought:', *sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{module} cannot be imported on its own:\n{done.stderr.strip()}")
    line = next(text for text in done.stdout.splitlines() if text.startswith("brought:"))
    return frozenset(line.split()[1:])
