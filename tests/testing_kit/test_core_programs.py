"""The core's learners, and its executor, under the classes that strangers' go through."""

from __future__ import annotations

import pytest
from helpers.conformance import core, sound

from rtbench.testing.base import Conformance


@pytest.mark.parametrize("found", core("learners", "executors"), ids=lambda found: found.label())
def test_part_of_the_core_conforms(found: type[Conformance]) -> None:
    sound(found)
