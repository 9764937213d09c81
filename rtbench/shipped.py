"""Where what comes with rtbench beside its code lies: suites, their published tables, measured latency profiles."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
FOLDERS = (_PACKAGE / "suites" / "files", _PACKAGE.parent / "suites")
"""Searched in this order: inside the package when installed, beside it in a checkout."""
