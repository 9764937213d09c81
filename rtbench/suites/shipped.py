"""The suite files that come with rtbench, by name."""

from __future__ import annotations

from pathlib import Path

from rtbench.errors import SuiteError
from rtbench.shipped import FOLDERS


def locate(name: str) -> Path:
    """The file of a shipped suite; SuiteError naming the suites that are there if it is not."""
    for folder in FOLDERS:
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    there = sorted({path.stem for folder in FOLDERS for path in folder.glob("*.toml")})
    raise SuiteError(f"the file of suite {name!r} is not where rtbench was installed", given=name, allowed=there)
