"""The core's own parts pass what strangers' parts pass; learners and backends have modules of their own."""

from __future__ import annotations

import pytest
from helpers.conformance import core, sound

from rtbench import plugins
from rtbench.testing.base import Conformance

QUICK = ("environments", "architectures", "schedulers", "default_policies", "latency", plugins.HOOK_GROUP)


@pytest.mark.parametrize("found", core(*QUICK), ids=lambda found: found.label())
def test_part_of_the_core_conforms(found: type[Conformance]) -> None:
    sound(found)


def test_every_kind_is_covered() -> None:
    kinds = {getattr(found, "kind", "") or "latency" for found in core()}
    assert kinds == {*QUICK, "learners", "backends", "executors", "suites", "commands"}
