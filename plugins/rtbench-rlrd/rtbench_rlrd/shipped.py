"""Where the suite files of this package lie."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "suites"


def locate(name: str) -> Path:
    """The file of a suite of this package, given its registered name."""
    return FOLDER / f"{name.rpartition('/')[2]}.toml"
