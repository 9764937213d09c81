"""The tiny suite that leaderboards are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.samples import install_parts, write_suite

from rtbench.suites.model import Suite, load_suite


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    install_parts(tmp_path / "site", monkeypatch)
    return load_suite(write_suite(tmp_path / "suites"))
