"""The core's suites, and some of its commands, under the classes that strangers' go through."""

from __future__ import annotations

import pytest
from helpers.conformance import core, sound

from rtbench.testing.base import Conformance

COMMANDS = ("list", "describe", "plugins")
"""Each takes two processes; what commands do is tested beside them."""


@pytest.mark.parametrize("found", core("suites"), ids=lambda found: found.label())
def test_suite_of_the_core_conforms(found: type[Conformance]) -> None:
    sound(found)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_of_the_core_conforms(name: str) -> None:
    (found,) = [each for each in core("commands") if each.label() == f"commands/{name}"]
    sound(found)
