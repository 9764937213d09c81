"""The core's backends under the classes that strangers' go through.

But for `compiled`, whose every acting takes seconds to compile: `rtbench plugins check rtbench` checks that too.
"""

from __future__ import annotations

import pytest
from helpers.conformance import core, sound

from rtbench.testing.base import Conformance

BACKENDS = [found for found in core("backends") if found.label() != "backends/compiled"]


@pytest.mark.parametrize("found", BACKENDS, ids=lambda found: found.label())
def test_part_of_the_core_conforms(found: type[Conformance]) -> None:
    sound(found)
