"""Lifecycle hooks as a worker calls them: one that fails is told of and stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtbench import plugins


class Hooks:
    """All plugins that listen; `note` is given a line for each thing that went wrong."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        manager, broken = plugins.hooks()
        self.hook = manager.hook
        """The callers by name (`rtbench.hookspecs`), for `call`."""
        for problem in broken:
            note(f"warning: {problem.message}")

    def call(self, caller: Any, **given: Any) -> list[Any]:
        """What every plugin answers to one of the hooks."""
        answers, problems = plugins.call_each(caller, given)
        for problem in problems:
            self._note(f"warning: {problem}")
        return answers
