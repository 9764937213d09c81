"""One command line run within the test, and what it printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtbench.cli.main import run_command_line


def printed(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    """What a command prints on standard output; it must end with `code`."""
    assert run_command_line(list(args)) == code
    return capsys.readouterr().out


def printed_json(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    """The same with --json, read."""
    return json.loads(printed(capsys, *args, "--json", code=code))
