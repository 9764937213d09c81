"""Conformance of commands: found by name, documented, with a help text, light to import."""

from __future__ import annotations

import inspect
import subprocess
import sys

from rtbench import plugins
from rtbench.testing.base import RegisteredConformance, require


class CommandConformance(RegisteredConformance):
    """Checks a command by its name."""

    kind = "commands"

    def asked(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`rtbench NAME ARGUMENTS` in a process of its own."""
        line = [sys.executable, "-m", "rtbench.cli.main", self.name, *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    def test_is_documented(self) -> None:
        """`rtbench describe command` has something to say."""
        loaded = self.entry.load()
        about = getattr(getattr(loaded, "info", None), "help", None) or getattr(loaded, "help", None)
        require(about or inspect.getdoc(loaded), "it has no docstring or help")

    def test_has_help(self) -> None:
        """`--help` ends with 0 and says something."""
        done = self.asked("--help")
        require(done.returncode == 0 and done.stdout.strip(), f"--help ends with {done.returncode}: {done.stderr}")

    def test_refuses_what_it_does_not_know(self) -> None:
        """An option that does not exist is a mistake on the command line (exit code 2), without a traceback."""
        done = self.asked("--no-such-option")
        require(done.returncode == 2, f"an unknown option ends with {done.returncode}: {done.stdout}{done.stderr}")
        require("Traceback" not in done.stderr, "an unknown option shows a traceback")

    def test_name_is_free(self) -> None:
        """No command of the core is called the same."""
        same = [found for found in plugins.registrations("commands") if found.name == self.name]
        require(len(same) == 1, f"registered by {', '.join(found.distribution for found in same)}")
