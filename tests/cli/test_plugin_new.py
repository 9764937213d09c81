"""`rtbench plugins new`: for every kind a whole distribution, whose parts conform and whose own tests pass."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import printed, printed_json
from helpers.distribution import write_distribution

from rtbench import plugins
from rtbench.cli import plugin_new
from rtbench.cli.facts import LISTED
from rtbench.cli.main import run_command_line

FILES = {
    *("pyproject.toml", "README.md", "tox.ini", "LICENSE", ".gitignore", ".github/workflows/tests.yml"),
    *("src/acme_my_part/__init__.py", "src/acme_my_part/conformance.py", "tests/test_conformance.py"),
}


def installed(folder: Path, kind: str, site: Path) -> Path:
    """Write a distribution of a kind and install it by hand; its folder."""
    written = plugin_new.write(kind, "acme/my-part", folder)
    root = Path(written["folder"])
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in named.items())
        for group, named in points.items()
    )
    package = root / "src" / "acme_my_part"
    modules = {f"acme_my_part/{path.name}": path.read_text() for path in package.iterdir()}
    write_distribution(site, "acme-my-part", text, modules)
    return root


def test_there_is_a_template_for_every_kind() -> None:
    assert set(plugin_new.KINDS) == set(LISTED)
    folders = {path.name for path in plugin_new.TEMPLATES.iterdir() if path.name != "common"}
    assert folders == set(LISTED)


@pytest.mark.parametrize("kind", LISTED)
def test_what_is_written_conforms(kind: str, distributions: Any, tmp_path: Path) -> None:
    """The checks that `plugins check` runs, and the distribution's own tests."""
    root = installed(tmp_path, kind, distributions.folder)
    distributions.refresh()
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(root / "pyproject.toml")]
    done = subprocess.run(
        [*line, str(root / "tests")],
        cwd=root,
        env={**_environment(), "PYTHONPATH": str(distributions.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "failed" not in done.stdout


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "OMP_NUM_THREADS": "1", plugins.DISABLE_VARIABLE: ""}


def test_a_distribution_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = printed_json(capsys, "plugins", "new", "architecture", "acme/my-part", "-o", str(tmp_path))
    assert written["distribution"] == "acme-my-part"
    assert set(written["files"]) == FILES | {"src/acme_my_part/my_part.py", "tests/test_my_part.py"}
    project = tomllib.loads((tmp_path / "acme-my-part" / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["rtbench.architectures"] == {"acme/my-part": "acme_my_part.my_part:MyPart"}
    for path in (tmp_path / "acme-my-part").rglob("*"):
        text = path.read_text() if path.is_file() else ""
        assert "{%" not in text
        assert "{{" not in text.replace("${{ matrix.python }}", "")
    text = printed(capsys, "plugins", "new", "suite", "acme/first", "-o", str(tmp_path))
    assert "rtbench plugins check acme-first" in text


@pytest.mark.parametrize("name", ["wavefront", "Acme/net", "acme/", "acme/net/deep", "acme/my_net", "../net"])
def test_names_have_a_namespace(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plugins", "new", "architecture", name, "-o", str(tmp_path)]) == 2
    assert "namespace/name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acme-net").mkdir()
    assert run_command_line(["plugins", "new", "backend", "acme/net", "-o", str(tmp_path)]) == 2
    assert "choose another" in capsys.readouterr().err


def test_an_unknown_kind_gives_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plugins", "new", "architectre", "acme/net", "-o", str(tmp_path)]) == 2
    assert "did you mean: architectures" in capsys.readouterr().err
