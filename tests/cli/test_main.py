"""The shell of the command line: lazy commands, global options, errors as words and exit codes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import Any

import pytest

import rtbench
from rtbench import plugins
from rtbench.cli import output
from rtbench.cli.main import explain, main, run_command_line
from rtbench.errors import InvalidResults, StaleLeaderboard

COMMANDS = "rtbench.commands"
HEAVY = ("torch", "gymnasium", "mujoco", "pandas", "pyarrow", "scipy", "rich")


@pytest.fixture
def command(distributions: Any) -> Any:
    """Register one command: its name, the source of its module, the object in it."""

    def register(name: str, source: str, target: str = "command") -> None:
        module = f"plugin_{name}"
        distributions.add(f"dist-{name}", {COMMANDS: {name: f"{module}:{target}"}}, {module: source})

    return register


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--version"]) == 0
    assert capsys.readouterr().out == f"rtbench {rtbench.__version__}\n"


def test_no_arguments_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([]) == 0
    text = capsys.readouterr().out
    for name in plugins.entries("commands"):
        assert f"\n  {name} " in text


def test_main_ends_the_process_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["rtbench", "list", "nonsense"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2


@pytest.mark.parametrize("args", [["--help"], ["list"], ["list", "--json"], ["describe", "architecture", "mlp"]])
def test_shell_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; from rtbench.cli.main import run_command_line; "
        f"code = run_command_line({args!r}); "
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[] 0"


def test_function_becomes_a_command(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("greet", "def command(name: str, times: int = 1):\n    print(' '.join([name] * times))")
    assert run_command_line(["greet", "you", "--times", "2"]) == 0
    assert capsys.readouterr().out == "you you\n"


def test_typer_app_becomes_a_group(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    source = (
        "import typer\ncommand = typer.Typer(help='Two things.')\n"
        "@command.command()\ndef one():\n    print('first')\n@command.command()\ndef two():\n    print('second')\n"
    )
    command("things", source)
    assert run_command_line(["things", "two"]) == 0
    assert capsys.readouterr().out == "second\n"
    run_command_line(["--help"])
    assert "Two things." in capsys.readouterr().out


def test_click_like_command_gets_its_arguments_untouched(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    source = (
        "class Foreign:\n"
        "    def get_short_help_str(self, limit=45):\n        return 'from another click'\n"
        "    def main(self, args, prog_name, standalone_mode):\n        print(prog_name, args)\n        return 4\n"
        "command = Foreign()\n"
    )
    command("foreign", source)
    assert run_command_line(["foreign", "--odd", "x", "--help"]) == 4
    assert capsys.readouterr().out == "rtbench foreign ['--odd', 'x', '--help']\n"


def test_returned_integer_is_the_exit_code(command: Any) -> None:
    command("five", "def command() -> int:\n    return 5")
    assert run_command_line(["five"]) == 5


def test_only_the_command_that_is_used_is_imported(command: Any) -> None:
    command("used", "def command():\n    pass")
    command("unused", "def command():\n    pass")
    assert run_command_line(["used"]) == 0
    assert "plugin_used" in sys.modules
    assert "plugin_unused" not in sys.modules


def test_broken_command_is_shown_and_explains_itself(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("wreck", "raise RuntimeError('sunk at import')")
    command("afloat", "def command():\n    '''Swims on.'''\n    print('swimming')")
    assert run_command_line(["--help"]) == 0
    text = capsys.readouterr().out
    assert "BROKEN" in text.split("\n  wreck")[1].splitlines()[0]
    assert "Swims on." in text
    assert run_command_line(["wreck", "--any", "thing"]) == 3
    error = capsys.readouterr().err
    assert "'wreck' of distribution dist-wreck 1.0" in error
    assert "RuntimeError: sunk at import" in error
    assert "Traceback" not in error
    assert run_command_line(["afloat"]) == 0
    assert run_command_line(["--debug", "wreck"]) == 3
    assert "the plugin's own traceback" in capsys.readouterr().err


def test_object_that_is_no_command(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("number", "command = 7")
    assert run_command_line(["number"]) == 3
    assert "neither a function" in capsys.readouterr().err


def test_duplicate_command_leaves_the_others(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("status", "def command():\n    print('mine')")
    assert run_command_line(["status"]) == 3
    error = capsys.readouterr().err
    assert "registered twice" in error
    assert "dist-status 1.0" in error
    assert run_command_line(["list", "schedulers"]) == 0


def test_third_party_switches(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("extra", "def command():\n    print('here')")
    assert run_command_line(["extra"]) == 0
    assert run_command_line(["--disable", "dist-extra", "extra"]) == 2
    assert os.environ[plugins.DISABLE_VARIABLE] == "dist-extra"
    assert run_command_line(["--disable", "dist_other", "list"]) == 0
    assert os.environ[plugins.DISABLE_VARIABLE] == "dist-extra,dist_other"
    assert run_command_line(["--no-third-party", "extra"]) == 2
    assert os.environ[plugins.DISABLE_VARIABLE] == "1"
    assert run_command_line(["--disable", "dist-extra", "list"]) == 0
    assert os.environ[plugins.DISABLE_VARIABLE] == "1"
    assert "unknown command 'extra'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["lst"], ["unknown command 'lst'", "did you mean: list", "next: rtbench --help"]),
        (["list", "--jsn"], ["unknown option --jsn", "did you mean: --json", "next: rtbench list --help"]),
        (["--debg"], ["unknown option --debg", "did you mean: --debug"]),
        (["list", "--debug"], ["--debug comes before the command: rtbench --debug list"]),
        (["describe"], ["kind", "next: rtbench describe --help"]),
        (["list", "a", "b"], ["where: rtbench list"]),
    ],
)
def test_usage_errors(args: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for text in expected:
        assert text in captured.err


def test_group_without_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plugins"]) == 2
    assert "Usage: rtbench plugins" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "code"), [("StaleLeaderboard", 4), ("InvalidResults", 5), ("SuiteError", 2)])
def test_our_errors_keep_their_exit_code(
    command: Any, capsys: pytest.CaptureFixture[str], kind: str, code: int
) -> None:
    command("fails", f"from rtbench.errors import {kind}\ndef command():\n    raise {kind}('so it is', place='there')")
    assert run_command_line(["fails"]) == code
    captured = capsys.readouterr()
    assert captured.err == "error: so it is\n  where: there\n"
    assert captured.out == ""


def test_exit_codes_of_the_contract() -> None:
    assert (StaleLeaderboard("x").exit_code, InvalidResults("x").exit_code) == (4, 5)


def test_unexpected_error_without_and_with_traceback(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("odd", "def command():\n    raise KeyError('what')")
    assert run_command_line(["odd"]) == 1
    error = capsys.readouterr().err
    assert "unexpected KeyError: 'what'" in error
    assert "--debug" in error
    assert "Traceback" not in error
    assert run_command_line(["--debug", "odd"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_ctrl_c(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command("slow", "def command():\n    raise KeyboardInterrupt")
    assert run_command_line(["slow"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_refused_prompt(command: Any) -> None:
    command("ask", "import typer\ndef command():\n    raise typer.Abort()")
    assert run_command_line(["ask"]) == 130


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full: /data/rows"),
        (errno.EACCES, "no permission: /data/rows"),
        (errno.EROFS, "read-only: /data/rows"),
    ],
)
def test_errors_of_the_machine(number: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(OSError(number, os.strerror(number), "/data/rows")) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "same command again" in error


def test_other_errors_of_the_machine_are_unexpected(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "x.toml")) == 1
    assert "unexpected FileNotFoundError" in capsys.readouterr().err


def test_emit_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"δ": 1}, json=True, render=lambda: pytest.fail("not asked for"))
    assert json.loads(capsys.readouterr().out) == {"δ": 1}
    output.table(["name", "value"], [["longer", 1], ["b", None]], title="Things")
    assert capsys.readouterr().out == "Things\nname    value\nlonger  1\nb\n"


def test_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    output.table(["name"], [["[bold]x[/bold]"]])
    assert "[bold]x[/bold]" in capsys.readouterr().out
