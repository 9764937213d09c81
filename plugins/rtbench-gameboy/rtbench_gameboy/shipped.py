"""Where the suite files of this package lie."""

from __future__ import annotations

from pathlib import Path

from rtbench.errors import SuiteError

FOLDER = Path(__file__).resolve().parent / "suites"


def locate(name: str) -> Path:
    """The file of a suite, given its registered name; SuiteError naming those that are there if it is not."""
    path = FOLDER / f"{name.rpartition('/')[2]}.toml"
    if not path.is_file():
        raise SuiteError(
            f"the file of suite {name!r} is not where rtbench-gameboy was installed",
            given=name,
            allowed=sorted(found.stem for found in FOLDER.glob("*.toml")),
        )
    return path
