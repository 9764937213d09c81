"""Where the suite files of this distribution lie."""

from __future__ import annotations

from pathlib import Path


def locate(name: str) -> Path:
    """The file of a suite of this distribution: example/first is first.toml beside this module."""
    return Path(__file__).with_name(name.rpartition("/")[2] + ".toml")
