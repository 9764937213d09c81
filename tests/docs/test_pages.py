"""The pages say what is: every command can be typed, what it prints is what is shown, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers.command_line import printed

from rtbench import plugins
from rtbench.cli import output
from rtbench.cli.main import root_command

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md") if path.name != "reference.md")
_COMMAND = re.compile(r"^    (?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?rtbench (.*?)(?: {2,}#.*| > \S+)?$", re.MULTILINE)
_EXECUTOR = re.compile(r"--executor (\S+)")
_FENCED = re.compile(r"```.*?```", re.DOTALL)
COMMANDS = sorted(
    {
        (path.name, command)
        for path in [*PAGES, ROOT / "README.md"]
        for command in _COMMAND.findall(_FENCED.sub("", path.read_text(encoding="utf-8")))
        if not (
            set(_EXECUTOR.findall(command)) - set(plugins.entries("executors"))
        )  # a plugin's has options of its own
    }
)
MEANT = {"SUITE": "quickstart", "REF": "HEAD", "NAME": "quickstart"}
"""What stands for something of the reader's."""


def block(page: str, command: str) -> list[str]:
    """The lines shown below a command on a page, up to the next text."""
    text = (DOCS / page).read_text(encoding="utf-8")
    shown = text[text.index(f"    {command}\n") :].split("\n\n")[1]
    return [line.removeprefix("    ") for line in shown.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=str)
def test_every_command_can_be_typed(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names and options exist; it is not run."""
    words = [MEANT.get(word, word) for word in shlex.split(command, comments=True)]
    monkeypatch.setattr(output, "invocation", words)
    context = root_command().make_context("rtbench", words)
    while rest := [*context._protected_args, *context.args]:
        name, found, rest = context.command.resolve_command(context, rest)
        context = found.make_context(name, list(rest), parent=context)
        if not hasattr(found, "resolve_command"):
            break


def test_the_pages_are_there() -> None:
    assert len(COMMANDS) > 40
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for path in DOCS.glob("*.md"):
        assert path.name == "index.md" or f"({path.name})" in index, path.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target


@pytest.mark.parametrize("command", [typed for page, typed in COMMANDS if page == "latency.md" and "simulate" in typed])
def test_simulations_print_what_is_shown(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(capsys, *shlex.split(command)).splitlines()
    shown = block("latency.md", f"rtbench {command}")
    assert len(shown) >= 3
    assert [line for line in shown if line not in told] == []


def test_the_leaderboard_shown_is_the_committed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    told = printed(capsys, "report", "quickstart", "--state", str(tmp_path)).splitlines()
    shown = block("leaderboard.md", "rtbench report quickstart")
    assert len(shown) == 6
    assert [line for line in shown if line not in told] == []


def test_the_architecture_shown_has_the_ages_shown() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    begin = text.index("    from rtbench.graph")
    code = text[begin : text.index("\n\nEach layer takes", begin)].replace("\n    ", "\n").strip()
    names: dict[str, object] = {}
    exec(code, names)  # the page's own code
    network: object = names["network"]
    assert sorted(network.ages("pipelined", 1)) == [(1, 1), (2, 2), (3, 3), (4, 4)]  # type: ignore[attr-defined]
    assert "[(1, 1), (2, 2), (3, 3), (4, 4)]" in text


def test_the_formulas_that_the_theory_names_exist() -> None:
    from rtbench.theory import formulas

    text = (DOCS / "theory.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    known = {name for name in named if hasattr(formulas, name)}
    columns = {"action_interval_steps", "step_s", "default_policy"}
    assert named - known == columns
    assert len(known) >= 6
